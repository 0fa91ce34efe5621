#include "textflag.h"

// The kernel's convention: see entry_linux_amd64.s of package origin. 302 is prlimit64(pid, resource, new, old), and 7
// is RLIMIT_NOFILE.

// forbidOpen sets the soft limit of files to 0, where it is another, if one of the arguments is "run": R12 of them, at R13.
TEXT ·forbidOpen(SB),NOSPLIT|NOFRAME,$0
next:
	DECQ	R12
	JLT	done
	MOVQ	(R13), AX
	ADDQ	$8, R13
	CMPL	(AX), $0x006e7572 // "run" and its NUL
	JNE	next
	MOVQ	$302, AX
	XORQ	DI, DI
	MOVQ	$7, SI
	XORQ	DX, DX
	LEAQ	·found(SB), R10
	SYSCALL
	CMPQ	AX, $0
	JNE	done
	CMPQ	·found(SB), $0
	JEQ	done
	MOVQ	·found+8(SB), AX
	MOVQ	AX, ·none+8(SB)
	MOVQ	$302, AX
	LEAQ	·none(SB), DX
	XORQ	R10, R10
	SYSCALL
done:
	RET

TEXT ·prlimit(SB),NOSPLIT,$0-16
	MOVQ	$302, AX
	XORQ	DI, DI
	MOVQ	$7, SI
	MOVQ	limit+0(FP), DX
	MOVQ	old+8(FP), R10
	SYSCALL
	RET
