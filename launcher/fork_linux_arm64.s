#include "textflag.h"

// See forkTwice in detach_linux.go. The arm64 convention: number in R8, arguments in R0 to R4, result in R0. What a child
// needs after a call is on its stack.
TEXT ·forkTwice(SB),NOSPLIT|NOFRAME,$0-40
	MOVD	f+0(FP), R10
	MOVD	stack+8(FP), R1
	AND	$~15, R1 // as the processor wants it
	MOVD	second+24(FP), R11
	// clone(first, stack, …)
	MOVD	$220, R8
	MOVD	first+16(FP), R0
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	SVC
	CMP	$0, R0
	BNE	return
	MOVD	R10, 8(RSP)
	MOVD	R11, 16(RSP)
	BL	·leaveTarget(SB)
	// clone(second, stack, …)
	MOVD	$220, R8
	MOVD	16(RSP), R0
	MOVD	RSP, R1
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
	BL	·becomeWatch(SB)
	BRK	$0
return:
	MOVD	R0, result+32(FP)
	RET
