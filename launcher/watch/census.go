package watch

// This file decides when the arenas of a process are counted.

import (
	"errors"

	"arenacap/launcher/arena"
)

// errGone means that the process is ending: the kernel frees its memory before the pidfd becomes readable.
var errGone = errors.New("the process no longer has memory: it is ending")

// probes read details that a sample does not have. Each call takes much longer than a sample, because it reads mappings
// and memory of the process, so the engine calls them only when needed.
type probes struct {
	// count returns the arenas including the main arena, the bytes they reserve, and how many more there may be.
	count func(pid int) (arena.Census, error)
	// inspect returns the parts of the virtual size.
	inspect func(pid int) ([]part, error)
}

// census is the last count of one process's arenas.
type census struct {
	virtual  uint64 // VmSize at the count
	age      int    // samples since the count
	taken    bool
	known    bool
	arenas   int
	reserved uint64
	more     int // possible further arenas (arena.Census.Unlinked); if not 0, the cap cannot be verified
}

const (
	// leastHeap is the smallest arena heap, in bytes: HEAP_MAX_SIZE of a 32-bit process. If VmSize changed by less, no heap
	// was added, unless something else shrank.
	leastHeap = 1 << 20
	// censusAge is the number of samples after which any change of VmSize causes a new count.
	censusAge = 16
)

// due reports whether the arenas may have changed since they were counted.
func (c *census) due(virtual uint64) bool {
	c.age++
	moved := max(virtual, c.virtual) - min(virtual, c.virtual)
	return !c.taken || moved >= leastHeap || moved > 0 && c.age >= censusAge
}

// take records a count.
func (c *census) take(virtual uint64, count arena.Census, err error) {
	*c = census{virtual: virtual, taken: true, known: err == nil, arenas: count.Arenas, reserved: count.Reserved, more: count.Unlinked}
}
