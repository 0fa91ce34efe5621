#include "textflag.h"

// entry is the entry point of a release build. Go's runtime is not set up yet; only the stack of execve(2) and
// system calls are available. System calls on x86-64: number in AX, arguments in DI, SI, DX, R10; CX and R11
// are clobbered. The stack pointer must not change, because the runtime reads the arguments from it.
TEXT ·entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	// rt_sigprocmask(SIG_BLOCK, NULL, &mask, 8)
	MOVQ	$14, AX
	XORQ	DI, DI
	XORQ	SI, SI
	LEAQ	·mask(SB), DX
	MOVQ	$8, R10
	SYSCALL
	// rt_sigtimedwait(&mask, &pending[n], &noTime, 8) until none is pending or 64 are taken; skipped if none is blocked
	XORQ	R12, R12
	LEAQ	·pending(SB), R13
	CMPQ	·mask(SB), $0
	JEQ	taken
take:
	MOVQ	$128, AX
	LEAQ	·mask(SB), DI
	MOVQ	R13, SI
	LEAQ	·noTime(SB), DX
	MOVQ	$8, R10
	SYSCALL
	CMPQ	AX, $0
	JLE	taken
	ADDQ	$128, R13
	INCQ	R12
	CMPQ	R12, $64
	JLT	take
taken:
	MOVQ	R12, ·taken(SB)
	// rt_sigaction(n, NULL, &action, 8) for n from 1 to 64
	MOVQ	$1, R12
	MOVQ	$1, R13 // the bit of signal n
	XORQ	R14, R14 // set of ignored signals
next:
	MOVQ	$13, AX
	MOVQ	R12, DI
	XORQ	SI, SI
	LEAQ	·action(SB), DX
	MOVQ	$8, R10
	SYSCALL
	CMPQ	AX, $0
	JNE	skip
	CMPQ	·action(SB), $1 // SIG_IGN
	JNE	skip
	ORQ	R13, R14
skip:
	SHLQ	$1, R13
	INCQ	R12
	CMPQ	R12, $64
	JLE	next
	MOVQ	R14, ·ignored(SB)
	// fcntl(fd, F_GETFD) for fd 0, 1 and 2
	XORQ	R12, R12
	MOVQ	$1, R13
	XORQ	R14, R14
descriptor:
	MOVQ	$72, AX
	MOVQ	R12, DI
	MOVQ	$1, SI
	SYSCALL
	CMPQ	AX, $-9 // EBADF
	JNE	open
	ORQ	R13, R14
open:
	SHLQ	$1, R13
	INCQ	R12
	CMPQ	R12, $3
	JLT	descriptor
	MOVQ	R14, ·closed(SB)
	MOVQ	$1, ·known(SB)
	JMP	_rt0_amd64_linux(SB)
