// This file starts the watch as a separate process with two forks. It also has what the children do before the exec.

package launcher

import (
	"fmt"
	"math"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
	"arenacap/launcher/watch"
	"arenacap/launcher/watch/protocol"
)

// doubleFork holds everything that the children need, allocated before the forks.
//
// The watch must not be a child of the target. So the first child forks and exits at once; it has no exit signal (clone(2)
// with signal 0), so the target never sees a SIGCHLD for it. The second child is adopted by init or by the nearest child
// sub-reaper, and becomes the watch by executing this program again.
//
// This process waits for the first child only. That child therefore does what must be done before the target runs: it
// leaves the target's session and group, so that it gets none of their signals, and closes the target's descriptors, since
// one of them may hold a lock. This process does not wait for the exec of the second child: that would delay the target.
// Unless the start waits for the watch, the second child waits for the end of the target's exec before it executes the
// watch (awaitExec).
type doubleFork struct {
	path, dir *byte
	argv, env []*byte
	place     [watchFDs]int
	open      []int  // descriptors to close if close_range(2) is missing (before Linux 5.9)
	awaited   bool   // the start waits until this watch is ready
	failed    []byte // message to write if the exec of the watch fails
	failedFD  uintptr
	log       *byte // path of the file for the message about a failed exec; if it is nil, or the file cannot be opened, the message goes to failedFD
}

func newDoubleFork(h *handover, cfg watch.Config) (*doubleFork, error) {
	argv, err := syscall.SlicePtrFromStrings([]string{protocol.ProcessName + strconv.Itoa(cfg.PID)})
	if err != nil {
		return nil, err
	}
	f := &doubleFork{argv: argv, env: []*byte{nil}, place: h.place, awaited: h.ready != 0}
	f.path, _ = syscall.BytePtrFromString("/proc/self/exe")
	f.dir, _ = syscall.BytePtrFromString("/")
	const reason = "/proc/self/exe cannot be executed"
	if f.awaited { // the launch waits in awaitReady, which reads the reason of the failure and returns it as an error
		f.failed, f.failedFD = []byte(reason), protocol.ReadyFD
	} else {
		text, file := cfg.FailedLine(reason + "; the target continues without a watch")
		f.failed, f.failedFD = text, 2
		if file != "" {
			f.log, err = syscall.BytePtrFromString(file)
		}
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_CLOSE_RANGE, math.MaxUint32, math.MaxUint32, 0); errno != 0 {
		f.open = openDescriptors()
	}
	return f, err
}

// fork forks twice and waits for the first child.
func (f *doubleFork) fork() error {
	child, err := origin.Fork(0, f)
	if err != nil {
		return err
	}
	var status unix.WaitStatus
	// Without __WALL, wait4 does not wait for a child without an exit signal (wait(2), "clone" child).
	_, err = proc.Retry(func() (int, error) { return unix.Wait4(child, &status, unix.WALL, nil) })
	switch {
	case err != nil:
		return fmt.Errorf("wait: %w", err)
	case status.Signaled():
		return fmt.Errorf("fork: the first child was killed by %s", status.Signal())
	case status.ExitStatus() != 0:
		return fmt.Errorf("fork: %w", syscall.Errno(status.ExitStatus()))
	}
	return nil
}

// Run is the code of the first child: it forks the second child. The errno of that fork is the result, which becomes the
// first child's exit status.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (f *doubleFork) Run() syscall.Errno {
	f.leaveTarget()
	child, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if child != 0 || errno != 0 {
		return errno
	}
	return f.becomeWatch()
}

// leaveTarget leaves the target's session and working directory and closes its descriptors.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (f *doubleFork) leaveTarget() {
	syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
	syscall.RawSyscall(syscall.SYS_CHDIR, uintptr(unsafe.Pointer(f.dir)), 0, 0)
	for i := 0; i < watchFDs; i++ {
		if f.place[i] != i {
			syscall.RawSyscall(syscall.SYS_DUP3, uintptr(f.place[i]), uintptr(i), 0)
		}
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_CLOSE_RANGE, watchFDs, math.MaxUint32, 0)
	for i := 0; errno != 0 && i < len(f.open); i++ {
		if f.open[i] >= watchFDs {
			syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(f.open[i]), 0, 0)
		}
	}
}

// becomeWatch is the code of the second child. It returns only if the exec failed, after it has reported the failure.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (f *doubleFork) becomeWatch() syscall.Errno {
	if !f.awaited {
		awaitExec()
	}
	var none origin.State
	none.Restore(true)
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(f.path)),
		uintptr(unsafe.Pointer(&f.argv[0])), uintptr(unsafe.Pointer(&f.env[0])))
	f.tellFailure()
	return errno
}

// awaitExec returns when the other end of the configuration pipe closes, which means that the target's exec has succeeded
// or failed. Without this wait the watch, running on the sibling hyper-thread, delayed the target by 0.3 ms.
//
//go:nosplit
//go:norace
func awaitExec() {
	// The events are 0: poll(2) always reports POLLHUP, and with POLLIN it would return at once, because the pipe holds the
	// configuration.
	hangUp := unix.PollFd{Fd: protocol.ConfigFD}
	syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&hangUp)), 1, 0, 0, 0, 0)
}

// tellFailure reports that the watch could not be executed: in the log, or on failedFD if the log cannot be opened.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (f *doubleFork) tellFailure() {
	if f.log != nil {
		fd, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, atCWD, uintptr(unsafe.Pointer(f.log)),
			syscall.O_WRONLY|syscall.O_APPEND|syscall.O_CREAT|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0o640, 0, 0)
		if errno == 0 {
			f.failedFD = fd
		}
	}
	syscall.RawSyscall(syscall.SYS_WRITE, f.failedFD, uintptr(unsafe.Pointer(&f.failed[0])), uintptr(len(f.failed)))
}

// atCWD is AT_FDCWD as a raw system call argument.
const atCWD = ^uintptr(-unix.AT_FDCWD - 1)
