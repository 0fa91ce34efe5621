package watch

// What keeps the process of a watch small: it is asleep nearly always, and its memory counts as the service's.

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
)

// giveBackAfter is how long memory is kept that an event took. It bounds what giving back costs, a garbage collection
// and the pages that come back, about a millisecond.
const giveBackAfter = 10 * time.Second

// used is called where more is done than to sample.
func (e *engine) used() {
	if e.frugal && (e.giveBack == never || e.collected) {
		origin.SetGCPercent(origin.GCPercent)
		e.collected, e.giveBack = false, e.clock()+giveBackAfter
	}
}

// usedPages is called where pages of the program were touched beside a sample's, but too little of the heap for a collection.
func (e *engine) usedPages() {
	if e.frugal && e.giveBack == never {
		e.collected, e.giveBack = true, e.clock()+time.Second
	}
}

// giveMemoryBack leaves what a sample touches, in two steps, a second apart. Between them the runtime gives free memory
// back to the kernel, but for as much as was in use before the last sweep (runtime/mgcscavenge.go): hence two collections.
// After them the collector is off until more is done than to sample: it would run every two minutes
// (runtime.forcegcperiod), find nothing, and bring its pages back.
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

// cleanMappings is the program's pages that are as they stand in its file.
func cleanMappings() (clean []proc.Mapping) {
	smaps, err := proc.Here.Open(procRoot + "/self/smaps")
	if err != nil {
		return nil
	}
	defer smaps.Close()
	_ = proc.ParseSmaps(smaps, func(s proc.Smap) { // those before an error count too
		if s.Clean() {
			clean = append(clean, s.Mapping)
		}
	})
	return clean
}

// forget lets go of pages of a file: they stay in the page cache, and those that are used again are mapped again without
// a read. Most of a program is needed once, at its start, and the kernel maps up to 16 pages around each that is touched,
// so that without this nearly the whole file counts as resident.
func forget(mappings []proc.Mapping) {
	for _, m := range mappings {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(m.Start), uintptr(m.Size()), unix.MADV_DONTNEED)
	}
}
