package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"arenacap/policy/text"
)

// This file computes the plan from a policy and a machine.

// Plan holds the values to set, and the reasons for them.
type Plan struct {
	Mode      string // mode of the cap: Fixed, PerCore, Off or Glibc
	ArenaMax  int    // the cap; 0 for Off and Glibc
	ArenaTest int    // MALLOC_ARENA_TEST; 0: it is not set (Off, Glibc)
	Cores     int    // the number of cores that a per-core cap multiplies; 0 if unknown
	Limits    []Limit
	HardLimit uint64 // RLIMIT_AS of the target in bytes; 0 is none

	Reasons   []string // one line each: a value and why it has that value
	Overrides []string // warnings for stderr, one line each: inherited settings that are overridden or ignored

	Policy  Policy
	Machine Machine
}

// Limit is the limit of one metric.
type Limit struct {
	Metric string // name of the metric, one of Metrics
	Bytes  uint64
	From   string
}

func (l Limit) String() string {
	return fmt.Sprintf("%s %s (%s)", l.Metric, text.Size(l.Bytes), l.From)
}

// Resolve computes the plan. It is a pure function. It fails if the policy needs a fact that is unknown; the error says
// which, and what to write instead.
func (p Policy) Resolve(m Machine) (Plan, error) {
	plan := Plan{Policy: p, Machine: m}
	limits, err := p.Budget.limits(m.Memory)
	if err != nil {
		return Plan{}, err
	}
	plan.Limits = limits
	if p.Budget.Hard {
		plan.HardLimit = p.Budget.Limits[virtual].Bytes
	}
	cores, why := p.coresUsed(m)
	plan.Cores = cores
	if err := plan.setCap(p.winner(m.Inherited), why); err != nil {
		return Plan{}, err
	}
	if p.Arenas.HugePages == "off" {
		plan.reason(`huge_pages = "off": GLIBC_TUNABLES contains glibc.malloc.hugetlb=0, which replaces any other value`)
	}
	if p.Match != (Match{}) {
		plan.reason("watch --services finds the processes of this service by %s", p.Match)
	}
	return plan, nil
}

// Plans resolves several policies on one machine. An error names the service.
func (m Machine) Plans(all []Policy) (plans []Plan, err error) {
	for _, p := range all {
		plan, err := p.Resolve(m)
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", p.Service, err)
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// winner selects the cap. Precedence: flag, file, valid inherited value, built-in policy. With inherited = "keep" the
// inherited value precedes the file.
func (p Policy) winner(in Inherited) Cap {
	said := p.Arenas.Cap
	keep := p.Arenas.Inherited == "keep" && said.From != flagArenas
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

// CapFrom returns the source of the cap, as Cap.From has it.
func (plan Plan) CapFrom() string { return plan.Policy.winner(plan.Machine.Inherited).From }

// AddressLimit is RLIMIT_AS of the target: the limit of [budget] hard, else the inherited one.
func (plan Plan) AddressLimit() Reading[uint64] {
	if plan.HardLimit != 0 {
		return Reading[uint64]{N: plan.HardLimit, From: "RLIMIT_AS, set by hard = true"}
	}
	return plan.Machine.Address
}

// NeedsProgram reports whether the plan may depend on Machine.Heap, which is smaller for a 32-bit program.
func (p Policy) NeedsProgram() bool { return !p.Arenas.MaxReserved.isZero() }

// NeedsCores reports whether the cap depends on the number of cores of the machine. If not, the caller need not look it
// up.
func (p Policy) NeedsCores(in Inherited) bool {
	return p.winner(in).Mode == PerCore && p.Arenas.Cores.N == 0
}

// NeedsMemory reports whether a limit is a percentage of the machine's memory.
func (p Policy) NeedsMemory() bool {
	return slices.ContainsFunc(p.Budget.Limits[:], func(s size) bool { return s.Percent != 0 })
}

// setCap fills in the mode, MALLOC_ARENA_MAX, MALLOC_ARENA_TEST and their reasons.
func (plan *Plan) setCap(c Cap, cores string) error {
	plan.Mode = c.Mode
	said := fmt.Sprintf("cap = %q (%s)", c, c.From)
	switch c.Mode {
	case Off:
		plan.reason("%s: MALLOC_ARENA_MAX, MALLOC_ARENA_TEST and the arena items of GLIBC_TUNABLES stay as inherited", said)
		return nil
	case Glibc:
		plan.reason("%s: MALLOC_ARENA_MAX is 0, which selects glibc's own limit and which a start script's ${MALLOC_ARENA_MAX:-4} does not replace", said)
	case Fixed:
		plan.ArenaMax = c.N
		plan.reason("%s: MALLOC_ARENA_MAX is %d", said, c.N)
		if size := plan.Policy.Arenas.MaxReserved; !size.isZero() {
			plan.reason("max_reserved (%s) has no effect: it lowers per-core caps only", size.From)
		}
	case PerCore:
		if plan.Cores == 0 {
			return fmt.Errorf(`%s needs the number of cores, which was not found (%s); write a fixed cap, such as cap = 4, or cores = 8`, said, cores)
		}
		plan.reason("cores: %s", cores)
		plan.ArenaMax = plan.clamp(c, said)
	}
	plan.setTest(c)
	plan.noteOverrides(c)
	return nil
}

// clamp returns the per-core cap, limited by min, max, MaxCap and max_reserved.
func (plan *Plan) clamp(c Cap, said string) int {
	n := c.of(plan.Cores)
	sum := fmt.Sprintf("%s on %s is %d", said, text.Count(plan.Cores, "core"), n)
	least, most := plan.Policy.Arenas.Min, plan.Policy.Arenas.Max
	if least == 0 {
		least = 2
		if most == 1 { // max = 1 wins over the default of min
			least = 1
		}
	}
	switch {
	case n < least:
		n = least
		sum += fmt.Sprintf(", raised to min = %d", n)
	case most != 0 && n > most:
		n = most
		sum += fmt.Sprintf(", lowered to max = %d", n)
	case n > MaxCap:
		n = MaxCap
		sum += fmt.Sprintf(", lowered to %d, the largest valid cap", n)
	}
	if reserved, why := plan.mostReserved(); reserved != 0 && n > reserved {
		n = reserved
		sum += fmt.Sprintf(", lowered to %d by %s", n, why)
	}
	plan.reason("%s: MALLOC_ARENA_MAX is %d", sum, n)
	return n
}

// mostReserved is the cap that max_reserved allows: the main arena, which reserves nothing, plus one arena for each heap
// that fits. 0 means no restriction.
func (plan *Plan) mostReserved() (cap int, why string) {
	size, heap := plan.Policy.Arenas.MaxReserved, cmp.Or(plan.Machine.Heap, ArenaHeap)
	bytes, of := size.Bytes, ""
	switch limit := plan.AddressLimit(); {
	case size.isZero():
		return 0, ""
	case size.Percent != 0 && limit.N == 0:
		plan.reason("max_reserved = \"%g%%\" (%s): there is no limit on address space (RLIMIT_AS), so it has no effect", size.Percent, size.From)
		return 0, ""
	case size.Percent != 0:
		bytes = share(limit.N, size.Percent)
		of = fmt.Sprintf(", %g%% of %s (%s)", size.Percent, text.Size(limit.N), limit.From)
	}
	return 1 + int(min(bytes/heap, MaxCap-1)), fmt.Sprintf("max_reserved = %s (%s%s), %s per arena", text.Size(bytes), size.From, of, text.Size(heap))
}

// setTest fills in MALLOC_ARENA_TEST: the file's value, else the value that was inherited together with the cap,
// else max(1, cap - 1), which is also the largest value. With inherited = "keep" an inherited value precedes the file's
// if the cap is inherited. With --arenas the file's value does not count.
//
// glibc 2.10 to 2.15 (RHEL 6 has 2.12) create arenas until there are more than arena_test, and only then check
// the cap, so the cap is exact only if arena_test < cap (malloc/arena.c, reused_arena, glibc 2.12). Later versions
// ignore arena_test while the cap is set. In a child process that inherits arena_test without the cap, glibc's own
// limit applies, and arena_test is its lower bound, which matters from 2.44 on, where that limit is only one arena
// per CPU.
func (plan *Plan) setTest(c Cap) {
	if plan.Mode == Glibc {
		plan.reason("MALLOC_ARENA_TEST is removed, so that glibc's own limit applies")
		return
	}
	most := max(1, plan.ArenaMax-1)
	in, arenas := plan.Machine.Inherited, plan.Policy.Arenas
	fromFile := arenas.Test != 0 && c.From != flagArenas
	asInherited := c.inherited(in) && in.TestOK && in.Test >= 1 && in.Test <= most
	plan.ArenaTest = most
	switch {
	case asInherited && (!fromFile || arenas.Inherited == "keep"):
		plan.ArenaTest = in.Test
		plan.reason("MALLOC_ARENA_TEST is %d, as inherited", in.Test)
	case fromFile && arenas.Test > most:
		plan.reason("test = %d, lowered to max(1, cap - 1) so that the cap is exact: MALLOC_ARENA_TEST is %d", arenas.Test, most)
	case fromFile:
		plan.ArenaTest = arenas.Test
		plan.reason("test = %d: MALLOC_ARENA_TEST is %d", arenas.Test, arenas.Test)
	default:
		plan.reason("MALLOC_ARENA_TEST is %d: max(1, cap - 1)", most)
	}
	if plan.ArenaMax == 1 {
		plan.reason("before glibc 2.16 a cap of 1 gives 2 arenas, the minimum there")
	}
}

// inherited reports whether the cap comes from the environment.
func (c Cap) inherited(in Inherited) bool { return in.MaxOK && c.From == in.MaxFrom }

// noteOverrides records which inherited values the plan overrides, and which it ignores as invalid.
func (plan *Plan) noteOverrides(c Cap) {
	note := func(format string, args ...any) {
		plan.Overrides = append(plan.Overrides, fmt.Sprintf(format, args...))
	}
	in := plan.Machine.Inherited
	switch {
	case in.MaxOK && in.Max != plan.ArenaMax:
		note("%s asked for %s; %s from %s overrides it", in.MaxFrom, capWords(in.Max), capWords(plan.ArenaMax), c.From)
	case !in.TestOK || in.Test == 0 || in.Test == plan.ArenaTest:
	case plan.ArenaTest == 0:
		note("the inherited MALLOC_ARENA_TEST of %d is removed", in.Test)
	default:
		note("the inherited MALLOC_ARENA_TEST of %d is replaced by %d", in.Test, plan.ArenaTest)
	}
	for _, bad := range in.Invalid {
		note("the inherited setting %q has no number from 0 to %d, so it is ignored", bad, MaxCap)
	}
}

func capWords(n int) string {
	if n == 0 {
		return "glibc's own limit (0)"
	}
	return fmt.Sprintf("a cap of %d", n)
}

// coresUsed returns the number of cores that [arenas] cores selects, 0 if it is unknown. The result "why" says where
// the number comes from.
func (p Policy) coresUsed(m Machine) (n int, why string) {
	rule, sources := p.Arenas.Cores, m.CPUs()
	switch {
	case rule.N != 0:
		return rule.N, fmt.Sprintf("%d, as written (%s)", rule.N, rule.From)
	case rule.Rule == "online":
		return m.Online.N, sources[0]
	case rule.Rule == "affinity":
		return m.Affinity.N, sources[1]
	}
	// A quota is rounded up: a fraction of a core still runs a thread.
	for _, cores := range []int{m.Online.N, m.Affinity.N, int(math.Ceil(m.Quota.N))} {
		if cores != 0 && (n == 0 || cores < n) {
			n = cores
		}
	}
	why = strings.Join(sources, "; ")
	if n != 0 {
		why = fmt.Sprintf("%d, the least of %s", n, why)
	}
	return n, why
}

func (plan *Plan) reason(format string, args ...any) {
	plan.Reasons = append(plan.Reasons, fmt.Sprintf(format, args...))
}
