#include "textflag.h"

// See handler_linux_amd64.s. The signal is in R0, siginfo_t in R1, the context in R2; LR is restore.
TEXT ·handle(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	R2, R9
	MOVW	·pipe(SB), R0
	MOVD	$128, R2
	MOVD	$64, R8
	SVC
	MOVD	$178, R8 // gettid()
	SVC
	MOVW	·first(SB), R10
	CMPW	R0, R10
	BEQ	done
	MOVD	·others(SB), R10
	MOVD	40(R9), R11 // uc_sigmask
	ORR	R10, R11, R11
	MOVD	R11, 40(R9)
done:
	RET

TEXT ·handleRaised(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVW	8(R1), R9
	CMPW	$0, R9
	BLE	sent
	B	·toRuntime(SB)
sent:
	B	·handle(SB)

TEXT ·handlePreempt(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVW	8(R1), R9
	CMNW	$6, R9
	BNE	sent
	MOVW	16(R1), R9
	MOVW	·first(SB), R10
	CMPW	R9, R10
	BNE	sent
	B	·toRuntime(SB)
sent:
	B	·handle(SB)

TEXT ·toRuntime(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	$·runtime(SB), R9
	MOVD	(R9)(R0<<3), R9
	JMP	(R9)

TEXT ·restore(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	$139, R8
	SVC
	BRK

TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	MOVD	$·handle(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·raisedHandlerAddress(SB),NOSPLIT,$0-8
	MOVD	$·handleRaised(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·preemptHandlerAddress(SB),NOSPLIT,$0-8
	MOVD	$·handlePreempt(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·restorerAddress(SB),NOSPLIT,$0-8
	MOVD	$·restore(SB), R0
	MOVD	R0, ret+0(FP)
	RET
