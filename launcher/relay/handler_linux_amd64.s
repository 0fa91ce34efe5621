#include "textflag.h"

// The kernel calls a handler with the signal in DI, siginfo_t in SI and the context in DX, on the alternate
// stack. sigreturn(2) restores all registers afterwards. All signals are blocked while the handler runs.

// handle writes siginfo_t to the pipe, write(pipe, info, 128). In threads other than the first it also blocks the
// signals in the variable "others" from its return on: sigreturn sets the mask to uc_sigmask, at offset 296 of the
// context.
TEXT ·handle(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	DX, R12
	MOVL	·pipe(SB), DI
	MOVQ	$128, DX
	MOVQ	$1, AX
	SYSCALL
	MOVQ	$186, AX // gettid()
	SYSCALL
	CMPL	AX, ·first(SB)
	JEQ	done
	MOVQ	·others(SB), AX
	ORQ	AX, 296(R12)
done:
	RET

// handleRaised passes faults (si_code above 0) on to Go's runtime.
TEXT ·handleRaised(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	8(SI), AX
	CMPL	AX, $0
	JLE	sent
	JMP	·toRuntime(SB)
sent:
	JMP	·handle(SB)

// handlePreempt passes a signal on to Go's runtime if this process sent the signal to one of its own threads (si_code
// SI_TKILL, si_pid).
TEXT ·handlePreempt(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	8(SI), AX
	CMPL	AX, $-6
	JNE	sent
	MOVL	16(SI), AX
	CMPL	AX, ·first(SB)
	JNE	sent
	JMP	·toRuntime(SB)
sent:
	JMP	·handle(SB)

TEXT ·toRuntime(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	LEAQ	·runtime(SB), AX
	MOVQ	(AX)(DI*8), AX
	JMP	AX

// restore is the return address of a handler: rt_sigreturn().
TEXT ·restore(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	$15, AX
	SYSCALL
	INT	$3

TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	MOVQ	$·handle(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·raisedHandlerAddress(SB),NOSPLIT,$0-8
	MOVQ	$·handleRaised(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·preemptHandlerAddress(SB),NOSPLIT,$0-8
	MOVQ	$·handlePreempt(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·restorerAddress(SB),NOSPLIT,$0-8
	MOVQ	$·restore(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
