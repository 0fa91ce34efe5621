#include "textflag.h"

// entry: see entry_linux_amd64.s. System calls on arm64: number in R8, arguments in R0 to R3, result in R0.
TEXT ·entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	// rt_sigprocmask(SIG_BLOCK, NULL, &mask, 8)
	MOVD	$135, R8
	MOVD	$0, R0
	MOVD	$0, R1
	MOVD	$·mask(SB), R2
	MOVD	$8, R3
	SVC
	// rt_sigtimedwait(&mask, &pending[n], &noTime, 8) until none is pending or 64 are taken; skipped if none is blocked
	MOVD	$0, R9
	MOVD	$·pending(SB), R10
	MOVD	·mask(SB), R11
	CBZ	R11, taken
take:
	MOVD	$137, R8
	MOVD	$·mask(SB), R0
	MOVD	R10, R1
	MOVD	$·noTime(SB), R2
	MOVD	$8, R3
	SVC
	CMP	$0, R0
	BLE	taken
	ADD	$128, R10, R10
	ADD	$1, R9, R9
	CMP	$64, R9
	BLT	take
taken:
	MOVD	R9, ·taken(SB)
	// rt_sigaction(n, NULL, &action, 8) for n from 1 to 64
	MOVD	$1, R9
	MOVD	$1, R10
	MOVD	$0, R11
next:
	MOVD	$134, R8
	MOVD	R9, R0
	MOVD	$0, R1
	MOVD	$·action(SB), R2
	MOVD	$8, R3
	SVC
	CBNZ	R0, skip
	MOVD	·action(SB), R12
	CMP	$1, R12 // SIG_IGN
	BNE	skip
	ORR	R10, R11, R11
skip:
	LSL	$1, R10, R10
	ADD	$1, R9, R9
	CMP	$64, R9
	BLE	next
	MOVD	R11, ·ignored(SB)
	// fcntl(fd, F_GETFD) for fd 0, 1 and 2
	MOVD	$0, R9
	MOVD	$1, R10
	MOVD	$0, R11
descriptor:
	MOVD	$25, R8
	MOVD	R9, R0
	MOVD	$1, R1
	SVC
	CMN	$9, R0 // EBADF
	BNE	open
	ORR	R10, R11, R11
open:
	LSL	$1, R10, R10
	ADD	$1, R9, R9
	CMP	$3, R9
	BLT	descriptor
	MOVD	R11, ·closed(SB)
	MOVD	$1, R12
	MOVD	R12, ·known(SB)
	JMP	_rt0_arm64_linux(SB)
