#include "textflag.h"

// See forkTwice in detach_linux.go. The kernel's convention: number in AX, arguments in DI, SI, DX, R10, R8; CX and R11
// are lost. That of Go's functions (cmd/compile/abi-internal.md): the argument in AX and room for it at 0(SP), X15 zero.
// What a child needs after a call is on its stack behind that.
TEXT ·forkTwice(SB),NOSPLIT|NOFRAME,$0-56
	MOVQ	f+0(FP), R12
	MOVQ	stack+8(FP), SI
	MOVQ	R12, 8(SI)
	MOVQ	second+24(FP), AX
	MOVQ	AX, 16(SI)
	MOVQ	become+40(FP), AX
	MOVQ	AX, 24(SI)
	MOVQ	leave+32(FP), R13
	// clone(first, stack, …)
	MOVQ	$56, AX
	MOVQ	first+16(FP), DI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	CMPQ	AX, $0
	JNE	return
	MOVQ	R12, AX
	XORPS	X15, X15
	CALL	R13
	// clone(second, stack, …)
	MOVQ	$56, AX
	MOVQ	16(SP), DI
	MOVQ	SP, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	CMPQ	AX, $0
	JEQ	second
	XORL	DI, DI
	CMPQ	AX, $0
	JGT	exit
	SUBQ	AX, DI
exit:
	// exit_group(0 or errno)
	MOVQ	$231, AX
	SYSCALL
	JMP	exit
second:
	MOVQ	8(SP), AX
	XORPS	X15, X15
	CALL	24(SP)
	INT	$3
return:
	MOVQ	AX, result+48(FP)
	RET
