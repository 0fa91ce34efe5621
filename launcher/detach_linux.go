package launcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
)

// The watch is a process of its own that is no child of the target: it is forked twice. The first child
// forks and ends at once; it has no exit signal (clone(2) with signal 0), so not even a pending SIGCHLD
// of its can reach the target. The second child is then nobody's but init's, or the nearest child
// sub-reaper's, and becomes the watch by executing this very program.
//
// This process stands still until the first child has ended. So that child leaves the target's session and group, which a
// signal may be sent to as soon as the target runs, and lets go of its descriptors, of which one may hold a lock. The second
// one is not waited for, since the target must not wait for its exec, which comes after the target's unless the start waits
// for the watch.
//
// Descriptors of the watch: 0 and 1 are /dev/null; 2 is the target's stderr, which the watch lets go of once
// it has opened another log; 3 is the pipe with its configuration, whose other end closes when the target's exec succeeds;
// 4 is a pidfd of the target, or its folder in /proc; 5 is where it says that it is ready: a pipe where the start
// waits for that, else /dev/null, so that Go's runtime and the watch open nothing of their own at that place.
const (
	watchConfigFD = 3
	watchPidFD    = 4
	watchReadyFD  = 5
	watchFDs      = 6
	// ownFDs is the least number of a descriptor of ours before it is moved to its place in the watch:
	// above every place, and low enough for a process that may have only 16 of them.
	ownFDs = watchFDs
)

// readyTimeout bounds how long a start waits for its watch under on_watch_failure = "refuse".
const readyTimeout = 10_000 // milliseconds

// watchProcess is the launching side of a watch that was started.
type watchProcess struct{ config int }

// abandon tells the watch that the target did not start. It ends without a word.
func (w *watchProcess) abandon() {
	if w != nil {
		_, _ = unix.Write(w.config, []byte{'x'})
		_ = unix.Close(w.config)
	}
}

// startWatch forks the watch and hands it its configuration. With wait it returns only when the watch
// says that it can do its work.
func startWatch(config []byte, wait bool, line func(string) ([]byte, string)) (*watchProcess, error) {
	pid := os.Getpid()
	if err := CanDetach(); err != nil {
		return nil, fmt.Errorf("%w; use --supervise", err)
	}
	var own ownDescriptors
	defer own.close()
	w, err := own.configPipe(config)
	if err != nil {
		return nil, err
	}
	if err := own.open(pid, wait); err != nil {
		w.abandon()
		return nil, err
	}
	if err := forkWatch(pid, &own, line); err != nil {
		w.abandon()
		return nil, err
	}
	if wait {
		if err := own.awaitReady(); err != nil {
			w.abandon()
			return nil, err
		}
	}
	return w, nil
}

// CanDetach says where the kernel would make the watch a child of the target: orphans go to the nearest
// living child sub-reaper or to PID 1 of the namespace (Linux: kernel/exit.c, find_new_reaper), and that
// process is about to become the target.
func CanDetach() error {
	if os.Getpid() == 1 {
		return errors.New("arenacap is PID 1 here, and the watch would be the target's child")
	}
	var subreaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0)
	if err == nil && subreaper != 0 {
		return errors.New("arenacap is a child sub-reaper here, and the watch would be the target's child")
	}
	return nil
}

// ownDescriptors are the descriptors that the watch will find at the place of their index, and, behind
// them, the end of the ready pipe that stays here. All are close-on-exec: none reaches the target.
type ownDescriptors struct {
	fd    [watchFDs]int // -1 has nothing at that place
	null  int
	ready int
}

// close closes this process's copies; the watch has its own.
func (o *ownDescriptors) close() {
	if o.fd[watchReadyFD] == o.null {
		o.fd[watchReadyFD] = 0
	}
	for _, fd := range append(o.fd[watchConfigFD:], o.null, o.ready) {
		if fd > 0 {
			_ = unix.Close(fd)
		}
	}
}

// configPipe makes the pipe that carries the configuration: its length as four bytes, big-endian, and the
// JSON text. It is written before anything is forked, so it must fit into the pipe: no watch is waited for.
func (o *ownDescriptors) configPipe(config []byte) (*watchProcess, error) {
	r, w, err := highPipe()
	if err != nil {
		return nil, fmt.Errorf("no pipe for its configuration: %w", err)
	}
	o.fd[watchConfigFD] = r
	message := append(binary.BigEndian.AppendUint32(nil, uint32(len(config))), config...)
	if len(message) > 4096 { // one page is there in any case, pipe(7)
		_, _ = unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, len(message)+1)
	}
	n, err := unix.Write(w, message)
	if err == nil && n < len(message) {
		err = errors.New("it does not fit into a pipe")
	}
	if err != nil {
		_ = unix.Close(w)
		return nil, fmt.Errorf("its configuration of %d bytes cannot be handed over: %w", len(config), err)
	}
	return &watchProcess{config: w}, nil
}

// open gets the other descriptors.
func (o *ownDescriptors) open(pid int, wait bool) error {
	null, err := moveUp(unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0))
	if err != nil {
		return fmt.Errorf("/dev/null: %w", err)
	}
	o.null = null
	o.fd[0], o.fd[1], o.fd[2], o.fd[watchReadyFD] = null, null, 2, null
	if o.fd[watchPidFD], err = openTarget(pid); err != nil {
		return err
	}
	if !wait {
		return nil
	}
	if o.ready, o.fd[watchReadyFD], err = highPipe(); err != nil {
		return fmt.Errorf("no pipe to hear from it: %w", err)
	}
	return nil
}

// openTarget holds the process that is to become the target: a pidfd, or its folder in /proc where the
// kernel (before 5.3) or a seccomp filter has none.
func openTarget(pid int) (int, error) {
	fd, err := moveUp(unix.PidfdOpen(pid, 0))
	if err == nil || err == errFewDescriptors {
		return fd, err
	}
	folder, openErr := moveUp(unix.Open("/proc/"+strconv.Itoa(pid), unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0))
	if openErr != nil {
		return -1, fmt.Errorf("pidfd_open: %w, and /proc/%d: %w", err, pid, openErr)
	}
	return folder, nil
}

// awaitReady waits for the watch's word: "ready", or the reason why it cannot work.
func (o *ownDescriptors) awaitReady() error {
	_ = unix.Close(o.fd[watchReadyFD]) // so that the watch's end is the last one
	o.fd[watchReadyFD] = 0
	fds := []unix.PollFd{{Fd: int32(o.ready), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, readyTimeout)
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			return fmt.Errorf("it did not answer within %d s", readyTimeout/1000)
		}
		break
	}
	answer := make([]byte, 512)
	n, _ := unix.Read(o.ready, answer)
	switch {
	case n > 0 && string(answer[:n]) == "ready\n":
		return nil
	case n > 0:
		return errors.New(strings.TrimSpace(string(answer[:n])))
	}
	return errors.New("it ended before it was ready")
}

// highPipe is a close-on-exec pipe whose ends are above the places of the watch's descriptors. The write
// end never blocks.
func highPipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, err
	}
	if r, err = moveUp(p[0], nil); err != nil {
		_ = unix.Close(p[1])
		return 0, 0, err
	}
	if w, err = moveUp(p[1], nil); err != nil {
		_ = unix.Close(r)
		return 0, 0, err
	}
	return r, w, unix.SetNonblock(w, true)
}

func moveUp(fd int, err error) (int, error) {
	if err != nil || fd >= ownFDs {
		return fd, err
	}
	up, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, ownFDs)
	_ = unix.Close(fd)
	if err == unix.EINVAL || err == unix.EMFILE { // EINVAL: so low is RLIMIT_NOFILE itself, fcntl(2)
		err = errFewDescriptors
	}
	return up, err
}

var errFewDescriptors = errors.New("too many open files (RLIMIT_NOFILE); 'ulimit -n 16' is enough for arenacap")

// forkWatch forks twice and waits for the first child, which ends at once.
func forkWatch(pid int, own *ownDescriptors, line func(string) ([]byte, string)) error {
	f, err := newFork(pid, own, line)
	if err != nil {
		return err
	}
	child, err := origin.Fork(0, f)
	if err != nil {
		return err
	}
	var status unix.WaitStatus
	for {
		// __WALL: a child without an exit signal is a "clone" child, wait(2).
		_, err := unix.Wait4(child, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		break
	}
	switch {
	case status.Signaled():
		return fmt.Errorf("fork: the first child was killed by %s", status.Signal())
	case status.ExitStatus() != 0:
		return fmt.Errorf("fork: %w", syscall.Errno(status.ExitStatus()))
	}
	return nil
}

// forkPlan is everything that the children need, allocated before the fork.
type forkPlan struct {
	path, dir *byte
	argv, env []*byte
	fd        [watchFDs]int
	open      []int  // the descriptors to close where there is no close_range(2), before Linux 5.9
	awaited   bool   // the start waits for this watch
	failed    []byte // what to say where the exec of the watch fails
	failedFD  uintptr
	log       *byte // the file that it goes to; nil is none, and where it cannot be opened it goes to failedFD
}

func newFork(pid int, own *ownDescriptors, line func(string) ([]byte, string)) (*forkPlan, error) {
	argv, err := syscall.SlicePtrFromStrings([]string{"arenacap: watch " + strconv.Itoa(pid)})
	if err != nil {
		return nil, err
	}
	f := &forkPlan{argv: argv, env: []*byte{nil}, fd: own.fd}
	f.path, _ = syscall.BytePtrFromString("/proc/self/exe")
	f.dir, _ = syscall.BytePtrFromString("/")
	const reason = "/proc/self/exe cannot be executed"
	f.awaited = own.ready > 0
	if f.awaited { // the start says it in its own words
		f.failed, f.failedFD = []byte(reason), watchReadyFD
	} else {
		text, file := line(reason + "; the target goes on without a watch")
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

// Run is the first child: it makes the second one and ends with the errno of that, 0 for none.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (f *forkPlan) Run() syscall.Errno {
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
func (f *forkPlan) leaveTarget() {
	syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
	syscall.RawSyscall(syscall.SYS_CHDIR, uintptr(unsafe.Pointer(f.dir)), 0, 0)
	for i := 0; i < watchFDs; i++ {
		switch {
		case f.fd[i] < 0:
			syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(i), 0, 0)
		case f.fd[i] != i:
			syscall.RawSyscall(syscall.SYS_DUP3, uintptr(f.fd[i]), uintptr(i), 0)
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
func (f *forkPlan) becomeWatch() syscall.Errno {
	if !f.awaited {
		awaitExec()
	}
	var none origin.State
	none.Restore()
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
	hangUp := unix.PollFd{Fd: watchConfigFD} // POLLHUP needs no asking for, and the configuration is not what is waited for
	syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&hangUp)), 1, 0, 0, 0, 0)
}

// tellFailure says that the watch could not be executed: in the log, or where that cannot be opened on stderr.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (f *forkPlan) tellFailure() {
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
