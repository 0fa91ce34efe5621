package arena

// This file opens a live process, reads its mappings, and explains the errors of both.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/vma"
)

// process is an open process. An open maps file stays bound to the address space for which it was opened, and reads as
// empty after that address space has ended. This shows that the process executed another program.
type process struct {
	dir  string // /proc/PID, or /proc/PID/task/TID
	root string // mount point of proc(5)
	pid  int
	tid  int // the thread whose directory is dir
	stat proc.Stat
	maps *os.File
	mem  *processMemory
	text []byte // buffer for maps
}

// ErrNoMemory is the error for processes without an address space: kernel threads and zombies.
var ErrNoMemory = errors.New("no memory of its own")

// open opens the process under root, the mount point of proc(5).
func open(root string, pid int) (*process, error) {
	p := &process{dir: filepath.Join(root, strconv.Itoa(pid)), pid: pid, tid: pid, root: root}
	var err error
	if p.stat, err = p.readStat(); err != nil {
		return nil, p.explain(err)
	}
	if p.stat.Kernel {
		return nil, fmt.Errorf("process %d (%q) is a kernel thread: %w", pid, p.stat.Name, ErrNoMemory)
	}
	if p.stat.Ended() && !p.followThread() {
		return nil, fmt.Errorf("process %d (%q) is a zombie, not reaped by its parent: %w", pid, p.stat.Name, ErrNoMemory)
	}
	if p.maps, err = proc.Here.Open(filepath.Join(p.dir, "maps")); err != nil {
		return nil, p.explain(err)
	}
	p.mem = &processMemory{pid: p.tid, path: filepath.Join(p.dir, "mem")}
	return p, nil
}

// followThread switches to a live thread if the first one has ended (pthread_exit(3) in main): the first thread is then a
// zombie without an address space.
func (p *process) followThread() bool {
	tasks := filepath.Join(p.dir, "task")
	threads, _ := proc.Here.Numbers(tasks)
	for _, tid := range threads {
		thread := *p
		thread.dir, thread.tid = filepath.Join(tasks, strconv.Itoa(tid)), tid
		stat, err := thread.readStat()
		if err == nil && !stat.Ended() {
			stat.Name = p.stat.Name
			thread.stat = stat
			*p = thread
			return true
		}
	}
	return false
}

func (p *process) close() {
	p.maps.Close()
	p.mem.close()
}

// explain adds the process and the remedy to an error.
func (p *process) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case (errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)) && p.hidden():
		return fmt.Errorf("process %d is hidden by the option hidepid of /proc; run as root: %w", p.pid, os.ErrPermission)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("process %d: %w", p.pid, syscall.ESRCH)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("process %d (%q) may not be read; %s: %w", p.pid, p.stat.Name, p.remedy(), err)
	}
	return fmt.Errorf("process %d (%q): %w", p.pid, p.stat.Name, err)
}

// hidden reports whether the process exists but is not in /proc, because it belongs to another user and /proc is mounted
// with hidepid (proc(5), "Mount options").
func (p *process) hidden() bool {
	_, err := os.Stat(filepath.Join(p.root, strconv.Itoa(p.pid)))
	return errors.Is(err, os.ErrNotExist) && syscall.Kill(p.pid, 0) == syscall.EPERM
}

// remedy says how to get access (ptrace(2), "Ptrace access mode checking"). The process's own user may read the process
// only if it is dumpable and, under Yama, a descendant of the reader. Root needs CAP_SYS_PTRACE in the process's user
// namespace.
func (p *process) remedy() string {
	if os.Geteuid() == 0 {
		return "root needs CAP_SYS_PTRACE in the user namespace of the process: run arenacap on the host, or add the capability"
	}
	scope, err := os.ReadFile(filepath.Join(p.root, "sys/kernel/yama/ptrace_scope"))
	if s := strings.TrimSpace(string(scope)); err == nil && s != "0" {
		return "run as root (kernel.yama.ptrace_scope is " + s + ", so its own user may not read it)"
	}
	return "run as root, or as the user of that process (only root may read a set-uid program, or one that called prctl(PR_SET_DUMPABLE, 0))"
}

// readMaps reads the current mappings.
func (p *process) readMaps() (layout, error) {
	if _, err := p.maps.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	p.text = p.text[:0]
	for {
		if cap(p.text)-len(p.text) < 8<<10 {
			p.text = append(p.text, make([]byte, max(64<<10, len(p.text)))...)[:len(p.text)]
		}
		n, err := p.maps.Read(p.text[len(p.text):cap(p.text)])
		p.text = p.text[:len(p.text)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(p.text) == 0 { // the address space has ended, by exit or exec
		return nil, syscall.ESRCH
	}
	return vma.ParseMaps(make(layout, 0, bytes.Count(p.text, []byte{'\n'})), p.text)
}

// checkAlive returns ESRCH if the address space has ended, by exit or exec: what was read from other files of the PID may
// then belong to another program.
func (p *process) checkAlive() error {
	var b [1]byte
	_, err := p.maps.ReadAt(b[:], 0)
	if err == io.EOF {
		return syscall.ESRCH
	}
	return err
}

// agreeTries is how many times the mappings are read at most, until they add up to VmSize. If they never do, the last
// reading is used.
const agreeTries = 5

// settledMaps reads the mappings again until their sum is VmSize both before and after the reading, so that they did not
// change in between. It returns false, and the mappings of the last reading, if no try succeeded.
func (p *process) settledMaps() (l layout, exact bool, err error) {
	for range agreeTries {
		before, err := p.readStat()
		if err != nil {
			return nil, false, err
		}
		if l, err = p.readMaps(); err != nil {
			return nil, false, err
		}
		after, err := p.readStat()
		if err != nil {
			return nil, false, err
		}
		if before.Started != after.Started {
			return nil, false, syscall.ESRCH
		}
		p.stat.Threads = after.Threads
		if sum := l.virtual(); sum == before.Virtual && sum == after.Virtual {
			return l, true, nil
		}
	}
	return l, false, nil
}

func (p *process) readStat() (proc.Stat, error) {
	text, err := proc.Here.Read(p.dir + "/stat")
	if err != nil {
		return proc.Stat{}, err
	}
	return proc.ParseStat(text)
}
