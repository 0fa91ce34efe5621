#include "textflag.h"

// See handler_linux_amd64.s. On the stack: the return address, the signal, the addresses of siginfo_t and of
// the context, which has uc_sigmask at 108.
TEXT ·handle(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	·pipe(SB), BX
	MOVL	8(SP), CX
	MOVL	$128, DX
	MOVL	$4, AX
	INT	$0x80
	MOVL	$224, AX // gettid()
	INT	$0x80
	CMPL	AX, ·first(SB)
	JEQ	done
	MOVL	12(SP), CX
	MOVL	·others+0(SB), AX
	ORL	AX, 108(CX)
	MOVL	·others+4(SB), AX
	ORL	AX, 112(CX)
done:
	RET

TEXT ·handleRaised(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	8(SP), CX
	MOVL	8(CX), AX
	CMPL	AX, $0
	JLE	sent
	JMP	·toRuntime(SB)
sent:
	JMP	·handle(SB)

TEXT ·handlePreempt(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	8(SP), CX
	MOVL	8(CX), AX
	CMPL	AX, $-6
	JNE	sent
	MOVL	12(CX), AX
	CMPL	AX, ·first(SB)
	JNE	sent
	JMP	·toRuntime(SB)
sent:
	JMP	·handle(SB)

TEXT ·toRuntime(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	4(SP), CX
	LEAL	·runtime(SB), AX
	MOVL	(AX)(CX*4), AX
	JMP	AX

TEXT ·restore(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	$173, AX
	INT	$0x80
	INT	$3

TEXT ·handlerAddress(SB),NOSPLIT,$0-4
	LEAL	·handle(SB), AX
	MOVL	AX, ret+0(FP)
	RET

TEXT ·raisedHandlerAddress(SB),NOSPLIT,$0-4
	LEAL	·handleRaised(SB), AX
	MOVL	AX, ret+0(FP)
	RET

TEXT ·preemptHandlerAddress(SB),NOSPLIT,$0-4
	LEAL	·handlePreempt(SB), AX
	MOVL	AX, ret+0(FP)
	RET

TEXT ·restorerAddress(SB),NOSPLIT,$0-4
	LEAL	·restore(SB), AX
	MOVL	AX, ret+0(FP)
	RET
