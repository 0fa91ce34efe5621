#include "textflag.h"

// See forkTwice in detach_linux.go. The i386 convention: number in AX, arguments in BX, CX, DX, SI, DI. What a child
// needs after a call is on its stack.
TEXT ·forkTwice(SB),NOSPLIT|NOFRAME,$0-20
	MOVL	f+0(FP), BP
	MOVL	stack+4(FP), CX
	MOVL	first+8(FP), BX
	MOVL	second+12(FP), AX
	MOVL	AX, 4(CX)
	// clone(first, stack, …)
	MOVL	$120, AX
	XORL	DX, DX
	XORL	SI, SI
	XORL	DI, DI
	INT	$0x80
	CMPL	AX, $0
	JNE	return
	MOVL	BP, 0(SP)
	CALL	·leaveTarget(SB)
	// clone(second, stack, …)
	MOVL	$120, AX
	MOVL	4(SP), BX
	MOVL	SP, CX
	XORL	DX, DX
	XORL	SI, SI
	XORL	DI, DI
	INT	$0x80
	CMPL	AX, $0
	JEQ	second
	XORL	BX, BX
	CMPL	AX, $0
	JGT	exit
	SUBL	AX, BX
exit:
	// exit_group(0 or errno)
	MOVL	$252, AX
	INT	$0x80
	JMP	exit
second:
	CALL	·becomeWatch(SB)
	INT	$3
return:
	MOVL	AX, result+16(FP)
	RET
