package policy

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// Plan is what will be set and why: the result of a policy and a machine. It is a plain value.
type Plan struct {
	Mode      Mode
	ArenaMax  int // the cap; 0 for Off and Glibc
	ArenaTest int // 0: MALLOC_ARENA_TEST is not set (Off, Glibc)
	Cores     int // what a per-core cap was multiplied by; 0 where no rule needed it and none is known
	Limits    []Limit
	HardLimit uint64 // RLIMIT_AS of the target in bytes; 0 is none

	Reasons   []string // one fact a line: a value and why it has that value
	Overrides []string // what the plan overrides of what was inherited, a line each, for stderr

	Policy  Policy
	Machine Machine
}

// Limit is one budget in bytes.
type Limit struct {
	Metric string // one of Metrics
	Bytes  uint64
	From   string
}

func (l Limit) String() string {
	return fmt.Sprintf("%s %s (%s)", l.Metric, FormatSize(l.Bytes), l.From)
}

// Resolve lays the policy over the machine. It is pure. An error says what the machine did not tell and
// what to write instead.
func (p Policy) Resolve(m Machine) (Plan, error) {
	plan := Plan{Policy: p, Machine: m}
	limits, err := p.Budget.Limits.inBytes(m.Memory)
	if err != nil {
		return Plan{}, err
	}
	plan.Limits = limits
	if p.Budget.Hard {
		plan.HardLimit = p.Budget.Limits[virtual].Bytes
	}
	why := p.coresUsed(m, &plan.Cores)
	if err := plan.setCap(p.winner(m.Inherited), why); err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// winner is the cap that counts: what a flag or the file says, then a valid inherited value, then the
// built-in policy. With inherited = "keep" the inherited value comes before the file, not before a flag.
func (p Policy) winner(in Inherited) Cap {
	said := p.Arenas.Cap
	keep := p.Arenas.Inherited == "keep" && said.From != FlagArenas
	if in.MaxOK && (said.Mode == "" || keep) {
		if in.Max == 0 {
			return Cap{Mode: Glibc, From: in.MaxFrom}
		}
		return Cap{Mode: Fixed, N: in.Max, From: in.MaxFrom}
	}
	if said.Mode == "" {
		return Cap{Mode: PerCore, Micro: 1_000_000, From: "built-in policy"}
	}
	return said
}

// NeedsCores reports whether the plan will depend on the number of cores, so that a launch under a fixed
// cap need not look for them.
func (p Policy) NeedsCores(in Inherited) bool {
	return p.winner(in).Mode == PerCore && p.Arenas.Cores.N == 0
}

// NeedsMemory reports whether a limit is a percentage of the machine's memory.
func (p Policy) NeedsMemory() bool {
	return p.Budget.Limits.relative()
}

// FlagArenas is the origin of a cap that was given on the command line.
const FlagArenas = "--arenas"

// setCap fills in the mode, the two values and their reasons.
func (plan *Plan) setCap(c Cap, cores string) error {
	plan.Mode = c.Mode
	said := "cap = " + strconv.Quote(c.String()) + " (" + c.From + ")"
	switch c.Mode {
	case Off:
		plan.reason(said + ": MALLOC_ARENA_MAX, MALLOC_ARENA_TEST and GLIBC_TUNABLES stay as they were inherited")
		return nil
	case Glibc:
		plan.reason(said + ": MALLOC_ARENA_MAX is 0, which glibc reads as its own limit and which a start script's ${MALLOC_ARENA_MAX:-4} leaves alone")
	case Fixed:
		plan.ArenaMax = c.N
		plan.reason(said + ": MALLOC_ARENA_MAX is " + strconv.Itoa(c.N))
	case PerCore:
		if plan.Cores == 0 {
			return fmt.Errorf(`%s needs a number of cores, and none was found (%s); write a number, cap = 4, or cores = 8`, said, cores)
		}
		plan.reason("cores: " + cores)
		plan.ArenaMax = plan.clamp(c, said)
	}
	plan.setTest(c)
	plan.noteOverrides(c)
	return nil
}

// clamp is the per-core cap between min and max.
func (plan *Plan) clamp(c Cap, said string) int {
	n := c.of(plan.Cores)
	sum := said + " on " + strconv.Itoa(plan.Cores) + " cores is " + strconv.Itoa(n)
	if plan.Cores == 1 {
		sum = said + " on 1 core is " + strconv.Itoa(n)
	}
	least, most := plan.Policy.Arenas.Min, plan.Policy.Arenas.Max
	if least == 0 {
		least = 2
		if most == 1 { // max = 1 alone is no contradiction: the default of min gives way
			least = 1
		}
	}
	switch {
	case n < least:
		sum, n = sum+", raised to min = "+strconv.Itoa(least), least
	case most != 0 && n > most:
		sum, n = sum+", lowered to max = "+strconv.Itoa(most), most
	case n > MaxCap:
		sum, n = sum+", lowered to "+strconv.Itoa(MaxCap)+", the largest cap there is", MaxCap
	}
	plan.reason(sum + ": MALLOC_ARENA_MAX is " + strconv.Itoa(n))
	return n
}

// setTest fills in MALLOC_ARENA_TEST: what the file says, else what was inherited together with the cap,
// else max(1, cap - 1). inherited = "keep" turns the first two round for an inherited cap.
//
// glibc 2.10 to 2.15, and RHEL 6 with it, create an arena while there are at most arena_test of them before
// they look at the cap, so the cap is exact only where arena_test < cap (malloc/arena.c, reused_arena, glibc
// 2.12). Later versions ignore it where the cap is set, and 2.44 takes it as the floor of the limit should a
// program further down drop the cap.
func (plan *Plan) setTest(c Cap) {
	if plan.Mode == Glibc {
		plan.reason("MALLOC_ARENA_TEST is removed, so that glibc's own limit is undisturbed")
		return
	}
	most := max(1, plan.ArenaMax-1)
	in, arenas := plan.Machine.Inherited, plan.Policy.Arenas
	fromFile := arenas.Test != 0 && c.From != FlagArenas
	asInherited := c.inherited(in) && in.TestOK && in.Test >= 1 && in.Test <= most
	plan.ArenaTest = most
	switch {
	case asInherited && (!fromFile || arenas.Inherited == "keep"):
		plan.ArenaTest = in.Test
		plan.reason("MALLOC_ARENA_TEST is " + strconv.Itoa(in.Test) + ", as inherited")
	case fromFile && arenas.Test > most:
		plan.reason("test = " + strconv.Itoa(arenas.Test) + ", lowered to max(1, cap - 1) so that the cap is exact: MALLOC_ARENA_TEST is " + strconv.Itoa(most))
	case fromFile:
		plan.ArenaTest = arenas.Test
		plan.reason("test = " + strconv.Itoa(arenas.Test) + ": MALLOC_ARENA_TEST is " + strconv.Itoa(arenas.Test))
	default:
		plan.reason("MALLOC_ARENA_TEST is " + strconv.Itoa(most) + ", max(1, cap - 1): the cap is exact on every glibc since 2.10, RHEL 6's too")
	}
	if plan.ArenaMax == 1 {
		plan.reason("before glibc 2.16 a cap of 1 gives 2 arenas, the least there is")
	}
}

// inherited reports whether the cap is the one that the environment already had.
func (c Cap) inherited(in Inherited) bool { return in.MaxOK && c.From == in.MaxFrom }

// noteOverrides says what differs from a valid inherited value and from an invalid one.
func (plan *Plan) noteOverrides(c Cap) {
	in := plan.Machine.Inherited
	if in.MaxOK && in.Max != plan.ArenaMax {
		plan.Overrides = append(plan.Overrides, fmt.Sprintf("%s asked for %s; %s from %s overrides it",
			in.MaxFrom, quoteMax(in.Max), quoteMax(plan.ArenaMax), c.From))
	}
	if in.TestOK && in.Test != 0 && in.Test != plan.ArenaTest && !(in.MaxOK && in.Max != plan.ArenaMax) {
		to := "removed"
		if plan.ArenaTest != 0 {
			to = "replaced by " + strconv.Itoa(plan.ArenaTest)
		}
		plan.Overrides = append(plan.Overrides, fmt.Sprintf("the inherited MALLOC_ARENA_TEST of %d is %s", in.Test, to))
	}
	for _, bad := range in.Invalid {
		plan.Overrides = append(plan.Overrides, fmt.Sprintf("inherited %q is no number from 0 to %d and does not count", bad, MaxCap))
	}
}

func quoteMax(n int) string {
	if n == 0 {
		return "glibc's own limit (0)"
	}
	return "a cap of " + strconv.Itoa(n)
}

// coresUsed applies the rule of [arenas] cores and gives its reason.
func (p Policy) coresUsed(m Machine, used *int) string {
	rule := p.Arenas.Cores
	switch {
	case rule.N != 0:
		*used = rule.N
		return strconv.Itoa(rule.N) + ", as written (" + rule.From + ")"
	case rule.Rule == "online":
		*used = m.Online.N
		return "online " + m.Online.String()
	case rule.Rule == "affinity":
		*used = m.Affinity.N
		return "affinity " + m.Affinity.String()
	}
	*used = m.Online.N
	if a := m.Affinity.N; a != 0 && (*used == 0 || a < *used) {
		*used = a
	}
	if q := m.Quota.cores(); q != 0 && (*used == 0 || q < *used) {
		*used = q
	}
	sources := "online " + m.Online.String() + "; affinity " + m.Affinity.String() + "; quota " + m.Quota.String()
	if *used == 0 {
		return sources
	}
	return strconv.Itoa(*used) + ", the least of " + sources
}

// cores is the quota rounded up: what is left of a core still runs a thread.
func (q Quota) cores() int {
	n := int(q.CPUs)
	if float64(n) < q.CPUs {
		n++
	}
	return n
}

// String gives the number and where it was read, or why it is not known.
func (c Count) String() string {
	if c.N == 0 {
		return unknown(c.Why)
	}
	return strconv.Itoa(c.N) + " (" + c.From + ")"
}

// String gives the quota and where it was read, "none", or why it is not known.
func (q Quota) String() string {
	switch {
	case q.CPUs != 0:
		return strconv.FormatFloat(q.CPUs, 'g', 6, 64) + " (" + q.From + ")"
	case q.Why != "":
		return unknown(q.Why)
	}
	return "none"
}

func unknown(why string) string {
	if why == "" {
		return "unknown"
	}
	return "unknown (" + why + ")"
}

// share is the percentage of so many bytes, exact to the millionth of a per cent. It is never 0, which
// would be no limit.
func share(bytes uint64, percent float64) uint64 {
	hi, lo := bits.Mul64(bytes, uint64(math.Round(percent*1e6)))
	quo, _ := bits.Div64(hi, lo, 100_000_000) // percent is at most 100, so the result fits
	return max(1, quo)
}

// WorstCase is the address space that arenas other than the main one reserve with one heap each, under the
// plan and under glibc's own limit, for the glibc that the target uses. Zero means there is no limit, or
// none that is known; a cap of 1 is zero bytes too. Off leaves an inherited cap in force.
func (plan Plan) WorstCase(g GlibcVersion) (capped, uncapped uint64) {
	free, limited := 0, false
	if plan.Machine.Online.N != 0 {
		free, limited = g.DefaultArenas(plan.Machine.Online.N)
	}
	if limited {
		uncapped = uint64(free-1) * g.HeapBytes()
	}
	arenas := plan.ArenaMax
	if in := plan.Machine.Inherited; plan.Mode == Off && in.MaxOK {
		arenas = in.Max
	}
	switch {
	case arenas == 0 || g.Before(10): // no cap, or a glibc that knows none
		return uncapped, uncapped
	case arenas == 1 && g.Before(16): // see setTest
		arenas = 2
	}
	return uint64(arenas-1) * g.HeapBytes(), uncapped
}

// reason adds a line that was put together without package fmt: every launch makes some, and the first use
// of fmt costs a start more than all the rest of the plan.
func (plan *Plan) reason(line string) { plan.Reasons = append(plan.Reasons, line) }
