// What a process of ours takes from the machine while its target runs.

package origin

import "runtime"

// GCPercent makes the heap at most a quarter larger than what is in use; the smallest that it allows is 1 MiB.
const GCPercent = 25

// BeSmall keeps a process cheap that is asleep nearly always: it computes on one processor at a time, which spares the
// wake-ups of threads that look for work, and its heap is small.
func BeSmall() {
	runtime.GOMAXPROCS(1)
	SetGCPercent(GCPercent)
}

// SetGCPercent sets how much the heap may grow before a collection, below 0 for never.
func SetGCPercent(percent int32) { setGCPercent(percent) }
