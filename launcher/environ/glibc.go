package environ

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"arenacap/policy"
)

// What glibc does about arenas, by its version: how many it allows, with and without the variables, and the
// address space that they take. To add a release that changes it, add a row to eras.

// GlibcVersion is the glibc that a program will use. The zero value is a glibc that is not known; it counts as
// 2.16 to 2.43, the rule of most releases in use.
type GlibcVersion struct {
	Major, Minor int
	Point        string // "0" is 2.Minor as upstream released it; "" is not known, as in the name of most builds
	Bits32       bool
}

// newest is the minor version up to which eras was compared with glibc's source.
const newest = 44

// NewestGlibc is the newest release that is known here.
func NewestGlibc(bits32 bool) GlibcVersion {
	return GlibcVersion{Major: 2, Minor: newest, Bits32: bits32}
}

// Glibc reads the version that a glibc gives itself, "2.36" or "2.36.9000"; what is none gives the version that is
// not known.
func Glibc(s string, bits int) GlibcVersion {
	first, rest, _ := strings.Cut(s, ".")
	second, point, _ := strings.Cut(rest, ".")
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil {
		return GlibcVersion{Bits32: bits == 32}
	}
	return GlibcVersion{Major: major, Minor: minor, Point: point, Bits32: bits == 32}
}

// ParseGlibc reads a version that a person typed: "2.36", or "2.26.0" for a release without the patches that
// followed.
func ParseGlibc(s string) (GlibcVersion, error) {
	g := Glibc(s, 64)
	_, err := strconv.ParseUint(cmp.Or(g.Point, "0"), 10, 16)
	switch {
	case g.String() != s || err != nil:
		return g, fmt.Errorf(`%q is not a version of glibc; write for example "2.36", or "2.26.0" for a release without later patches`, s)
	case g.Major != 2 || g.Minor < 0 || g.Minor > newest:
		return g, fmt.Errorf("%q is not known; write a version from 2.0 to 2.%d", s, newest)
	}
	return g, nil
}

// Known reports whether the version is known.
func (g GlibcVersion) Known() bool { return g.Major != 0 }

// Before reports whether the version is known and older than 2.minor.
func (g GlibcVersion) Before(minor int) bool {
	return g.Known() && (g.Major < 2 || g.Major == 2 && g.Minor < minor)
}

// String is the version as glibc says it.
func (g GlibcVersion) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%d.%d.%s", g.Major, g.Minor, g.Point), ".")
}

// era is a run of releases that count arenas alike.
type era struct {
	from             int  // 2.from is the first of them; each lasts until the next
	perCPU, perCPU32 int  // the limit without a cap, in arenas a CPU, and with 32 bits; 0 is no limit
	beyond           int  // that limit is at least arena_test and so many more
	testFirst        bool // arena_test + 1 arenas are made before the cap is looked at
	racy             bool // threads that start at the same moment go over the cap
}

// eras are from malloc/arena.c (reused_arena, arena_get2) and malloc/malloc.c (NARENAS_FROM_NCORES).
var eras = [...]era{
	{from: 0},
	{from: 10, perCPU: 8, perCPU32: 2, beyond: 1, testFirst: true, racy: true}, // RHEL 6's 2.12 is not racy
	{from: 15, perCPU: 8, perCPU32: 2, beyond: 1, testFirst: true},
	{from: 16, perCPU: 8, perCPU32: 2, beyond: 1}, // BZ 11261; on the branch of 2.15 too
	{from: 44, perCPU: 1, perCPU32: 1},            // 93e6135904
}

func (g GlibcVersion) era() era {
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

// defaultTest is arena_test where it is not set.
func (g GlibcVersion) defaultTest() int {
	if g.Bits32 {
		return 2
	}
	return 8
}

// Arenas is how many arenas this glibc makes at most with these values of MALLOC_ARENA_MAX and MALLOC_ARENA_TEST, 0 for one
// that is not set, on so many CPUs. ok is false where there is no limit.
func (g GlibcVersion) Arenas(arenaMax, arenaTest, cpus int) (n int, ok bool) {
	e := g.era()
	switch ignored, _ := g.Ignores(); {
	case e.perCPU == 0:
		return 0, false
	case ignored && g.Minor == 25: // it takes the one for the other, in the order of the environment
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
func (g GlibcVersion) DefaultArenas(cpus int) (n int, ok bool) { return g.Arenas(0, 0, cpus) }

// Racy reports whether threads that start at the same moment can go over the cap.
func (g GlibcVersion) Racy() bool { return g.era().racy }

// Ignores reports whether this glibc does not obey MALLOC_ARENA_MAX, and why, as what follows its name. Where it depends on
// the patches of a build, ignored is false and there is a reason.
//
// 2.25.0 takes MALLOC_ARENA_MAX for MALLOC_ARENA_TEST (BZ 21338), 2.26.0 takes no value of either (cebcb9f864).
func (g GlibcVersion) Ignores() (ignored bool, why string) {
	switch {
	case g.Before(10):
		return true, "has no limit on arenas; the first with one is 2.10"
	case g.Major != 2 || g.Minor != 25 && g.Minor != 26:
	case g.Point == "0":
		return true, fmt.Sprintf("does not obey MALLOC_ARENA_MAX (a bug; 2.27 and later patches of 2.%d mend it)", g.Minor)
	case g.Point == "":
		return false, "does not obey MALLOC_ARENA_MAX unless it was patched"
	}
	return false, ""
}

// HeapBytes is the address space of one heap.
func (g GlibcVersion) HeapBytes() uint64 {
	if g.Bits32 {
		return 1 << 20
	}
	return policy.ArenaHeap
}

// PlannedArenas is how many arenas this glibc makes at most under the plan. Off leaves what was inherited in force.
func (g GlibcVersion) PlannedArenas(plan policy.Plan) (n int, ok bool) {
	arenaMax, arenaTest := plan.ArenaMax, plan.ArenaTest
	if in := plan.Machine.Inherited; plan.Mode == policy.Off {
		arenaMax, arenaTest = in.Max, in.Test
	}
	if n, ok = g.Arenas(arenaMax, arenaTest, plan.Machine.Online.N); arenaMax == 0 && plan.Machine.Online.N == 0 {
		return 0, false
	}
	return n, ok
}

// WorstCase is the address space that arenas other than the main one reserve with one heap each, under the
// plan and under glibc's own limit, for the glibc that the target uses. Zero means there is no limit, or
// none that is known; a cap of 1 is zero bytes too.
func (g GlibcVersion) WorstCase(plan policy.Plan) (capped, uncapped uint64) {
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
