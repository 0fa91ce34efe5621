// Package relay catches signals with what the kernel says of each: its number, its sender and its value.
//
// os/signal is no base for a process that stands in front of another one. It drops a real-time signal that
// comes twice, cannot tell the terminal's own INT, which the whole foreground group gets anyway, from one
// that somebody sent to this process, and a program that asks it for everything dies on 32 and 34. So the
// handler is ours: a few instructions that write the kernel's siginfo_t into a pipe (handler_linux_*.s).
// Signals that the processor raises in this program itself, and those by which Go's runtime preempts its own threads,
// go on to the runtime.
package relay

import (
	"encoding/binary"
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signal is one signal as it came.
type Signal struct {
	Number unix.Signal
	Code   int32 // si_code: FromKernel, or 0 and below for one that a process sent
	PID    int32 // of the sender, 0 where the kernel sent it
	UID    uint32
	info   [infoSize]byte
}

// FromKernel is SI_KERNEL, the si_code of what a terminal's keys send to its foreground group.
const FromKernel = 0x80

// infoSize is the size of siginfo_t on every Linux (sigaction(2)).
const infoSize = 128

// Not caught: KILL and STOP cannot be, 32 and 33 belong to the C library of the target.
func caught(n unix.Signal) bool { return n != unix.SIGKILL && n != unix.SIGSTOP && n != 32 && n != 33 }

// raised reports whether the processor or the kernel raises the signal for something that this program
// itself did; then it has to reach Go's runtime.
func raised(n unix.Signal) bool {
	switch n {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS:
		return true
	}
	return false
}

// preempts is what Go's runtime sends to its own threads. No thread may block it.
const preempts = unix.SIGURG

// lastSignal is SIGRTMAX of the kernel (signal(7)).
const lastSignal = 64

// The handler reads these.
var (
	//lint:ignore U1000 where it writes
	pipe int32
	//lint:ignore U1000 what every other thread blocks
	others  uint64
	first   int32                   // the process's first thread
	runtime [lastSignal + 1]uintptr // what handled a signal before that the runtime needs, by number
)

// In handler_linux_*.s: the addresses of what the kernel calls.
func handlerAddress() uintptr
func raisedHandlerAddress() uintptr
func preemptHandlerAddress() uintptr
func restorerAddress() uintptr

// Relay reads the signals of this process. They arrive in the kernel's order only where one thread takes
// them all, so every other thread blocks them, a new one from the first signal that it meets.
type Relay struct {
	fd      int
	ignored uint64
	blocked uint64
}

// Open catches every signal from here on, those too that were ignored or blocked. It must be called on the
// first thread. There is no way back, and only one Relay in a process.
func Open() (*Relay, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("no pipe for signals: %w", err)
	}
	// The handler must never wait: 64 KiB hold 512 signals that nobody has read yet, and a larger pipe, where
	// the system allows it, 8192.
	_, _ = unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, 1<<20)
	pipe, first = int32(p[1]), int32(unix.Getpid())
	r := &Relay{fd: p[0]}
	for n := unix.Signal(1); n <= lastSignal; n++ {
		before, err := r.inspect(n)
		if err != nil || !caught(n) {
			continue // the kernel has no action for KILL and STOP to ask for
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

// Before gives the signals that were ignored and those that were blocked on the first thread, bit n-1 for
// signal n. After Go's runtime has started this is less than what the process was given.
func (r *Relay) Before() (ignored, blocked uint64) { return r.ignored, r.blocked }

// Settle makes the handler run once in each other thread that there is, which blocks all signals there. A
// thread that Go starts later does so at the first signal that it takes, which may overtake others.
func (r *Relay) Settle() {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil && tid != int(first) {
			_ = unix.Tgkill(int(first), tid, ownSignal)
		}
	}
}

// ownSignal is what Settle sends; Take does not tell of it. Where RLIMIT_SIGPENDING is used up the kernel sends a
// signal without saying whose it is (Linux: kernel/signal.c, __send_signal_locked), and then it is told after
// all: so it is one that costs whoever hears of it a look at its children and no more.
const ownSignal = unix.SIGCHLD

// FD is readable when a signal has come.
func (r *Relay) FD() int { return r.fd }

// Take is the next signal that has come; ok is false where none has. It never waits.
func (r *Relay) Take() (s Signal, ok bool) {
	for {
		n, err := unix.Read(r.fd, s.info[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != infoSize { // the handler writes whole ones: a pipe splits nothing under PIPE_BUF
			return Signal{}, false
		}
		s.parse()
		if s.Number != ownSignal || s.Code != siTKill || s.PID != first {
			return s, true
		}
	}
}

// Raise does to this process what the signal does by default. It returns where that was nothing, or where it
// was a stop and the process has been continued; then the signal is caught again.
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

// Blocked runs do while this thread blocks a signal.
func Blocked(n unix.Signal, do func()) { masked(unix.SIG_BLOCK, 1<<(n-1), do) }

// Unblocked runs do while this thread blocks nothing, for what do starts to begin like that.
func Unblocked(do func()) { masked(unix.SIG_SETMASK, 0, do) }

// masked keeps do on one thread: a mask is the thread's, and Go moves a goroutine to another one at any system call.
func masked(how int, set uint64, do func()) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	before, err := setMask(how, set)
	do()
	if err == nil {
		_, _ = setMask(unix.SIG_SETMASK, before)
	}
}

func setMask(how int, set uint64) (before uint64, err error) {
	_, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("the mask of signals cannot be set: %w", errno)
	}
	return before, nil
}

// senderOffset is where si_pid stands: behind three ints, aligned as a pointer is.
const senderOffset = 8 + int(unsafe.Sizeof(uintptr(0)))

// parse reads siginfo_t. Its head is si_signo, si_errno, si_code (int each; MIPS has the last two the other
// way round), then si_pid and si_uid of a signal that a process sent
// (Linux: include/uapi/asm-generic/siginfo.h).
func (s *Signal) parse() {
	word := func(offset int) uint32 { return binary.NativeEndian.Uint32(s.info[offset:]) }
	s.Number, s.Code = unix.Signal(word(0)), int32(word(8))
	if s.Code <= 0 || s.Number == unix.SIGCHLD {
		s.PID, s.UID = int32(word(senderOffset)), word(senderOffset+4)
	}
}

// Queued reports whether sigqueue(3) sent it, with a value.
func (s Signal) Queued() bool { return s.Code == siQueue }

// Send sends the signal on to a process, with that value, or to a group, -pid, without it.
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

// si_code of sigqueue(3) and of tgkill(2).
const (
	siQueue = -1
	siTKill = -6
)

// kernelAction is struct sigaction of rt_sigaction(2), which is not the C library's.
type kernelAction struct {
	handler  uintptr
	flags    uintptr
	restorer uintptr
	mask     uint64
}

// Flags of sigaction(2), the same on all three architectures.
const (
	saSigInfo  = 0x4
	saRestorer = 0x04000000
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
)

// inspect notes whether a signal is ignored and gives what handles it.
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
		return fmt.Errorf("signal %d cannot be caught: %w", n, errno)
	}
	return nil
}
