// Package origin saves the state that this process inherited and restores it before the target is executed: ignored,
// blocked and pending signals, and which of descriptors 0 to 2 were closed.
//
// Go's runtime changes this state before any Go code runs. It installs handlers, and execve(2) resets a signal
// with a handler to its default action (HUP and INT stay ignored: runtime/signal_unix.go, initsig). It unblocks many
// signals, so that pending ones end the process or are lost. It opens /dev/null if descriptor 0, 1 or 2 is closed
// (runtime/fds_unix.go, checkfds). Therefore our own entry point, in entry_linux_*.s, saves the state and then
// jumps to the runtime's entry point. It needs the linker flag -ldflags '-E arenacap/launcher/origin.entry'. A plain
// "go build" cannot select it; such a build restores only the mask, which the runtime remembers.
//
// The package also holds the other code that bypasses the runtime: runtime_linux.go links to its internal functions,
// bare_linux.go forks and executes.
package origin

import (
	"syscall"
	"unsafe"
)

// The function "entry", the entry point of a release, fills these in before Go's runtime runs.
var (
	known   uint64 // 1 once the function "entry" has run
	mask    uint64 // blocked signals, bit n-1 for signal n
	ignored uint64 // ignored signals, bit n-1 for signal n
	closed  uint64 // bit n for descriptor n, 0 to 2

	//lint:ignore U1000 entry's buffer for rt_sigaction(2): the kernel's struct sigaction, handler first
	action [20]uint64

	// The first 64 pending signals, which entry takes from the kernel before the runtime can. The kernel gives the lowest
	// numbers first. If more are pending, the rest have high numbers, which the runtime leaves blocked.
	pending [64]siginfo
	taken   uint64 // number of entries in pending

	//lint:ignore U1000 entry's timeout for rt_sigtimedwait(2): 0
	noTime [2]uint64
)

// siginfo is the kernel's siginfo_t, which begins with signal, errno and code (sigaction(2)).
type siginfo [32]int32

// State is the state that this process inherited. A set of signals has bit n-1 for signal n.
type State struct {
	Ignored, Blocked uint64
	Closed           uint64 // bit n for descriptor n, 0 to 2
	Pending          uint64 // number of saved pending signals to raise again
}

// Found returns the inherited state. ok is false in a build without the entry point of this package.
//
//go:nosplit
//go:norace
func Found() (s State, ok bool) { return State{ignored, mask, closed, taken}, known != 0 }

// Recall gets the inherited mask from the runtime's memory in a build without the entry point of this package. Call Recall
// before the first fork, because a fork makes the runtime overwrite the mask (runtime/proc.go, syscall_runtime_BeforeFork).
// Call Recall only shortly before an exec, because it removes the runtime's signal handlers. Recall keeps the handler
// of PIPE: without this handler, a write to a broken pipe would kill this process.
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

// recalled is true once Recall has set the variable "mask".
var recalled bool

// restore restores the inherited state. If only the signal mask is known, from Recall, it restores only the mask. Nothing but
// an exec or exit may follow, because the runtime does not know of these changes.
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

// setMask sets the signal mask of this thread, unless set is nil, and returns the previous one.
//
//go:nosplit
//go:norace
func setMask(set *uint64) (before uint64) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(&before)), signals/8, 0, 0)
	return before
}

// Restore closes the descriptors, ignores the signals, sets the mask of this thread, which an exec passes on, and finally
// raises the pending signals. The parameter "alone" is true if the process has no other thread, as between fork and exec.
// Restore may run between fork and exec, because it makes only raw system calls.
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

// raise makes the signal pending again, with its siginfo. It sends the signal to this thread if the original signal was sent
// to this thread, or if another thread does not block the signal and would receive it (never if the argument "alone" is
// true). Otherwise raise sends the signal to the process.
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

// dropHandlers resets signals with a handler to their default action, as execve(2) does.
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
	// actionWords is enough for struct sigaction on every architecture.
	actionWords = 8
	// sigSetMask is SIG_SETMASK of rt_sigprocmask(2).
	sigSetMask = 2
	// siTKill is SI_TKILL, the code of a signal from tgkill(2).
	siTKill = -6
	// unblocked are the signals that no thread of Go's runtime blocks: 1 to 8, 11, 15 to 17, 23, 27, 31 to 34
	// (runtime/signal_unix.go, blockableSig; TestPending of cmd/arenacap).
	unblocked uint64 = 0xff | 1<<10 | 7<<14 | 1<<22 | 1<<26 | 15<<30
)
