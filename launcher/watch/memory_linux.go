package watch

// This file keeps the memory of the watch process small, because the process sleeps nearly always, and its memory is
// charged to the service.

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
	"arenacap/launcher/proc/vma"
)

// giveBackAfter is how long the watch keeps memory that it used for an event. It limits how often the watch pays the cost of
// giving back, about 1 ms for the garbage collection and the page faults that follow.
const giveBackAfter = 10 * time.Second

// used turns the garbage collector on and schedules both steps of giveMemoryBack. Call it before work that allocates.
func (e *engine) used() {
	if e.frugal && (e.giveBack == never || e.collected) {
		origin.SetGCPercent(origin.GCPercent)
		e.collected, e.giveBack = false, e.clock()+giveBackAfter
	}
}

// usedPages schedules only the second step of giveMemoryBack, which unmaps the pages of files. Call it after work that
// uses little heap, for which no garbage collection is needed.
func (e *engine) usedPages() {
	if e.frugal && e.giveBack == never {
		e.collected, e.giveBack = true, e.clock()+time.Second
	}
}

// giveMemoryBack frees everything that a sample does not need, in two steps, one second apart. The first step collects
// garbage; between the steps the runtime returns free memory to the kernel. The runtime keeps as much as was in use before
// the last collection (runtime/mgcscavenge.go), so the first step collects twice. The second step turns the collector off
// and unmaps file pages. The collector stays off until the method "used" is called: otherwise it would run every two
// minutes (runtime.forcegcperiod), free nothing, and make its own pages resident again.
func (e *engine) giveMemoryBack() {
	if !e.collected {
		runtime.GC()
		runtime.GC()
		e.collected, e.giveBack = true, e.clock()+time.Second
		return
	}
	e.collected, e.giveBack = false, never
	origin.SetGCPercent(-1)
	forget(cleanMappings())
}

// cleanMappings returns those file mappings of this process that have no modified pages.
func cleanMappings() (clean []vma.Mapping) {
	smaps, err := proc.Here.Open(procRoot + "/self/smaps")
	if err != nil {
		return nil
	}
	defer smaps.Close()
	_ = vma.ParseSmaps(smaps, func(s vma.Smap) { // on an error, use the mappings before it
		if s.Clean() {
			clean = append(clean, s.Mapping)
		}
	})
	return clean
}

// forget unmaps the pages of file mappings. The pages stay in the page cache, and the next access maps them again without a
// read. A program needs most of its pages only at its start, and each page fault maps up to 16 pages, so that without this
// nearly the whole file stays resident.
func forget(mappings []vma.Mapping) {
	for _, m := range mappings {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(m.Start), uintptr(m.Size()), unix.MADV_DONTNEED)
	}
}
