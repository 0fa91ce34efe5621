package inspect

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/process"

	"arenacap/launcher/arena"
)

// Host is every process of the machine that uses glibc's arenas.
type Host struct {
	Rows       []Row
	Unreadable int // processes that may not be read
	Others     int // processes that use no arena beside the main one, or no glibc
}

// Row is one process.
type Row struct {
	Process *arena.Process
	Cap     Cap
	Saving  uint64 // bytes of address space that a cap would spare
}

// List inspects every process. Those with the main arena alone are left out unless all is set. cap is what
// Saving compares with: arenas.
func List(ctx context.Context, cap int, all bool) (Host, error) {
	// HOST_PROC in the environment would make gopsutil look at another machine's processes.
	ctx = context.WithValue(ctx, common.EnvKey, common.EnvMap{common.HostProcEnvKey: "/proc"})
	pids, err := process.PidsWithContext(ctx)
	if err != nil {
		return Host{}, fmt.Errorf("the processes cannot be listed: %w", err)
	}
	var h Host
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return h, err
		}
		h.add(int(pid), cap, all)
	}
	return h, nil
}

// add looks at one process: the census first, which is cheap, and the rest where there is something to tell.
func (h *Host) add(pid, cap int, all bool) {
	census, err := arena.Count(pid)
	switch {
	case gone(err):
		return
	case err != nil:
		h.Unreadable++
		return
	case census.Arenas == 0 || census.Arenas == 1 && !all:
		h.Others++
		return
	}
	p, err := arena.Inspect(pid)
	if err != nil {
		if !gone(err) {
			h.Unreadable++
		}
		return
	}
	f := start(pid, p.LibcVersion, p.Bits)
	f.process(p)
	h.Rows = append(h.Rows, Row{Process: p, Cap: f.judge(), Saving: saving(p.Census(), cap)})
}

// gone reports whether there is nothing to be read: the process ended, or is a kernel thread.
func gone(err error) bool { return errors.Is(err, arena.ErrNoMemory) || errors.Is(err, syscall.ESRCH) }

// Resident is how much of the arenas other than the main one is in memory, in bytes.
func (r Row) Resident() (bytes uint64) {
	for _, a := range r.Process.Arenas {
		if !a.Main {
			bytes += a.Resident
		}
	}
	return bytes
}
