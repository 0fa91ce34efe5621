// This file keeps a process of arenacap small while its target runs.

package origin

import "runtime"

// GCPercent is the argument of debug.SetGCPercent with which the heap grows by a quarter between collections. It also
// lowers the smallest heap size at which a collection starts from 4 MiB to 1 MiB.
const GCPercent = 25

// BeSmall reduces the cost of a process that sleeps most of the time. GOMAXPROCS 1 avoids waking idle threads to look for
// work.
func BeSmall() {
	runtime.GOMAXPROCS(1)
	SetGCPercent(GCPercent)
}

// SetGCPercent sets the value that debug.SetGCPercent sets; a negative value turns the garbage collector off.
func SetGCPercent(percent int32) { setGCPercent(percent) }
