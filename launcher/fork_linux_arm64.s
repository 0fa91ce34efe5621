#include "textflag.h"

// See forkTwice in detach_linux.go. The arm64 convention: number in R8, arguments in R0 to R4, result in R0.
TEXT ·forkTwice(SB),NOSPLIT|NOFRAME,$0-24
	MOVD	f+0(FP), R10
	MOVD	stack+8(FP), R11
	AND	$~15, R11 // as the processor wants it
	// clone(CLONE_VM|CLONE_VFORK, NULL, …), without an exit signal
	MOVD	$220, R8
	MOVD	$0x4100, R0
	MOVD	$0, R1
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	SVC
	CMP	$0, R0
	BNE	return
	// the first child: clone(CLONE_VM|SIGCHLD, stack, …)
	MOVD	$220, R8
	MOVD	$0x111, R0
	MOVD	R11, R1
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	SVC
	CMP	$0, R0
	BEQ	second
	BLT	failed
	MOVD	$0, R0
failed:
	NEG	R0, R9
exit:
	// exit_group(0 or errno)
	MOVD	R9, R0
	MOVD	$94, R8
	SVC
	B	exit
second:
	MOVD	R10, 8(RSP)
	BL	·becomeWatch(SB)
	BRK	$0
return:
	MOVD	R0, result+16(FP)
	RET
