package watch

// One process that is held by its pidfd, and sampled.

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

// procRoot is where the kernel shows its processes.
const procRoot = "/proc"

// process is one process that is held: its number is never looked up again. Where the kernel has no pidfd
// (before Linux 5.3, or under a seccomp filter) the descriptor of its /proc folder holds it as well; only
// its end is then seen a sample late.
type process struct {
	pid     int
	pidfd   int           // -1 is none
	dir     int           // /proc/PID, only where there is no pidfd, else -1
	statm   int           // -1 is none: it is opened for each sample
	line    [7 * 21]byte  // the last line of statm, seven numbers of at most 20 digits
	parent  int           // when it was first held
	name    string        // as the kernel has it, at most 15 bytes
	born    time.Duration // since boot
	virtual uint64        // bytes at the last sample that counted; 0 is none
	group   string        // its control group's folder, where that counts

	arenas census
}

// ownProc refuses a /proc that shows another PID namespace than this process's (unshare -pf without --mount-proc):
// a PID leads to another process's folder there. /proc/self is this process as that /proc numbers it (proc(5)).
func ownProc() error {
	self, err := os.Readlink(procRoot + "/self")
	if err != nil {
		return fmt.Errorf("no process can be watched through /proc: %w; mount one that shows this PID namespace", err)
	}
	if self != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("/proc shows another PID namespace, in which this process is %s and not %d; mount one that shows its own (unshare --mount-proc)", self, os.Getpid())
	}
	return nil
}

// hold opens a process. pidfd is one of it that the caller has and gives away, or -1.
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
		return fmt.Errorf("process %d cannot be sampled: %w", p.pid, err)
	}
	return nil
}

// openHandle gets a pidfd, or the process's folder where there are no pidfds.
func (p *process) openHandle() error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	switch {
	case err == nil:
		p.pidfd = fd
		return nil
	case err == unix.ESRCH:
		return fmt.Errorf("no process has PID %d: %w", p.pid, err)
	case err == unix.EMFILE || err == unix.ENFILE:
		return fmt.Errorf("process %d cannot be held: %w", p.pid, err)
	case err == unix.ENOENT, err == unix.EINVAL: // Linux 6.9 and later, and before
		return fmt.Errorf("%d is no process; it may be a thread of one: %w", p.pid, err)
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

// changeHandle takes the folder instead of a pidfd that cannot be polled, since a seccomp filter forbids ppoll(2). The
// folder is that of the same process where the pidfd can be sent to afterwards.
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

// open opens a file of the process. By its path another process's could be met; that this one is still
// alive afterwards proves that it was not.
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

// maxText bounds a file of /proc in bytes: an environment is at most 6 MiB (execve(2)).
const maxText = 8 << 20

// read is the whole of a file of the process.
func (p *process) read(name string) ([]byte, error) {
	fd, err := p.open(name)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	if len(text) > 0 {
		return text, nil // what came before an error
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

// poll is 1 where the descriptor is readable.
func poll(fd int) (n int, err error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if n, err = unix.Poll(fds, 0); err != unix.EINTR {
			return n, err
		}
	}
}

// ended reports whether the process has ended; a zombie has. Its first thread alone may have ended while
// others run: a pidfd knows the difference, and without one the list of threads does.
func (p *process) ended() bool {
	if p.pidfd >= 0 {
		return p.readable()
	}
	s, err := p.stat()
	return err != nil || s.Ended() && p.otherThread() == ""
}

// ending reports whether the process has ended or is about to: its memory goes first, then its program and control group
// cannot be read any more.
func (p *process) ending() bool {
	_, ok := p.sample()
	return !ok || p.ended()
}

// sample reads statm through the held descriptor. The kernel looks the process up at each read, so that
// the descriptor survives an execve(2) of the target, and gives ESRCH once it is reaped, even where its
// number was used again. ok is false where there is nothing to count.
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

// sampleOnce is a sample of a process whose statm is not kept open.
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

// sampleThread goes on with another thread of a process whose first one has ended: they share the memory, but the kernel no longer shows it under the first.
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

// otherThread is the last of the process's threads but its first, "" where there is none.
func (p *process) otherThread() (tid string) {
	fd, err := p.open("task")
	if err != nil {
		return ""
	}
	f := os.NewFile(uintptr(fd), "task")
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	for _, name := range names {
		if name != strconv.Itoa(p.pid) {
			tid = name
		}
	}
	return tid
}

// openEachTime closes the descriptor of statm.
func (p *process) openEachTime() {
	_ = unix.Close(p.statm)
	p.statm = -1
}

// signal sends to this process, or fails. pidfd_send_signal(2) takes a descriptor of /proc/PID too.
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

// sinceBoot is the clock of start times in /proc, clock_gettime(2).
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("CLOCK_BOOTTIME: " + err.Error()) // there since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}
