// Package relay catches signals with their siginfo_t: number, sender and value.
//
// os/signal does not suffice for a supervisor. It drops a repeated real-time signal. It does not distinguish an INT from
// the terminal, which the whole foreground group receives anyway, from an INT that a process sent. And a Go program that
// requests all signals is killed by signals 32 and 34. So this package installs its own handler, a few instructions that
// write siginfo_t to a pipe (handler_linux_*.s). Faults of this program itself, and the signals by which Go's runtime
// preempts its threads, are passed on to the runtime.
//
// Known limit: a signal that comes before Open is not caught. PID 1 of a PID namespace ignores it until Go's runtime
// has its handlers (pid_namespaces(7)); after that SIGTERM, SIGINT or SIGHUP ends this process with status 2 instead of
// 128+n, because the runtime sends itself the signal, which cannot kill PID 1, and then exits (runtime/signal_unix.go,
// dieFromSignal). It does not help to block these signals in the function "entry" of package origin, before the runtime
// starts: the runtime unblocks them. Open in an init function was tried, and is hardly earlier.
package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signal is one received signal.
type Signal struct {
	Number unix.Signal
	Code   int32 // si_code: above 0 from the kernel, such as FromKernel; 0 and below if a process sent it
	PID    int32 // PID of the sender, or of a child that changed state; 0: the kernel, or another PID namespace
	UID    uint32
	info   [infoSize]byte
}

// FromKernel is SI_KERNEL, the si_code of the signals that a terminal's keys send to its foreground group.
const FromKernel = 0x80

// infoSize is the size of siginfo_t on every Linux (sigaction(2)).
const infoSize = 128

// caught excludes KILL and STOP, which cannot be caught, and 32 and 33, which the target's C library uses.
func caught(n unix.Signal) bool { return n != unix.SIGKILL && n != unix.SIGSTOP && n != 32 && n != 33 }

// raised reports whether the signal can be a fault of this program; then it must reach Go's runtime.
func raised(n unix.Signal) bool {
	switch n {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS:
		return true
	}
	return false
}

// preempts is the signal by which Go's runtime preempts its threads. No thread may block it.
const preempts = unix.SIGURG

// lastSignal is SIGRTMAX of the kernel (signal(7)).
const lastSignal = 64

// Variables that the handler reads.
var (
	//lint:ignore U1000 the descriptor it writes to
	pipe int32
	//lint:ignore U1000 the signals that all threads but the first block
	others  uint64
	first   int32                   // TID of the first thread, equal to the PID
	runtime [lastSignal + 1]uintptr // the runtime's handlers of the signals that are passed on to it, by number
)

// The addresses of the handlers in handler_linux_*.s.
func handlerAddress() uintptr
func raisedHandlerAddress() uintptr
func preemptHandlerAddress() uintptr
func restorerAddress() uintptr

// Relay reads the signals of this process. Signals keep the kernel's order only if one thread receives all of them, so all
// other threads block them. A new thread begins to block signals when it receives its first one.
type Relay struct {
	fd      int
	ignored uint64
	blocked uint64
}

// Open starts to catch all signals, including those that were ignored or blocked. Call it once, on the first thread. It
// cannot be undone.
func Open() (*Relay, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("cannot make a pipe for signals: %w", err)
	}
	// The handler must never block, so the pipe must hold all unread signals: 512 in the default 64 KiB, 8192 in 1 MiB,
	// which the system may refuse.
	_, _ = unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, 1<<20)
	pipe, first = int32(p[1]), int32(unix.Getpid())
	r := &Relay{fd: p[0]}
	for n := unix.Signal(1); n <= lastSignal; n++ {
		before, err := r.inspect(n)
		if err != nil || !caught(n) {
			continue
		}
		if raised(n) || n == preempts {
			runtime[n] = before
		} else {
			others |= 1 << (n - 1)
		}
		if err := setAction(n, handler(n), nil); err != nil {
			return nil, err
		}
	}
	r.Settle()
	var err error
	r.blocked, err = setMask(unix.SIG_SETMASK, 0)
	return r, err
}

// Before returns the signals that were ignored, and those that the first thread blocked, before Open; bit n-1 is signal n.
// The process may have inherited more of them, because Go's runtime has changed both sets at its start.
func (r *Relay) Before() (ignored, blocked uint64) { return r.ignored, r.blocked }

// Settle runs the handler once in each other existing thread, which makes that thread block the signals in the variable
// "others". A thread that starts later begins to block with its first signal, which may arrive out of order.
func (r *Relay) Settle() {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil && tid != int(first) {
			_ = unix.Tgkill(int(first), tid, ownSignal)
		}
	}
}

// ownSignal is the signal that Settle sends and Take drops. When RLIMIT_SIGPENDING is exhausted the kernel omits the
// sender (Linux: kernel/signal.c, __send_signal_locked), so that Take does not recognize the signal and returns it.
// SIGCHLD was chosen because a spurious SIGCHLD only makes the supervisor look for ended children once more.
const ownSignal = unix.SIGCHLD

// FD returns a descriptor that is readable while a signal is waiting.
func (r *Relay) FD() int { return r.fd }

// Take returns the next waiting signal; ok is false if there is none. It never blocks.
func (r *Relay) Take() (s Signal, ok bool) {
	for {
		n, err := unix.Read(r.fd, s.info[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != infoSize { // a read is never partial, because a pipe write of 128 bytes is atomic (pipe(7))
			return Signal{}, false
		}
		s.parse()
		if s.Number != ownSignal || s.Code != siTKill || s.PID != first {
			return s, true
		}
	}
}

// Raise applies the default action of the signal to this process. It returns if the action is to do nothing, or after a
// stop when the process is continued. Then the signal is caught again. Known limit: after SIGCONT, until this process
// has set its handler again, a stop key stops it by the default action, maybe before the target stops. sudo and su have
// the same limit.
func (r *Relay) Raise(n unix.Signal) error {
	if !caught(n) {
		return unix.Kill(int(first), n)
	}
	if err := setAction(n, &kernelAction{}, nil); err != nil {
		return err
	}
	if err := unix.Kill(int(first), n); err != nil {
		return err
	}
	return setAction(n, handler(n), nil)
}

// Stop stops this process until SIGCONT, as the stop key of a terminal does. It is for a program in which os/signal catches
// SIGTSTP: signal.Reset does not suffice, because it leaves the runtime's handler in place, which drops the signal. Stop
// returns at once if no process would continue this one, as in a container, because the kernel does not stop an orphaned
// process group. The signal is sent to this thread, so that it takes effect before the handler is installed again.
func Stop() error {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	var before kernelAction
	if err := setAction(unix.SIGTSTP, &kernelAction{}, &before); err != nil {
		return err
	}
	err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP)
	return errors.Join(err, setAction(unix.SIGTSTP, &before, nil))
}

// Blocked calls the function f with a signal blocked in this thread.
func Blocked(n unix.Signal, f func()) { withMask(unix.SIG_BLOCK, 1<<(n-1), f) }

// Unblocked calls the function f with no signal blocked in this thread, for a child that inherits this mask.
func Unblocked(f func()) { withMask(unix.SIG_SETMASK, 0, f) }

// withMask runs the function f with a changed signal mask. It locks the goroutine to its thread meanwhile, because the
// mask belongs to the thread and Go may move a goroutine to another.
func withMask(how int, set uint64, f func()) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	before, err := setMask(how, set)
	f()
	if err == nil {
		_, _ = setMask(unix.SIG_SETMASK, before)
	}
}

func setMask(how int, set uint64) (before uint64, err error) {
	_, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("cannot set the signal mask: %w", errno)
	}
	return before, nil
}

// senderOffset is the offset of si_pid: after three ints, aligned like a pointer.
const senderOffset = 8 + int(unsafe.Sizeof(uintptr(0)))

// parse parses siginfo_t. It begins with the ints si_signo, si_errno, si_code (MIPS swaps the last two). If a process sent
// the signal, si_pid and si_uid follow (Linux: include/uapi/asm-generic/siginfo.h).
func (s *Signal) parse() {
	word := func(offset int) uint32 { return binary.NativeEndian.Uint32(s.info[offset:]) }
	s.Number, s.Code = unix.Signal(word(0)), int32(word(8))
	if s.Code <= 0 || s.Number == unix.SIGCHLD {
		s.PID, s.UID = int32(word(senderOffset)), word(senderOffset+4)
	}
}

// Queued reports whether sigqueue(3) sent the signal, with a value.
func (s Signal) Queued() bool { return s.Code == siQueue }

// Send forwards the signal to a process, with the value that sigqueue(3) gave it. If pid is negative, Send forwards the
// signal to the process group -pid, without a value.
func (s Signal) Send(pid int) error {
	if s.Queued() && pid > 0 {
		info := s.info
		_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(s.Number), uintptr(unsafe.Pointer(&info)))
		if errno == 0 {
			return nil
		}
	}
	return unix.Kill(pid, s.Number)
}

// These are the values of si_code for sigqueue(3) and tgkill(2).
const (
	siQueue = -1
	siTKill = -6
)

// kernelAction is the kernel's struct sigaction, which differs from the C library's.
type kernelAction struct {
	handler  uintptr
	flags    uintptr
	restorer uintptr
	mask     uint64
}

// These flags of sigaction(2) are the same on 386, amd64 and arm64.
const (
	saSigInfo  = 0x4
	saRestorer = 0x04000000
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
)

// inspect records whether a signal is ignored and returns its handler.
func (r *Relay) inspect(n unix.Signal) (handler uintptr, err error) {
	var act kernelAction
	err = setAction(n, nil, &act)
	if err == nil && act.handler == sigIgn {
		r.ignored |= 1 << (n - 1)
	}
	return act.handler, err
}

// sigIgn is SIG_IGN.
const sigIgn = 1

func handler(n unix.Signal) *kernelAction {
	act := &kernelAction{
		handler:  handlerAddress(),
		flags:    saSigInfo | saOnStack | saRestart | saRestorer,
		restorer: restorerAddress(),
		mask:     ^uint64(0),
	}
	if raised(n) {
		act.handler = raisedHandlerAddress()
	} else if n == preempts {
		act.handler = preemptHandlerAddress()
	}
	return act
}

func setAction(n unix.Signal, act, old *kernelAction) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if errno != 0 {
		return fmt.Errorf("cannot set the action of signal %d: %w", n, errno)
	}
	return nil
}
