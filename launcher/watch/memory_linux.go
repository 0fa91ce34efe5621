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
	if e.frugal && e.giveBack == never {
		origin.SetGCPercent(origin.GCPercent)
		e.giveBack = e.clock() + giveBackAfter
	}
}

// giveMemoryBack leaves what a sample touches. Until more is done than to sample, the collector is off: it would run every
// two minutes (runtime.forcegcperiod), find nothing, and bring its pages back.
func (e *engine) giveMemoryBack() {
	e.giveBack = never
	runtime.GC()
	origin.SetGCPercent(-1)
	forgetProgram()
}

// forgetProgram lets go of the program's pages that are as they stand in its file: they stay in the page cache, and
// those that are used again are mapped again without a read. Most were needed once, at the start. The kernel maps
// up to 16 pages around each that is touched, so that without this nearly the whole file counts as resident.
func forgetProgram() {
	smaps, err := proc.Here.Open(procRoot + "/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	_ = proc.ParseSmaps(smaps, func(s proc.Smap) { // those that came before an error can be let go of too
		if s.Clean() {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(s.Start), uintptr(s.Size()), unix.MADV_DONTNEED)
		}
	})
}
