#include "textflag.h"

// See forkTwice in detach_linux.go. The kernel's convention: number in AX, arguments in BX, CX, DX, SI, DI. That of Go's
// functions: the argument at 0(SP). What a child needs after a call is on its stack behind that.
TEXT ·forkTwice(SB),NOSPLIT|NOFRAME,$0-28
	MOVL	stack+4(FP), CX
	MOVL	f+0(FP), AX
	MOVL	AX, 0(CX)
	MOVL	second+12(FP), AX
	MOVL	AX, 4(CX)
	MOVL	become+20(FP), AX
	MOVL	AX, 8(CX)
	MOVL	leave+16(FP), BP
	MOVL	first+8(FP), BX
	// clone(first, stack, …)
	MOVL	$120, AX
	XORL	DX, DX
	XORL	SI, SI
	XORL	DI, DI
	INT	$0x80
	CMPL	AX, $0
	JNE	return
	CALL	BP
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
	CALL	8(SP)
	INT	$3
return:
	MOVL	AX, result+24(FP)
	RET
