#include "textflag.h"

// entry: see entry_linux_amd64.s. System calls on i386: number in AX, arguments in BX, CX, DX, SI. A signal set
// is two words, the low one first.
TEXT ·entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	// rt_sigprocmask(SIG_BLOCK, NULL, &mask, 8)
	MOVL	$175, AX
	XORL	BX, BX
	XORL	CX, CX
	LEAL	·mask(SB), DX
	MOVL	$8, SI
	INT	$0x80
	// rt_sigtimedwait(&mask, &pending[n], &noTime, 8) until none is pending or 64 are taken; skipped if none is blocked
	XORL	DI, DI
	LEAL	·pending(SB), BP
	MOVL	·mask+0(SB), AX
	ORL	·mask+4(SB), AX
	JEQ	taken
take:
	MOVL	$177, AX
	LEAL	·mask(SB), BX
	MOVL	BP, CX
	LEAL	·noTime(SB), DX
	MOVL	$8, SI
	INT	$0x80
	CMPL	AX, $0
	JLE	taken
	ADDL	$128, BP
	INCL	DI
	CMPL	DI, $64
	JLT	take
taken:
	MOVL	DI, ·taken(SB)
	// rt_sigaction(n, NULL, &action, 8) for n from 1 to 64
	MOVL	$1, DI
next:
	MOVL	$174, AX
	MOVL	DI, BX
	XORL	CX, CX
	LEAL	·action(SB), DX
	MOVL	$8, SI
	INT	$0x80
	CMPL	AX, $0
	JNE	skip
	CMPL	·action(SB), $1 // SIG_IGN
	JNE	skip
	MOVL	DI, CX
	DECL	CX
	MOVL	$1, BP
	SHLL	CX, BP // by the low five bits of CX
	CMPL	DI, $32
	JGT	high
	ORL	BP, ·ignored+0(SB)
	JMP	skip
high:
	ORL	BP, ·ignored+4(SB)
skip:
	INCL	DI
	CMPL	DI, $64
	JLE	next
	// fcntl(fd, F_GETFD) for fd 0, 1 and 2
	XORL	DI, DI
	MOVL	$1, BP
descriptor:
	MOVL	$55, AX
	MOVL	DI, BX
	MOVL	$1, CX
	INT	$0x80
	CMPL	AX, $-9 // EBADF
	JNE	open
	ORL	BP, ·closed(SB)
open:
	SHLL	$1, BP
	INCL	DI
	CMPL	DI, $3
	JLT	descriptor
	MOVL	$1, ·known(SB)
	JMP	_rt0_386_linux(SB)
