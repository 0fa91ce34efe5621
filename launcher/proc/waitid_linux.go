package proc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file waits for children.

// Change is a change of state of a child. The zero value means that waitid(2) found none.
type Change struct {
	PID    int
	Code   int // si_code: CLD_EXITED, CLD_STOPPED …
	Status int // exit status, or the signal that killed, stopped or continued the child
}

// Waitid calls waitid(2). The error is ECHILD if there is no child that idType and id select.
func Waitid(idType, id, options int) (Change, error) {
	// The structure siginfo_t has the ints si_signo, si_errno and si_code, then, aligned like a pointer, si_pid, si_uid and
	// si_status (sigaction(2)).
	var info [128 / 4]int32
	const child = (8 + unsafe.Sizeof(uintptr(0))) / 4
	_, err := Retry(func() (int, error) {
		return 0, unix.Waitid(idType, id, (*unix.Siginfo)(unsafe.Pointer(&info)), options, nil)
	})
	return Change{PID: int(info[child]), Code: int(info[2]), Status: int(info[child+2])}, err
}
