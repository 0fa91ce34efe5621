// Package glibc knows the arena limits of each version of glibc: how many arenas it creates with and without
// MALLOC_ARENA_MAX and MALLOC_ARENA_TEST, and their address space. For a release that changes the rule, add a row to eras.
// What a version reads from an environment is in package environ.
package glibc

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"arenacap/policy"
)

// Version is the version of a program's glibc. The zero value is an unknown version: it has the arena limit of 2.16 to
// 2.43, because most releases in use have that limit.
type Version struct {
	Major, Minor int
	Point        string // patch release: "0" is 2.Minor as upstream released it; "" is unknown, because most builds do not name it
	Bits32       bool
}

// newest is the latest minor version of glibc whose source was compared with the table eras.
const newest = 44

// Newest is the newest glibc release that arenacap knows.
func Newest(bits32 bool) Version { return Version{Major: 2, Minor: newest, Bits32: bits32} }

// Reported parses the version that a glibc reports, "2.36" or "2.36.9000". Other text gives the unknown version.
func Reported(s string, bits int) Version {
	first, rest, _ := strings.Cut(s, ".")
	second, point, _ := strings.Cut(rest, ".")
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil {
		return Version{Bits32: bits == 32}
	}
	return Version{Major: major, Minor: minor, Point: point, Bits32: bits == 32}
}

// Parse parses a version from a command line: "2.36", or "2.26.0" for a release without later patches.
func Parse(s string) (Version, error) {
	g := Reported(s, 64)
	_, err := strconv.ParseUint(cmp.Or(g.Point, "0"), 10, 16)
	switch {
	case g.String() != s || err != nil:
		return g, fmt.Errorf(`%q is not a version of glibc; write "2.36", or "2.26.0" for a release without later patches`, s)
	case g.Major != 2 || g.Minor < 0 || g.Minor > newest:
		return g, fmt.Errorf("%q is an unknown version of glibc; write a version from 2.0 to 2.%d", s, newest)
	}
	return g, nil
}

// Known reports whether the version is known.
func (g Version) Known() bool { return g.Major != 0 }

// Before reports whether the version is known and older than 2.N, where N is the argument "minor".
func (g Version) Before(minor int) bool {
	return g.Known() && (g.Major < 2 || g.Major == 2 && g.Minor < minor)
}

// String is the version as glibc reports it.
func (g Version) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%d.%d.%s", g.Major, g.Minor, g.Point), ".")
}

// era is a range of releases with the same arena limit.
type era struct {
	from             int  // minor version of the first release; the last release is the one before the next era
	perCPU, perCPU32 int  // limit without a cap, in arenas per CPU, on 64 and 32 bits; 0: no limit
	beyond           int  // the limit without a cap is at least arena_test + beyond
	testFirst        bool // glibc creates arena_test + 1 arenas before it checks the cap
	racy             bool // threads that start at the same time can exceed the cap
}

// eras are taken from malloc/arena.c (reused_arena, arena_get2) and malloc/malloc.c (NARENAS_FROM_NCORES).
var eras = [...]era{
	{from: 0},
	{from: 10, perCPU: 8, perCPU32: 2, beyond: 1, testFirst: true, racy: true}, // RHEL 6's 2.12 is not racy
	{from: 15, perCPU: 8, perCPU32: 2, beyond: 1, testFirst: true},
	{from: 16, perCPU: 8, perCPU32: 2, beyond: 1}, // BZ 11261; updates of 2.15 have this change too
	{from: 44, perCPU: 1, perCPU32: 1},            // commit 93e6135904
}

func (g Version) era() era {
	minor := g.Minor
	switch {
	case !g.Known(), minor == 15 && cmp.Or(g.Point, "0") != "0":
		minor = 16
	case g.Major > 2:
		minor = newest
	}
	for i := len(eras) - 1; ; i-- {
		if eras[i].from <= minor {
			e := eras[i]
			if g.Bits32 {
				e.perCPU = e.perCPU32
			}
			return e
		}
	}
}

// defaultTest is glibc's default of arena_test.
func (g Version) defaultTest() int {
	if g.Bits32 {
		return 2
	}
	return 8
}

// Arenas returns the largest number of arenas that this glibc creates with these values of MALLOC_ARENA_MAX and
// MALLOC_ARENA_TEST (0: not set) on a machine with this number of CPUs. ok is false if there is no limit.
func (g Version) Arenas(arenaMax, arenaTest, cpus int) (n int, ok bool) {
	e := g.era()
	switch ignored, _ := g.Ignores(); {
	case e.perCPU == 0:
		return 0, false
	case ignored && g.Minor == 25: // 2.25.0 uses either variable as arena_test; the larger value is the worst case
		arenaMax, arenaTest = 0, max(arenaMax, arenaTest)
	case ignored:
		arenaMax, arenaTest = 0, 0
	}
	arenaTest = cmp.Or(arenaTest, g.defaultTest())
	switch {
	case arenaMax != 0 && e.testFirst:
		return max(arenaMax, arenaTest+1), true
	case arenaMax != 0:
		return arenaMax, true
	}
	return max(e.perCPU*cpus, arenaTest+e.beyond), true
}

// DefaultArenas is Arenas with neither variable set.
func (g Version) DefaultArenas(cpus int) (n int, ok bool) { return g.Arenas(0, 0, cpus) }

// Racy reports whether threads that start at the same time can exceed the cap.
func (g Version) Racy() bool { return g.era().racy }

// Ignores reports whether this glibc ignores MALLOC_ARENA_MAX. The second result, "why", is the rest of a sentence that
// begins with "glibc VERSION". If the answer depends on the patches of the build, the first result is false and "why"
// is not empty.
//
// 2.25.0 uses MALLOC_ARENA_MAX as MALLOC_ARENA_TEST (BZ 21338); 2.26.0 rejects every value of both (cebcb9f864).
func (g Version) Ignores() (ignored bool, why string) {
	switch {
	case g.Before(10):
		return true, "has no limit on arenas; glibc has one since 2.10"
	case g.Major != 2 || g.Minor != 25 && g.Minor != 26:
	case g.Point == "0":
		return true, fmt.Sprintf("ignores MALLOC_ARENA_MAX (a bug, fixed in 2.27 and in later patches of 2.%d)", g.Minor)
	case g.Point == "":
		return false, "ignores MALLOC_ARENA_MAX unless it was patched"
	}
	return false, ""
}

// HeapBytes is the address space of one heap.
func (g Version) HeapBytes() uint64 {
	if g.Bits32 {
		return 1 << 20
	}
	return policy.ArenaHeap
}

// PlannedArenas returns the largest number of arenas that this glibc creates under the plan. In mode Off the inherited
// values apply.
func (g Version) PlannedArenas(plan policy.Plan) (n int, ok bool) {
	arenaMax, arenaTest := plan.ArenaMax, plan.ArenaTest
	if in := plan.Machine.Inherited; plan.Mode == policy.Off {
		arenaMax, arenaTest = in.Max, in.Test
	}
	if n, ok = g.Arenas(arenaMax, arenaTest, plan.Machine.Online.N); arenaMax == 0 && plan.Machine.Online.N == 0 {
		return 0, false
	}
	return n, ok
}

// WorstCase returns the bytes of address space that the arenas other than the main one reserve with one heap each: under
// the plan, and under glibc's own limit. 0 means that there is no known limit, or that the cap is 1.
func (g Version) WorstCase(plan policy.Plan) (capped, uncapped uint64) {
	bytes := func(arenas int, ok bool) uint64 {
		if !ok {
			return 0
		}
		return uint64(arenas-1) * g.HeapBytes()
	}
	capped = bytes(g.PlannedArenas(plan))
	if cpus := plan.Machine.Online.N; cpus != 0 {
		uncapped = bytes(g.DefaultArenas(cpus))
	}
	return capped, uncapped
}
