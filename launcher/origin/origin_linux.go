// Package origin knows what this process was given at its start and gives it back before the target is
// executed: the signals that were ignored, blocked and pending, and which of the first three descriptors were closed.
//
// Go's runtime changes all of them before the first line of Go runs. It installs handlers, and after an exec
// a signal with a handler has its default action again (HUP and INT stay ignored: runtime/signal_unix.go,
// initsig); it takes many signals out of the blocked mask, and those that are pending end the process or are lost; and it opens /dev/null where 0, 1 or 2 is closed
// (runtime/fds_unix.go, checkfds). So the state is read before the runtime starts, by an entry point of our
// own in entry_linux_*.s that ends in the runtime's. The linker takes it with
// -ldflags '-E arenacap/launcher/origin.entry'; "go build" alone cannot choose an entry point. A plain build
// gives back what the runtime remembers, which is the mask.
//
// With it stands here what else goes past Go's runtime: runtime_linux.go has what is taken from it by name, bare_linux.go
// the fork and the exec.
package origin

import (
	"syscall"
	"unsafe"
)

// Filled in by entry, before the runtime runs. They hold no pointers.
var (
	known   uint64 // 1 once entry has run
	mask    uint64 // blocked signals, bit n-1 for signal n
	ignored uint64 // ignored signals, likewise
	closed  uint64 // bit n for descriptor n, 0 to 2

	//lint:ignore U1000 what rt_sigaction(2) writes to in entry: the kernel's struct sigaction, handler first
	action [20]uint64

	// The first 64 signals that were pending, taken before the runtime meets them. The kernel gives the lowest number first,
	// and the runtime leaves the highest ones blocked.
	pending [64]siginfo
	taken   uint64 // how many

	//lint:ignore U1000 the timespec that entry waits for
	noTime [2]uint64
)

// siginfo is the kernel's siginfo_t: signal, errno, code (sigaction(2)).
type siginfo [32]int32

// State is what this process was given at its start. A set of signals has bit n-1 for signal n.
type State struct {
	Ignored, Blocked uint64
	Closed           uint64 // bit n for descriptor n, 0 to 2
	Pending          uint64 // how many of those that entry took are to be pending again
}

// Found is the state at the start. ok is false in a build that was not linked with the entry point above.
//
//go:nosplit
//go:norace
func Found() (s State, ok bool) { return State{ignored, mask, closed, taken}, known != 0 }

// Recall gets the mask out of the runtime's memory where the build did not see it, before a fork of our own
// makes the runtime forget it (runtime/proc.go, syscall_runtime_BeforeFork). It costs the runtime its signal
// handlers, but for the one that lets a write to a broken pipe fail, so it belongs to a launch that is about to
// exec.
func Recall() {
	if known != 0 {
		return
	}
	var pipe [actionWords]uintptr
	now := setMask(nil)
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGPIPE), 0, uintptr(unsafe.Pointer(&pipe)), signals/8, 0, 0)
	afterForkInChild()
	mask, recalled = setMask(nil), true
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGPIPE), uintptr(unsafe.Pointer(&pipe)), 0, signals/8, 0, 0)
	setMask(&now)
}

// recalled says that mask is known in a build that saw nothing.
var recalled bool

// restore gives back what was found at the start, or what Recall could find of it. Only the exec of the
// target, or the end of this process, may follow: the runtime does not know of these changes.
//
//go:nosplit
//go:norace
func restore() {
	if s, ok := Found(); ok {
		s.Restore(false)
	} else if recalled {
		setMask(&mask)
	}
}

// setMask sets the mask of this thread, unless set is nil, and gives the one before.
//
//go:nosplit
//go:norace
func setMask(set *uint64) (before uint64) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(&before)), signals/8, 0, 0)
	return before
}

// Restore closes the descriptors, ignores the signals, sets the mask of this thread, which is the target's after an
// exec, and, last, makes signals pending. alone says that there is no other thread, as between fork and exec. It makes system calls only, so that it may run between fork and exec.
//
//go:nosplit
//go:norace
func (s *State) Restore(alone bool) {
	for fd := uintptr(0); fd < 3; fd++ {
		if s.Closed&(1<<fd) != 0 {
			syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0)
		}
	}
	act := [actionWords]uintptr{sigIgn}
	for n := uintptr(1); n <= signals; n++ {
		if s.Ignored&(1<<(n-1)) != 0 {
			syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&act)), 0, signals/8, 0, 0)
		}
	}
	setMask(&s.Blocked)
	for i := uint64(0); i < s.Pending; i++ {
		pending[i].raise(alone)
	}
}

// raise sends the signal with all that was said of it, to the thread where it was sent to that or where another thread,
// which does not block it, would take it.
//
//go:nosplit
//go:norace
func (s *siginfo) raise(alone bool) {
	pid, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	signal, info := uintptr(s[0]), uintptr(unsafe.Pointer(s))
	if s[2] == siTKill || !alone && unblocked>>(s[0]-1)&1 != 0 {
		syscall.RawSyscall6(syscall.SYS_RT_TGSIGQUEUEINFO, pid, pid, signal, info, 0, 0)
		return
	}
	syscall.RawSyscall6(syscall.SYS_RT_SIGQUEUEINFO, pid, signal, info, 0, 0, 0)
}

// dropHandlers gives every signal that has a handler its default action, as an exec does.
//
//go:nosplit
//go:norace
func dropHandlers() {
	for n := uintptr(1); n <= signals; n++ {
		var act [actionWords]uintptr
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, 0, uintptr(unsafe.Pointer(&act)), signals/8, 0, 0)
		if act[0] > sigIgn {
			act = [actionWords]uintptr{}
			syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&act)), 0, signals/8, 0, 0)
		}
	}
}

const (
	// Signals are numbered from 1 to 64 on Linux (signal(7)).
	signals = 64
	// sigIgn is SIG_IGN, in the first word of the kernel's struct sigaction; SIG_DFL is 0.
	sigIgn = 1
	// actionWords are more than the largest struct sigaction of any architecture has.
	actionWords = 8
	// sigSetMask is SIG_SETMASK of rt_sigprocmask(2).
	sigSetMask = 2
	// siTKill is SI_TKILL, the code of what tgkill(2) sent.
	siTKill = -6
	// unblocked are the signals that no thread of Go's blocks: 1 to 8, 11, 15 to 17, 23, 27, 31 to 34
	// (runtime/signal_unix.go, blockableSig; TestPending of cmd/arenacap).
	unblocked uint64 = 0xff | 1<<10 | 7<<14 | 1<<22 | 1<<26 | 15<<30
)
