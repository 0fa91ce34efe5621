// Keeping a process of arenacap small while its target runs.

package origin

import "runtime"

// GCPercent, as in debug.SetGCPercent, lets the heap grow by a quarter between collections. The heap limit is then at
// least 1 MiB instead of 4 MiB.
const GCPercent = 25

// BeSmall reduces the cost of a process that sleeps most of the time. GOMAXPROCS 1 avoids waking idle threads to look for
// work.
func BeSmall() {
	runtime.GOMAXPROCS(1)
	SetGCPercent(GCPercent)
}

// SetGCPercent is debug.SetGCPercent: below 0 turns the collector off.
func SetGCPercent(percent int32) { setGCPercent(percent) }
