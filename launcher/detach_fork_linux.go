// The two forks that make a watch of a process of its own, and what its children do until its exec.

package launcher

import (
	"fmt"
	"math"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/watch"
)

// doubleFork is everything that the children need, allocated before the forks.
//
// The watch is no child of the target. The first child forks and ends at once; it has no exit signal (clone(2) with signal
// 0), so not even a pending SIGCHLD of its can reach the target. The second child is then nobody's but init's, or the
// nearest child sub-reaper's, and becomes the watch by executing this very program.
//
// This process stands still until the first child has ended. So that child leaves the target's session and group, which a
// signal may be sent to as soon as the target runs, and lets go of its descriptors, of which one may hold a lock. The second
// one is not waited for, since the target must not wait for its exec, which comes after the target's unless the start waits
// for the watch.
type doubleFork struct {
	path, dir *byte
	argv, env []*byte
	place     [watchFDs]int
	open      []int  // the descriptors to close where there is no close_range(2), before Linux 5.9
	awaited   bool   // the start waits for this watch
	failed    []byte // what to say where the exec of the watch fails
	failedFD  uintptr
	log       *byte // the file that it goes to; nil is none, and where it cannot be opened it goes to failedFD
}

func newDoubleFork(h *handover, cfg watch.Config) (*doubleFork, error) {
	argv, err := syscall.SlicePtrFromStrings([]string{watch.ProcessName + strconv.Itoa(cfg.PID)})
	if err != nil {
		return nil, err
	}
	f := &doubleFork{argv: argv, env: []*byte{nil}, place: h.place, awaited: h.ready != 0}
	f.path, _ = syscall.BytePtrFromString("/proc/self/exe")
	f.dir, _ = syscall.BytePtrFromString("/")
	const reason = "/proc/self/exe cannot be executed"
	if f.awaited { // the start says it in its own words
		f.failed, f.failedFD = []byte(reason), watch.ReadyFD
	} else {
		text, file := watch.FailedLine(cfg, cfg.PID, reason+"; the target goes on without a watch")
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
	err = uninterrupted(func() error {
		// __WALL: a child without an exit signal is a "clone" child, wait(2).
		_, err := unix.Wait4(child, &status, unix.WALL, nil)
		return err
	})
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

// Run is the first child: it makes the second one and ends with the errno of that, 0 for none.
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

// leaveTarget leaves the target's session, folder and descriptors.
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

// becomeWatch is the second child. It returns where there is no watch, and has said so.
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

// awaitExec returns when the other end of the configuration's pipe closes: the target's exec has succeeded, or there is
// none. To start beside it, on the other half of the same core, delayed the target by a third of a millisecond.
//
//go:nosplit
//go:norace
func awaitExec() {
	hangUp := unix.PollFd{Fd: watch.ConfigFD} // POLLHUP needs no asking for, and the configuration is not what is waited for
	syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&hangUp)), 1, 0, 0, 0, 0)
}

// tellFailure says that the watch could not be executed: in the log, or where that cannot be opened on stderr.
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

// atCWD is AT_FDCWD as a system call takes it.
const atCWD = ^uintptr(-unix.AT_FDCWD - 1)
