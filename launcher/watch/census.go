package watch

// When the arenas of a process are counted.

import (
	"errors"

	"arenacap/launcher/arena"
)

// errGone is the answer for a process that is about to end: its memory is gone before its pidfd is readable.
var errGone = errors.New("the process has no memory any more")

// probes look into a process for what a sample does not show. They cost a read of its whole maps, so the
// engine asks only when it has a reason.
type probes struct {
	// count gives the arenas, the main arena included, the bytes they reserve, and what may be arenas too.
	count func(pid int) (arena.Census, error)
	// inspect gives the parts of the virtual size.
	inspect func(pid int) ([]part, error)
}

// census is the last count of one process's arenas.
type census struct {
	virtual  uint64 // VmSize when it was taken
	age      int    // samples since
	taken    bool
	known    bool
	arenas   int
	reserved uint64
	more     int // how many more there may be, see arena.Census.Unlinked: then no cap is verified
}

const (
	// leastHeap is the smallest heap there is, in bytes: HEAP_MAX_SIZE of a 32-bit process. VmSize cannot
	// have grown by a heap when it moved by less, unless something else shrank meanwhile.
	leastHeap = 1 << 20
	// censusAge is after how many samples any move of VmSize, however small, is reason for a new count.
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
