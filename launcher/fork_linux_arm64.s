#include "textflag.h"

// See forkTwice in detach_linux.go. The kernel's convention: number in R8, arguments in R0 to R4, result in R0. That of
// Go's functions (cmd/compile/abi-internal.md): the argument in R0 and room for it at 8(RSP). What a child needs after a
// call is on its stack behind that.
TEXT ·forkTwice(SB),NOSPLIT|NOFRAME,$0-56
	MOVD	f+0(FP), R10
	MOVD	stack+8(FP), R1
	AND	$~15, R1 // as the processor wants it
	MOVD	R10, 16(R1)
	MOVD	second+24(FP), R11
	MOVD	R11, 24(R1)
	MOVD	become+40(FP), R11
	MOVD	R11, 32(R1)
	MOVD	leave+32(FP), R11
	// clone(first, stack, …)
	MOVD	$220, R8
	MOVD	first+16(FP), R0
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	SVC
	CMP	$0, R0
	BNE	return
	MOVD	R10, R0
	BL	(R11)
	// clone(second, stack, …)
	MOVD	$220, R8
	MOVD	24(RSP), R0
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
	MOVD	16(RSP), R0
	MOVD	32(RSP), R11
	BL	(R11)
	BRK	$0
return:
	MOVD	R0, result+48(FP)
	RET
