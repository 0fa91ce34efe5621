package watch

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where nothing happens, a watch is a loop of two system calls: epoll_pwait(2), which waits for the end of a
// process or the next sample, and pread(2) of statm. Made from Go in the usual way each wakes the runtime's
// scheduler, its monitor and a thread or two, which together cost more than both calls. So the loop lies in one
// long "system call", between the hooks that Go's own syscall package and x/sys use: to the scheduler this thread is in
// the kernel all the time. Code between the two must not grow its stack, allocate or write pointers to the heap; the
// compiler and the linker check the first (nosplit). What is not calm is left to the engine's loop, in ordinary Go.

// The runtime promises to keep these two as they are: "Do not remove or change the type signature. See go.dev/issue/67401."
//
//go:linkname entersyscall runtime.entersyscall
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// wholeLoop is whether the loop is one "system call". Where a word has 32 bits the wait alone is: the division of 64-bit
// numbers is a function there that checks the stack (runtime/vlop_386.s), which is fatal between the two.
const wholeLoop = unsafe.Sizeof(uintptr(0)) == 8

// doze waits until a process has ended, the eventfd was written to, or a turn is due at next or later, and samples
// who is quiet meanwhile. It returns at the time until at the latest. n is how many of events are set.
//
//go:norace
//go:nosplit
func (e *engine) doze(next, until time.Duration) (n int) {
	if wholeLoop {
		entersyscall()
	}
	for {
		now := bootTime()
		timeout := milliseconds(min(next, until) - now)
		if !wholeLoop {
			entersyscall()
		}
		n = epollWait(e.epoll, &e.events, timeout)
		if !wholeLoop {
			exitsyscall()
		}
		if n != 0 {
			break
		}
		if now = bootTime(); now >= until {
			break
		}
		var calm bool
		if next, calm = e.tend(now); !calm {
			break
		}
	}
	if wholeLoop {
		exitsyscall()
	}
	return n
}

// tend samples those that are quiet and due. It gives the time of the next sample or turn; calm is false where
// somebody needs a turn now.
//
//go:norace
//go:nosplit
func (e *engine) tend(now time.Duration) (next time.Duration, calm bool) {
	next, calm = never, true
	for _, w := range e.watched {
		if w.next <= now && w.quiet {
			n := w.herd.target.readStatm(&e.statm)
			calm = w.herd.target.same() && w.sampleQuietly(now, n) && calm
		}
		calm = calm && w.next > now
		next = min(next, w.next)
	}
	return next, calm
}

// sampleQuietly takes one sample, whose line has n bytes, and does nothing where it is not calm: the turn that
// follows then reads again.
//
//go:norace
//go:nosplit
func (w *watched) sampleQuietly(now time.Duration, n int) bool {
	p := w.herd.target
	s, ok := parseStatm(w.statm[:n])
	if !ok || s.size == 0 || !w.calm.holds(now, s) {
		return false
	}
	virtual := s.size * pageSize
	if w.counting && p.arenas.due(virtual) {
		return false
	}
	p.virtual = virtual
	w.outcome.PeakVirtual = max(w.outcome.PeakVirtual, virtual)
	w.outcome.PeakResident = max(w.outcome.PeakResident, s.resident*pageSize)
	w.due = nextSample(w.due, now, w.calm.wait(w.due, w.cfg.Budget.Interval, virtual))
	w.next = w.due
	return true
}

// statmLine holds a line of statm: seven numbers of at most 20 digits.
type statmLine [7 * 21]byte

// readStatm reads statm. n is 0 where it cannot be read. Where it has no descriptor of it, same must follow.
//
//go:norace
//go:nosplit
func (p *process) readStatm(line *statmLine) (n int) {
	fd := uintptr(p.statm)
	if p.statm < 0 {
		var errno syscall.Errno
		at := unix.AT_FDCWD
		fd, _, errno = syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&p.path)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
		if errno != 0 {
			return 0
		}
	}
	got, _, errno := syscall.RawSyscall6(unix.SYS_PREAD64, fd, uintptr(unsafe.Pointer(line)), unsafe.Sizeof(*line), 0, 0, 0)
	if p.statm < 0 {
		_, _, _ = syscall.RawSyscall6(unix.SYS_CLOSE, fd, 0, 0, 0, 0, 0)
	}
	if errno != 0 {
		return 0
	}
	return int(got)
}

// same reports whether what was read was this process's. By a path another's could be met; that this one is still
// alive afterwards proves that it was not.
//
//go:norace
//go:nosplit
func (p *process) same() bool {
	if p.statm >= 0 {
		return true
	}
	end := unix.PollFd{Fd: int32(p.pidfd), Events: unix.POLLIN}
	var noTime unix.Timespec
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&end)), 1, uintptr(unsafe.Pointer(&noTime)), 0, 0, 0)
	return errno == 0 && n == 0
}

// milliseconds is a timeout of epoll_pwait(2), rounded up.
//
//go:norace
//go:nosplit
func milliseconds(d time.Duration) uintptr {
	return uintptr(min((max(d, 0)+time.Millisecond-1)/time.Millisecond, 1<<30))
}

// epollWait gives the number of events, negative where the wait was interrupted.
//
//go:norace
//go:nosplit
func epollWait(fd int, events *[maxEvents]unix.EpollEvent, timeout uintptr) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(events)), maxEvents, timeout, 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

// bootTime is sinceBoot without the scheduler.
//
//go:norace
//go:nosplit
func bootTime() time.Duration {
	var t unix.Timespec
	_, _, _ = syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(int64(t.Sec)*1e9 + int64(t.Nsec))
}
