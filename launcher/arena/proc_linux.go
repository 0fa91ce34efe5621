package arena

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
)

// process is an open process: what is read of it belongs to one program, as the file of its mappings stays
// bound to the address space that it was opened for and is empty once that has ended.
type process struct {
	dir  string // /proc/PID, or /proc/PID/task/TID
	root string // where proc(5) is mounted
	pid  int
	tid  int // the thread that dir is of
	stat proc.Stat
	maps *os.File
	mem  *processMemory
	text []byte // buffer for maps
}

// ErrNoMemory is the answer for what has no memory of its own: kernel threads, and zombies, which have
// ended and wait to be reaped.
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
		return nil, fmt.Errorf("process %d (%q) has ended and waits for its parent: %w", pid, p.stat.Name, ErrNoMemory)
	}
	if p.maps, err = proc.Here.Open(filepath.Join(p.dir, "maps")); err != nil {
		return nil, p.explain(err)
	}
	p.mem = &processMemory{pid: p.tid, path: filepath.Join(p.dir, "mem")}
	return p, nil
}

// followThread turns to a thread that lives on where the first one has ended (pthread_exit(3) in main): the first
// is then a zombie without an address space, and the others have it.
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

// explain turns an error into one that says which process it is and what would help.
func (p *process) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("process %d: %w", p.pid, syscall.ESRCH)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("process %d (%q) may not be read; %s: %w", p.pid, p.stat.Name, p.remedy(), err)
	}
	return fmt.Errorf("process %d (%q): %w", p.pid, p.stat.Name, err)
}

// remedy is what would help (ptrace(2), "Ptrace access mode checking"): its own user may not read a process that
// is not dumpable, nor, where Yama says so, one that is no descendant; root needs CAP_SYS_PTRACE in the
// process's user namespace.
func (p *process) remedy() string {
	if os.Geteuid() == 0 {
		return "root may not either without CAP_SYS_PTRACE, nor from inside a container; run it on the host, or add the capability"
	}
	scope, err := os.ReadFile(filepath.Join(p.root, "sys/kernel/yama/ptrace_scope"))
	if s := strings.TrimSpace(string(scope)); err == nil && s != "0" {
		return "run as root (kernel.yama.ptrace_scope is " + s + ", so its own user may not)"
	}
	return "run as root, or as the user it runs as (a set-uid program, or one with prctl(PR_SET_DUMPABLE, 0), opens to root only)"
}

// readMaps reads the mappings as they are now.
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
	if len(p.text) == 0 { // the address space has ended: by exit, or by the exec of another program
		return nil, syscall.ESRCH
	}
	return proc.ParseMaps(make(layout, 0, bytes.Count(p.text, []byte{'\n'})), p.text)
}

// still is ESRCH where the address space has ended, by exit or by the exec of another program: what was read of
// the PID by other files may be of no program, or of the other one.
func (p *process) still() error {
	var b [1]byte
	_, err := p.maps.ReadAt(b[:], 0)
	if err == io.EOF {
		return syscall.ESRCH
	}
	return err
}

// agreeTries bounds how often the mappings are read until they add up to VmSize: a process that never stands
// still is shown as it was met.
const agreeTries = 5

// settledMaps reads the mappings in a moment when nothing changed: VmSize is the same before and after, and is
// their sum. exact is false where there was no such moment.
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
