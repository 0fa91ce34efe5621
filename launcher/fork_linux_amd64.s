#include "textflag.h"

// See forkTwice in detach_linux.go. The x86-64 convention: number in AX, arguments in DI, SI, DX, R10, R8; CX and R11
// are lost. What a child needs after a call is on its stack.
TEXT ·forkTwice(SB),NOSPLIT|NOFRAME,$0-40
	MOVQ	f+0(FP), R12
	MOVQ	stack+8(FP), SI
	MOVQ	second+24(FP), R13
	// clone(first, stack, …)
	MOVQ	$56, AX
	MOVQ	first+16(FP), DI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	CMPQ	AX, $0
	JNE	return
	MOVQ	R12, 0(SP)
	MOVQ	R13, 8(SP)
	CALL	·leaveTarget(SB)
	// clone(second, stack, …)
	MOVQ	$56, AX
	MOVQ	8(SP), DI
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
	CALL	·becomeWatch(SB)
	INT	$3
return:
	MOVQ	AX, result+32(FP)
	RET
