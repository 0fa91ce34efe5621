package inspect

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

// Host is every process of the machine that uses glibc's arenas.
type Host struct {
	Rows       []Row
	Unreadable []error // a process each that could not be read
	OneACore   int     // the cap that Saving compares with
}

// Row is one process, in figures: what else was found of it is not kept, so that a host may have many.
type Row struct {
	PID      int
	Name     string // as ps shows it, any bytes
	Threads  int
	Arenas   int // the main one included
	Cap      Cap
	Virtual  uint64 // bytes, as the following
	Resident uint64

	ArenaReserved uint64 // of the arenas beside the main one
	ArenaResident uint64
	Huge          uint64 // of arenas, thread stacks and main heap, in huge pages
	Saving        uint64 // of address space, that a cap of one arena a core would spare
}

// mostReaders bounds how many processes are read at a time: a look at a large host leaves it most of its cores.
const mostReaders = 8

// List inspects every process. Those with the main arena alone are left out unless all is set.
func List(ctx context.Context, m policy.Machine, all bool) (Host, error) {
	pids, err := processes()
	if err != nil {
		return Host{}, err
	}
	h := Host{OneACore: oneACore(m)}
	found := make([]answer, len(pids))
	var next atomic.Int64
	var readers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), mostReaders, len(pids)) {
		readers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(pids)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				found[i] = look(pids[i], m.Online.N, h.OneACore, all)
			}
		})
	}
	readers.Wait()
	for _, a := range found {
		switch {
		case a.err != nil && !gone(a.err):
			h.Unreadable = append(h.Unreadable, a.err)
		case a.ok:
			h.Rows = append(h.Rows, a.row)
		}
	}
	return h, ctx.Err()
}

// answer is what came of one process; ok is false where there is nothing to tell.
type answer struct {
	row Row
	ok  bool
	err error
}

// processes are the numbers of all processes, the folders of /proc that are numbers (proc(5)). gopsutil's
// package for processes would list them too, but it imports net, which with cgo makes a plain build a
// dynamic program: a millisecond at every launch.
func processes() (pids []int, err error) {
	if pids, err = proc.Here.Numbers("/proc"); err != nil {
		return nil, fmt.Errorf("the processes cannot be listed: %w", err)
	}
	slices.Sort(pids)
	return pids, nil
}

// look looks at one process: the census first, which is cheap, and the rest where there is something to tell.
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
		PID: p.PID, Name: p.Name, Threads: p.Threads, Arenas: census.Arenas, Cap: limit,
		Virtual: p.Virtual, Resident: p.Resident, ArenaReserved: census.Reserved, ArenaResident: ArenasResident(p),
		Huge: p.Huge(), Saving: f.spares(p, limit, oneACore),
	}}
}

// gone reports whether there is nothing to be read: the process ended, or is a kernel thread.
func gone(err error) bool { return errors.Is(err, arena.ErrNoMemory) || errors.Is(err, syscall.ESRCH) }
