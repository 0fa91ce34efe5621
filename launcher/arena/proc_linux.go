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
)

// process is an open process: what is read of it belongs to one program, as the file of its mappings stays
// bound to the address space that it was opened for and is empty once that has ended.
type process struct {
	dir  string // /proc/PID, or /proc/PID/task/TID
	root string // where proc(5) is mounted
	pid  int
	tid  int // the thread that dir is of
	stat stat
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
	if p.stat.kernel {
		return nil, fmt.Errorf("process %d (%q) is a kernel thread: %w", pid, p.stat.name, ErrNoMemory)
	}
	if p.stat.ended && !p.followThread() {
		return nil, fmt.Errorf("process %d (%q) has ended and waits for its parent: %w", pid, p.stat.name, ErrNoMemory)
	}
	if p.maps, err = openFile(filepath.Join(p.dir, "maps")); err != nil {
		return nil, p.explain(err)
	}
	p.mem = &processMemory{pid: p.tid, path: filepath.Join(p.dir, "mem")}
	return p, nil
}

// followThread turns to a thread that lives on where the first one has ended (pthread_exit(3) in main): the first
// is then a zombie without an address space, and the others have it.
func (p *process) followThread() bool {
	tasks := filepath.Join(p.dir, "task")
	list, err := os.ReadDir(tasks)
	if err != nil {
		return false
	}
	name := p.stat.name
	for _, entry := range list {
		tid, err := strconv.Atoi(entry.Name())
		if err != nil || tid == p.pid {
			continue
		}
		thread := *p
		thread.dir, thread.tid = filepath.Join(tasks, entry.Name()), tid
		if thread.stat, err = thread.readStat(); err == nil && !thread.stat.ended {
			*p = thread
			p.stat.name = name
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
		return fmt.Errorf("process %d (%q) may not be read; %s: %w", p.pid, p.stat.name, p.remedy(), err)
	}
	return fmt.Errorf("process %d (%q): %w", p.pid, p.stat.name, err)
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
	return parseMaps(make(layout, 0, bytes.Count(p.text, []byte{'\n'})), p.text)
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
		if before.started != after.started {
			return nil, false, syscall.ESRCH
		}
		p.stat.threads = after.threads
		if sum := l.virtual(); sum == before.virtual && sum == after.virtual {
			return l, true, nil
		}
	}
	return l, false, nil
}

// stat is what is used of /proc/PID/stat.
type stat struct {
	name    string // at most 15 bytes, as ps shows it
	kernel  bool   // a kernel thread
	ended   bool   // a zombie
	threads int
	started uint64 // clock ticks after boot; with the PID it names a process for good
	virtual uint64 // VmSize in bytes
}

func (p *process) readStat() (stat, error) {
	var buf [2 << 10]byte // a line of 52 numbers and a name
	text, err := readOnce(filepath.Join(p.dir, "stat"), buf[:])
	if err != nil {
		return stat{}, err
	}
	s, ok := parseStat(text)
	if !ok {
		return stat{}, fmt.Errorf("%s/stat: %q is not as proc_pid_stat(5) has it", p.dir, text)
	}
	return s, nil
}

// parseStat reads one line (proc_pid_stat(5)); the fields are counted from 1:
//
//	1 pid, 2 (comm), 3 state, … 9 flags, … 20 num_threads, … 22 starttime, 23 vsize in bytes, …
//
// comm may hold blanks, brackets and newlines: the last ")" ends it.
func parseStat(text []byte) (s stat, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 21 {
		return stat{}, false
	}
	number := func(i int) (n uint64) {
		if i-3 < len(fields) && ok {
			var err error
			n, err = strconv.ParseUint(fields[i-3], 10, 64)
			ok = err == nil
		}
		return n
	}
	ok = true
	const kthread = 0x00200000 // PF_KTHREAD (include/linux/sched.h)
	s = stat{
		name:    string(text[open+1 : end]),
		kernel:  number(9)&kthread != 0,
		ended:   fields[0] == "Z" || fields[0] == "X",
		threads: int(number(20)),
		started: number(22),
		virtual: number(23),
	}
	return s, ok
}
