package inspect

// This file has List, which inspects all processes of the host.

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"arenacap/launcher/arena"
	"arenacap/launcher/proc"
	"arenacap/policy"
)

// Host has the processes of the machine that use glibc's arenas, as List selects them.
type Host struct {
	Rows       []Row
	Unreadable []Unread
	OneACore   int // one arena per core: the cap for which Row.Saving is computed
}

// Unread is a process that could not be read, or that List had no time for.
type Unread struct {
	PID int
	Err error
}

// Row has the figures of one process. It does not hold the arena.Process, to save memory on a large host.
type Row struct {
	PID      int
	Name     string // name as ps shows it; need not be printable
	Threads  int
	Arenas   int // number of arenas, the main one included
	Cap      Cap
	Uncapped bool   // it is known that the process runs without a cap
	Virtual  uint64 // bytes, like all fields below
	Resident uint64

	ArenaReserved  uint64 // address space that the arenas beside the main one reserve
	ArenaCommitted uint64
	ArenaResident  uint64
	Huge           uint64 // the part of arenas, thread stacks and main heap that is in huge pages
	Saving         uint64 // address space that a cap of one arena a core would save
}

// mostReaders is the largest number of processes that List reads at a time, so that most cores of a large host stay free
// for its own work.
const mostReaders = 8

// List inspects every process. Processes without arenas have no row, and those with only a main arena have one only if
// the argument "all" is true. If ctx ends first, List returns the processes read so far and the error of ctx.
func List(ctx context.Context, m policy.Machine, all bool) (Host, error) {
	pids, err := processes()
	if err != nil {
		return Host{}, err
	}
	h := Host{OneACore: oneACore(m)}
	found := readEach(ctx, pids, func(pid int) answer { return look(pid, m.Online.N, h.OneACore, all) })
	for _, pid := range pids {
		switch a, done := found[pid]; {
		case !done:
			h.Unreadable = append(h.Unreadable, Unread{pid, ctx.Err()})
		case a.err != nil && !gone(a.err):
			h.Unreadable = append(h.Unreadable, Unread{pid, a.err})
		case a.ok:
			h.Rows = append(h.Rows, a.row)
		}
	}
	return h, ctx.Err()
}

// answer is the result for one process; ok is false if it has no row.
type answer struct {
	pid int
	row Row
	ok  bool
	err error
}

// mostStuck is the largest number of reads in progress, including reads that continue after their List has returned.
const mostStuck = 64

var (
	reading sync.Map                         // PIDs that are being read
	readers = make(chan struct{}, mostStuck) // one entry for each read in progress
)

// readEach reads the processes and returns the answers that come before ctx ends. A hostile process can delay the read
// of its memory as long as it wants, with a FUSE file system or userfaultfd(2). Such a read continues in the
// background, and until it ends, later calls do not read that process.
func readEach(ctx context.Context, pids []int, read func(pid int) answer) map[int]answer {
	answers := make(chan answer, len(pids))
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), mostReaders, len(pids)) {
		go func() {
			for i := next.Add(1) - 1; i < int64(len(pids)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				answers <- readOne(ctx, pids[i], read)
			}
		}()
	}
	found := map[int]answer{}
	for range pids {
		select {
		case a := <-answers:
			found[a.pid] = a
		case <-ctx.Done():
			return found
		}
	}
	return found
}

func readOne(ctx context.Context, pid int, read func(pid int) answer) answer {
	select {
	case readers <- struct{}{}:
		defer func() { <-readers }()
	case <-ctx.Done():
		return answer{pid: pid, err: ctx.Err()}
	}
	if _, stuck := reading.LoadOrStore(pid, true); stuck {
		return answer{pid: pid, err: fmt.Errorf("process %d is skipped: an earlier read of it has not ended", pid)}
	}
	defer reading.Delete(pid)
	a := read(pid)
	a.pid = pid
	return a
}

// processes lists all PIDs: the directories of /proc with numeric names (proc(5)). gopsutil's process package is not used:
// it imports net, which with cgo makes arenacap dynamically linked and costs 1 ms at every launch.
func processes() (pids []int, err error) {
	if pids, err = proc.Here.Numbers("/proc"); err != nil {
		return nil, fmt.Errorf("cannot list the processes: %w", err)
	}
	slices.Sort(pids)
	return pids, nil
}

// look inspects one process: first the census, which is cheap, and then the rest if the process gets a row.
func look(pid, online, oneACore int, all bool) answer {
	census, err := arena.Count(pid)
	if err != nil || census.Arenas == 0 || census.Arenas == 1 && !all {
		return answer{err: err}
	}
	p, began, err := read(pid)
	if err != nil {
		return answer{err: err}
	}
	census = p.Census()
	f := newFacts(p, began)
	if online != 0 {
		f.ownLimit = f.allowed(f.version, 0, online)
	}
	limit := f.judge()
	return answer{ok: true, row: Row{
		PID: p.PID, Name: p.Name, Threads: p.Threads, Arenas: census.Arenas, Cap: limit, Uncapped: limit.N == 0 && began.environKnown,
		Virtual: p.Virtual, Resident: p.Resident,
		ArenaReserved: census.Reserved, ArenaCommitted: census.Committed, ArenaResident: ArenasResident(p),
		Huge: p.Huge(), Saving: f.spares(p, limit, oneACore),
	}}
}

// gone reports whether the process has ended or has no memory (kernel thread, zombie).
func gone(err error) bool { return errors.Is(err, arena.ErrNoMemory) || errors.Is(err, syscall.ESRCH) }
