package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"arenacap/launcher/arena"
	"arenacap/policy"
)

// Host is every process of the machine that uses glibc's arenas.
type Host struct {
	Rows       []Row
	Unreadable []error // a process each that could not be read
	OneACore   int     // the cap that Saving compares with
}

// Row is one process.
type Row struct {
	Process *arena.Process
	Cap     Cap
	Saving  uint64 // bytes of address space that a cap of one arena a core would spare
}

// List inspects every process. Those with the main arena alone are left out unless all is set.
func List(ctx context.Context, m policy.Machine, all bool) (Host, error) {
	pids, err := processes()
	if err != nil {
		return Host{}, err
	}
	h := Host{OneACore: oneACore(m)}
	for _, pid := range pids {
		if ctx.Err() != nil {
			return h, ctx.Err()
		}
		row, ok, err := look(pid, all)
		switch {
		case err != nil && !gone(err):
			h.Unreadable = append(h.Unreadable, err)
		case ok:
			row.Saving = saving(row.Process.Census(), h.OneACore)
			h.Rows = append(h.Rows, row)
		}
	}
	return h, nil
}

// processes are the numbers of all processes, the folders of /proc that are numbers (proc(5)). gopsutil's
// package for processes would list them too, but it imports net, which with cgo makes a plain build a
// dynamic program: a millisecond at every launch.
func processes() (pids []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("the processes cannot be listed: %w", err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// look looks at one process: the census first, which is cheap, and the rest where there is something to tell.
func look(pid int, all bool) (row Row, ok bool, err error) {
	census, err := arena.Count(pid)
	if err != nil || census.Arenas == 0 || census.Arenas == 1 && !all {
		return Row{}, false, err
	}
	p, began, err := read(pid)
	if err != nil {
		return Row{}, false, err
	}
	return Row{Process: p, Cap: newFacts(p, began).judge()}, true, nil
}

// gone reports whether there is nothing to be read: the process ended, or is a kernel thread.
func gone(err error) bool { return errors.Is(err, arena.ErrNoMemory) || errors.Is(err, syscall.ESRCH) }
