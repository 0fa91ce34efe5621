package environ

import (
	"fmt"

	"arenacap/policy"
)

// What glibc does by itself, by its version: the limit of its arenas and the address space that they take.

// GlibcVersion is the glibc that a program will use. The zero value is a glibc that is not known.
type GlibcVersion struct {
	Major, Minor int
	Bits32       bool
}

// Known reports whether the version is known.
func (g GlibcVersion) Known() bool { return g.Major != 0 }

// Before reports whether the version is known and older than 2.minor.
func (g GlibcVersion) Before(minor int) bool {
	return g.Known() && (g.Major < 2 || g.Major == 2 && g.Minor < minor)
}

// DefaultArenas is the number of arenas that glibc allows by itself, with neither variable set, on so many
// online CPUs. A version that is not known counts as 2.16 to 2.43, the rule of most releases in use.
// ok is false where there is no limit: before 2.10.
//
// The rule: max(8·C, 9) from 2.10 (32-bit max(2·C, 3)), max(8, C) from 2.44 (32-bit max(2, C)); 8 and 2
// are the default of arena_test (glibc: malloc/arena.c, arena_get2; NARENAS_FROM_NCORES).
func (g GlibcVersion) DefaultArenas(cpus int) (n int, ok bool) {
	if g.Before(10) {
		return 0, false
	}
	factor, test := 8, 8
	if g.Bits32 {
		factor, test = 2, 2
	}
	if g.Known() && !g.Before(44) {
		return max(cpus, test), true
	}
	return max(factor*cpus, test+1), true
}

// HeapBytes is the address space of one heap.
func (g GlibcVersion) HeapBytes() uint64 {
	if g.Bits32 {
		return 1 << 20
	}
	return policy.ArenaHeap
}

// String is the version as glibc says it.
func (g GlibcVersion) String() string { return fmt.Sprintf("%d.%d", g.Major, g.Minor) }

// WorstCase is the address space that arenas other than the main one reserve with one heap each, under the
// plan and under glibc's own limit, for the glibc that the target uses. Zero means there is no limit, or
// none that is known; a cap of 1 is zero bytes too. Off leaves an inherited cap in force.
func (g GlibcVersion) WorstCase(plan policy.Plan) (capped, uncapped uint64) {
	free, limited := 0, false
	if plan.Machine.Online.N != 0 {
		free, limited = g.DefaultArenas(plan.Machine.Online.N)
	}
	if limited {
		uncapped = uint64(free-1) * g.HeapBytes()
	}
	arenas := plan.ArenaMax
	if in := plan.Machine.Inherited; plan.Mode == policy.Off && in.MaxOK {
		arenas = in.Max
	}
	switch {
	case arenas == 0 || g.Before(10): // no cap, or a glibc that knows none
		return uncapped, uncapped
	case arenas == 1 && g.Before(16): // it creates a second one before it looks at the cap
		arenas = 2
	}
	return uint64(arenas-1) * g.HeapBytes(), uncapped
}
