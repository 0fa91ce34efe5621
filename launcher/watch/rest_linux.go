package watch

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// rest gives memory back when nothing happens: a watch sleeps nearly always, and what it holds counts as the
// service's. What is left is what a sample touches.
type rest struct {
	allowed bool          // the process is the watch's alone
	after   time.Duration // not before
	taken   bool          // nothing but quiet samples happened since
}

// restEvery bounds what resting costs: a garbage collection and the pages that come back, about a millisecond.
const restEvery = 10 * time.Second

// due reports whether to rest now, and else how long a wait may last before it is asked again.
func (r *rest) due(now time.Duration, quiet bool) (yes bool, until time.Duration) {
	if !r.allowed || r.taken || !quiet {
		return false, never
	}
	return now >= r.after, r.after
}

// take gives back. What the collection frees the runtime returns by and by.
func (r *rest) take(now time.Duration) {
	runtime.GC()
	forgetProgram()
	r.taken, r.after = true, now+restEvery
}

// end is for whoever does more than to sample.
func (r *rest) end() { r.taken = false }

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
