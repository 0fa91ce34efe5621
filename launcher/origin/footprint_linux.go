// What a process of ours takes from the machine while its target runs.

package origin

import "runtime"

// BeSmall keeps a process cheap that is asleep nearly always: it computes on one processor at a time, and its heap is at
// most a quarter larger than what is in use; the smallest that this allows is 1 MiB.
func BeSmall() {
	runtime.GOMAXPROCS(1)
	SetGCPercent(25)
}

// SetGCPercent sets how much the heap may grow before a collection, below 0 for never.
func SetGCPercent(percent int32) { setGCPercent(percent) }
