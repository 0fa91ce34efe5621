package watch

// This file holds one process by a pidfd, and reads its size.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// procRoot is the mount point of proc(5).
const procRoot = "/proc"

// process is a process held by a pidfd, so that a later process with its PID is not taken for it. Without pidfds
// (before Linux 5.3, or under a seccomp filter) a descriptor of its /proc folder holds it instead; the watch then
// notices its end up to one interval late.
type process struct {
	pid     int
	pidfd   int           // descriptor of the process; -1: none
	dir     int           // descriptor of /proc/PID if there is no pidfd; else -1
	statm   int           // descriptor of /proc/PID/statm; -1 if it is opened for each sample
	line    [7 * 21]byte  // buffer for statm: seven numbers of at most 20 digits
	parent  int           // PID of the parent when the process was opened
	name    string        // name as in /proc/PID/comm, at most 15 bytes
	born    time.Duration // start time since boot
	virtual uint64        // virtual size in bytes at the last sample that was added to a reading (readOne); 0: none
	group   string        // folder of the target's control group, for scope "cgroup"

	arenas census
}

// ownProc returns an error if /proc belongs to another PID namespace (unshare -pf without --mount-proc): there a PID leads to
// the folder of another process. /proc/self contains this process's PID in the namespace of that /proc (proc(5)).
func ownProc() error {
	self, err := os.Readlink(procRoot + "/self")
	if err != nil {
		return fmt.Errorf("/proc cannot be used: %w; mount a /proc for this PID namespace", err)
	}
	if self != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("/proc belongs to another PID namespace, where this process has PID %s instead of %d; mount a /proc for this namespace, for example with unshare --mount-proc", self, os.Getpid())
	}
	return nil
}

// hold opens a process. The argument "pidfd" is an open pidfd, which the process then owns, or -1.
func hold(pid, pidfd int) (*process, error) {
	p := &process{pid: pid, pidfd: pidfd, dir: -1, statm: -1}
	if err := p.openAll(); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

func (p *process) openAll() (err error) {
	if p.pidfd < 0 && p.dir < 0 {
		if err := p.openHandle(); err != nil {
			return err
		}
	}
	if err := p.changeHandle(); err != nil {
		return err
	}
	s, err := p.stat()
	if err != nil {
		return err
	}
	p.name, p.parent, p.born = s.Name, s.Parent, s.Started
	if p.statm, err = p.open("statm"); err != nil {
		return fmt.Errorf("the memory size of process %d cannot be read: %w", p.pid, err)
	}
	return nil
}

// openHandle opens a pidfd, or the process's /proc folder if there are no pidfds.
func (p *process) openHandle() error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	switch {
	case err == nil:
		p.pidfd = fd
		return nil
	case err == unix.ESRCH:
		return fmt.Errorf("no process has PID %d: %w", p.pid, err)
	case err == unix.EMFILE || err == unix.ENFILE:
		return fmt.Errorf("process %d cannot be opened: %w", p.pid, err)
	case err == unix.ENOENT, err == unix.EINVAL: // pidfd_open(2) of a thread: EINVAL, on newer kernels ENOENT
		return fmt.Errorf("%d is not the PID of a process; the number may be a thread ID: %w", p.pid, err)
	}
	return p.openDir()
}

func (p *process) openDir() (err error) {
	p.dir, err = unix.Open(filepath.Join(procRoot, strconv.Itoa(p.pid)), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("no process has PID %d: %w", p.pid, unix.ESRCH)
	}
	return err
}

// changeHandle replaces the pidfd by the /proc folder if a seccomp filter forbids ppoll(2). It opens the folder first;
// if a signal 0 through the pidfd then does not fail with ESRCH, the folder belongs to the same process.
func (p *process) changeHandle() error {
	if p.pidfd < 0 {
		return nil
	}
	if _, err := poll(p.pidfd); err == nil {
		return nil
	}
	if err := p.openDir(); err != nil {
		return err
	}
	err := unix.PidfdSendSignal(p.pidfd, 0, nil, 0)
	_ = unix.Close(p.pidfd)
	p.pidfd = -1
	if err == unix.ESRCH {
		return fmt.Errorf("process %d has ended: %w", p.pid, err)
	}
	return nil
}

// open opens a file of the process in /proc. The path contains the PID, which may have been reused; if the pidfd shows
// afterwards that the process still runs, the file is its own.
func (p *process) open(name string) (int, error) {
	if p.dir >= 0 {
		return unix.Openat(p.dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	path := filepath.Join(procRoot, strconv.Itoa(p.pid), name)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if p.readable() {
		if err == nil {
			_ = unix.Close(fd)
		}
		return -1, unix.ESRCH
	}
	if err == unix.ENOENT {
		err = fmt.Errorf("%s: %w; is /proc mounted with hidepid?", path, err)
	}
	return fd, err
}

// executable returns the path of the program's file. The method "open" cannot do this, because it would open that file.
func (p *process) executable() (string, error) {
	dir, name := p.dir, "exe"
	if dir < 0 {
		dir, name = unix.AT_FDCWD, filepath.Join(procRoot, strconv.Itoa(p.pid), name)
	}
	path := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, path)
	if p.dir < 0 && p.readable() { // the PID may have been reused
		return "", unix.ESRCH
	}
	return string(path[:max(n, 0)]), err
}

// maxText is the number of bytes that the method "read" reads at most from a file: an environment has at most 6 MiB
// (execve(2)).
const maxText = 8 << 20

// read returns the content of a file of the process.
func (p *process) read(name string) ([]byte, error) {
	fd, err := p.open(name)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	if len(text) > 0 {
		return text, nil // on an error, return what was read before it
	}
	return nil, err
}

func (p *process) stat() (proc.Stat, error) {
	text, err := p.read("stat")
	if errors.Is(err, unix.ESRCH) {
		return proc.Stat{}, fmt.Errorf("process %d has ended: %w", p.pid, err)
	}
	if err != nil {
		return proc.Stat{}, fmt.Errorf("process %d cannot be read: %w", p.pid, err)
	}
	return proc.ParseStat(text)
}

// readable reports whether the pidfd says that the process has ended.
func (p *process) readable() bool {
	n, err := poll(p.pidfd)
	return err == nil && n > 0
}

// poll returns 1 if the descriptor is readable, 0 if not.
func poll(fd int) (n int, err error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	return proc.Retry(func() (int, error) { return unix.Poll(fds, 0) })
}

// ended reports whether the process has ended; a zombie has. If only the first thread has ended, the process still runs; a
// pidfd and the list of threads show the difference.
func (p *process) ended() bool {
	if p.pidfd >= 0 {
		return p.readable()
	}
	s, err := p.stat()
	return err != nil || s.Ended() && p.otherThread() == ""
}

// ending reports whether the process has ended or is ending: the kernel frees its memory first, and from then on its program
// and control group cannot be read.
func (p *process) ending() bool {
	_, ok := p.sample()
	return !ok || p.ended()
}

// sample reads statm through the open descriptor. The descriptor refers to the process: it survives execve(2), and after the
// process is reaped reads fail with ESRCH even if the PID was reused. ok is false if the process has no memory.
func (p *process) sample() (s proc.Statm, ok bool) {
	if p.statm < 0 {
		return p.sampleOnce()
	}
	s, ok = p.readStatm()
	if ok && s.Size == 0 {
		return p.sampleThread()
	}
	return s, ok
}

// sampleOnce samples a process whose statm is not kept open.
func (p *process) sampleOnce() (s proc.Statm, ok bool) {
	var err error
	if p.statm, err = p.open("statm"); err != nil {
		p.statm = -1
		return proc.Statm{}, false
	}
	defer p.openEachTime()
	return p.sample()
}

func (p *process) readStatm() (proc.Statm, bool) {
	n, err := unix.Pread(p.statm, p.line[:], 0)
	if err != nil {
		return proc.Statm{}, false
	}
	return proc.ParseStatm(p.line[:n])
}

// sampleThread reads the statm of another thread from now on. After the first thread has ended, its statm shows 0, but the
// other threads still have the shared memory.
func (p *process) sampleThread() (proc.Statm, bool) {
	tid := p.otherThread()
	if tid == "" {
		return proc.Statm{}, false
	}
	fd, err := p.open("task/" + tid + "/statm")
	if err != nil {
		return proc.Statm{}, false
	}
	_ = unix.Close(p.statm)
	p.statm = fd
	s, ok := p.readStatm()
	return s, ok && s.Size != 0
}

// threads returns the TIDs of the process.
func (p *process) threads() []string {
	fd, err := p.open("task")
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "task")
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return names
}

// otherThread returns the last thread other than the first; "": none.
func (p *process) otherThread() (tid string) {
	for _, name := range p.threads() {
		if name != strconv.Itoa(p.pid) {
			tid = name
		}
	}
	return tid
}

// openEachTime closes statm, so that each sample opens it again.
func (p *process) openEachTime() {
	_ = unix.Close(p.statm)
	p.statm = -1
}

// signal sends a signal to this process and never to another. pidfd_send_signal(2) accepts a descriptor of /proc/PID too.
func (p *process) signal(sig syscall.Signal) error {
	fd := p.pidfd
	if fd < 0 {
		fd = p.dir
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

func (p *process) release() {
	for _, fd := range []*int{&p.pidfd, &p.dir, &p.statm} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}

// sinceBoot is CLOCK_BOOTTIME (clock_gettime(2)), the clock of start times in /proc.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("CLOCK_BOOTTIME: " + err.Error()) // exists since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}
