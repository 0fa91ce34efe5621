#include "textflag.h"

// The kernel's convention: see entry_linux_386.s of package origin. 340 is prlimit64(pid, resource, new, old), and 7 is
// RLIMIT_NOFILE.

// forbidOpen sets the soft limit of files to 0, where it is another, if one of the arguments is "run": DI of them, at BP.
TEXT ·forbidOpen(SB),NOSPLIT|NOFRAME,$0
next:
	DECL	DI
	JLT	done
	MOVL	(BP), AX
	ADDL	$4, BP
	CMPL	(AX), $0x006e7572 // "run" and its NUL
	JNE	next
	MOVL	$340, AX
	XORL	BX, BX
	MOVL	$7, CX
	XORL	DX, DX
	LEAL	·found(SB), SI
	INT	$0x80
	CMPL	AX, $0
	JNE	done
	MOVL	·found+0(SB), AX
	ORL	·found+4(SB), AX
	JEQ	done
	MOVL	·found+8(SB), AX
	MOVL	AX, ·none+8(SB)
	MOVL	·found+12(SB), AX
	MOVL	AX, ·none+12(SB)
	MOVL	$340, AX
	LEAL	·none(SB), DX
	XORL	SI, SI
	INT	$0x80
done:
	RET

TEXT ·prlimit(SB),NOSPLIT,$0-8
	MOVL	$340, AX
	XORL	BX, BX
	MOVL	$7, CX
	MOVL	limit+0(FP), DX
	MOVL	old+4(FP), SI
	INT	$0x80
	RET
