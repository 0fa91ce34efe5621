// Package origin knows what this process was given at its start and gives it back before the target is
// executed: the signals that were ignored, the signals that were blocked, and which of the first three
// descriptors were closed.
//
// Go's runtime changes all three before the first line of Go runs. It installs handlers, and after an exec
// a signal with a handler has its default action again (only HUP, INT, PIPE and a few others stay ignored:
// runtime/signal_unix.go, initsig); it takes CHLD and URG out of the blocked mask; and it opens /dev/null
// where 0, 1 or 2 is closed (runtime/fds_unix.go, checkfds). So the state is read before the runtime
// starts, by an entry point of our own in entry_linux_*.s that ends in the runtime's. The linker takes it
// with -ldflags '-E arenacap/launcher/origin.entry'; "go build" alone cannot choose an entry point, so a
// plain build does not know and Restore leaves things as the runtime made them.
package origin

import (
	"syscall"
	"unsafe"
)

// Filled in by entry, before the runtime runs. They hold no pointers.
var (
	known   uint64     // 1 once entry has run
	mask    uint64     // blocked signals, bit n-1 for signal n
	ignored uint64     // ignored signals, likewise
	closed  uint64     // bit n for descriptor n, 0 to 2
	action  [20]uint64 // what rt_sigaction(2) writes to: struct sigaction of the kernel, handler first
)

// Known reports whether this build saw the state: whether it was linked with the entry point above.
func Known() bool { return known != 0 }

// Restore gives back what was found at the start. Only the exec of the target, or the end of this process,
// may follow: the runtime does not know of these changes.
func Restore() {
	if !Known() {
		return
	}
	for fd := range uintptr(3) {
		if closed&(1<<fd) != 0 {
			syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0)
		}
	}
	ignore()
	block()
}

// Signals are numbered from 1 to 64 on Linux (signal(7)).
const signals = 64

// sigIgn is SIG_IGN, in the first word of the kernel's struct sigaction.
const sigIgn = 1

// ignore makes the signals ignored again that were. KILL and STOP cannot be; the kernel refuses them.
func ignore() {
	var act [20]uintptr // the largest struct sigaction of any architecture is smaller
	act[0] = sigIgn
	for n := uintptr(1); n <= signals; n++ {
		if ignored&(1<<(n-1)) != 0 {
			syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&act)), 0, signals/8, 0, 0)
		}
	}
}

// sigSetMask is SIG_SETMASK of rt_sigprocmask(2).
const sigSetMask = 2

// block sets the mask of this thread, which is the target's after an exec.
func block() {
	set := mask
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(&set)), 0, signals/8, 0, 0)
}
