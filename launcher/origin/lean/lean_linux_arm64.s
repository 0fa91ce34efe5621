#include "textflag.h"

// The kernel's convention: see entry_linux_arm64.s of package origin. 261 is prlimit64(pid, resource, new, old), and 7
// is RLIMIT_NOFILE.

// forbidOpen sets the soft limit of files to 0, where it is another, if one of the arguments is "run": R9 of them, at R10.
TEXT ·forbidOpen(SB),NOSPLIT|NOFRAME,$0
	MOVD	$0x006e7572, R12 // "run" and its NUL
next:
	SUBS	$1, R9, R9
	BLT	done
	MOVD	(R10), R11
	ADD	$8, R10, R10
	MOVWU	(R11), R11
	CMP	R12, R11
	BNE	next
	MOVD	$261, R8
	MOVD	$0, R0
	MOVD	$7, R1
	MOVD	$0, R2
	MOVD	$·found(SB), R3
	SVC
	CBNZ	R0, done
	MOVD	·found(SB), R9
	CBZ	R9, done
	MOVD	·found+8(SB), R9
	MOVD	R9, ·none+8(SB)
	MOVD	$261, R8
	MOVD	$7, R1
	MOVD	$·none(SB), R2
	MOVD	$0, R3
	SVC
done:
	RET

TEXT ·prlimit(SB),NOSPLIT,$0-16
	MOVD	$261, R8
	MOVD	$0, R0
	MOVD	$7, R1
	MOVD	limit+0(FP), R2
	MOVD	old+8(FP), R3
	SVC
	RET
