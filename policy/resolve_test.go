package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// cores returns a machine with n cores and no quota.
func cores(n int) Machine {
	c := Reading[int]{N: n, From: "test"}
	return Machine{Online: c, Affinity: c}
}

// file returns a policy whose cap comes from a file, or the built-in policy if cap is "".
func file(cap string) Policy {
	p := Builtin()
	if cap == "" {
		return p
	}
	c, err := parseCap(cap)
	if err != nil {
		panic(err)
	}
	c.From = "policy.toml:2"
	p.Arenas.Cap = c
	return p
}

func TestResolveCap(t *testing.T) {
	for _, c := range []struct {
		cap            string
		cores          int
		min, max, test int
		wantMax        int
		wantTest       int
	}{
		{cap: "1", cores: 8, wantMax: 1, wantTest: 1},
		{cap: "2", cores: 8, wantMax: 2, wantTest: 1},
		{cap: "4", cores: 8, wantMax: 4, wantTest: 3},
		{cap: "4", cores: 0, wantMax: 4, wantTest: 3}, // a fixed cap does not need cores
		{cap: "65535", cores: 8, wantMax: 65535, wantTest: 65534},
		{cap: "4", cores: 8, min: 6, max: 8, wantMax: 4, wantTest: 3}, // min and max apply to a per-core cap only
		{cap: "4", cores: 8, test: 2, wantMax: 4, wantTest: 2},

		{cap: "1/core", cores: 4, wantMax: 4, wantTest: 3},
		{cap: "1/core", cores: 1, wantMax: 2, wantTest: 1}, // min is 2 by default
		{cap: "1/core", cores: 1, min: 1, wantMax: 1, wantTest: 1},
		{cap: "1/core", cores: 1, max: 1, wantMax: 1, wantTest: 1}, // max = 1 wins over the default of min
		{cap: "1/core", cores: 128, max: 64, wantMax: 64, wantTest: 63},
		{cap: "1/core", cores: 4, min: 6, wantMax: 6, wantTest: 5},
		{cap: "1/core", cores: 4, min: 4, max: 4, wantMax: 4, wantTest: 3},
		{cap: "1/core", cores: 2, test: 3, wantMax: 2, wantTest: 1}, // MALLOC_ARENA_TEST is lowered from 3, so that the cap is exact
		{cap: "1/core", cores: 8, test: 3, wantMax: 8, wantTest: 3},

		{cap: "0.5/core", cores: 8, wantMax: 4, wantTest: 3},
		{cap: "0.5/core", cores: 7, wantMax: 4, wantTest: 3}, // 3.5, rounded up
		{cap: "0.1/core", cores: 10, min: 1, wantMax: 1, wantTest: 1},
		{cap: "0.1/core", cores: 30, min: 1, wantMax: 3, wantTest: 2}, // exactly 3, although 0.1 is not exact in floating point
		{cap: "1.1/core", cores: 10, wantMax: 11, wantTest: 10},
		{cap: "1.1/core", cores: 11, wantMax: 13, wantTest: 12},
		{cap: "0.000001/core", cores: 64, min: 1, wantMax: 1, wantTest: 1},
		{cap: "65535/core", cores: 8192, wantMax: 65535, wantTest: 65534},

		{cap: "off", cores: 8, test: 3},
		{cap: "glibc", cores: 8, test: 3},
		{cap: "glibc", cores: 0},
	} {
		p := file(c.cap)
		p.Arenas.Min, p.Arenas.Max, p.Arenas.Test = c.min, c.max, c.test
		plan, err := p.Resolve(cores(c.cores))
		if err != nil || plan.ArenaMax != c.wantMax || plan.ArenaTest != c.wantTest || plan.Mode != p.Arenas.Cap.Mode {
			t.Errorf("%+v: %v, %s MAX %d TEST %d", c, err, plan.Mode, plan.ArenaMax, plan.ArenaTest)
		}
		if len(plan.Reasons) == 0 || !strings.Contains(plan.Reasons[0]+strings.Join(plan.Reasons, ""), "policy.toml:2") {
			t.Errorf("%+v: no reason names the origin: %q", c, plan.Reasons)
		}
	}
}

// TestResolveMaxReserved: the cap is the main arena plus one arena for each heap within the limit.
func TestResolveMaxReserved(t *testing.T) {
	for _, c := range []struct {
		cap, reserved   string
		limit, heap     uint64
		hard            string
		min, max, cores int
		want            int
		why             string
	}{
		{cap: "1/core", reserved: "1GiB", cores: 64, want: 17, why: "lowered to 17 by max_reserved = 1 GiB (policy.toml:4), 64 MiB per arena"},
		{cap: "1/core", reserved: "1GiB", cores: 8, want: 8, why: "is 8: MALLOC_ARENA_MAX is 8"},
		{cap: "1/core", reserved: "1073741823", cores: 64, want: 16},
		{cap: "1/core", reserved: "64MiB", cores: 64, want: 2},
		{cap: "1/core", reserved: "63MiB", cores: 64, want: 1},
		{cap: "1/core", reserved: "1KiB", cores: 64, want: 1},
		{cap: "1/core", reserved: "1GiB", heap: 1 << 20, cores: 2000, want: 1025, why: "1 MiB per arena"},
		{cap: "1/core", reserved: "128MiB", min: 8, cores: 64, want: 3}, // max_reserved wins over min
		{cap: "1/core", reserved: "128MiB", min: 8, cores: 2, want: 3},
		{cap: "1/core", reserved: "1GiB", max: 4, cores: 64, want: 4},
		{cap: "1/core", reserved: "1GiB", max: 64, cores: 64, want: 17},
		{cap: "65535/core", reserved: "8388607TiB", cores: 64, want: MaxCap},
		{cap: "20", reserved: "128MiB", cores: 64, want: 20, why: "max_reserved (policy.toml:4) has no effect: it lowers per-core caps only"},
		{cap: "1/core", reserved: "25%", limit: 4 << 30, cores: 64, want: 17, why: "max_reserved = 1 GiB (policy.toml:4, 25% of 4 GiB (RLIMIT_AS))"},
		{cap: "1/core", reserved: "25%", cores: 64, want: 64, why: "there is no limit on address space (RLIMIT_AS), so it has no effect"},
		{cap: "1/core", reserved: "25%", hard: "4GiB", limit: 1 << 40, cores: 64, want: 17, why: "25% of 4 GiB (RLIMIT_AS, set by hard = true)"},
		{cap: "1/core", reserved: "0.000001%", limit: 1, cores: 64, want: 1},
		{cap: "glibc", reserved: "1KiB", cores: 64, want: 0},
	} {
		p := file(c.cap)
		p.Arenas.Min, p.Arenas.Max = c.min, c.max
		var err error
		if p.Arenas.MaxReserved, err = parseLimit(c.reserved); err != nil {
			t.Fatal(err)
		}
		p.Arenas.MaxReserved.From = "policy.toml:4"
		if c.hard != "" {
			p.Budget.Limits[virtual], _ = parseLimit(c.hard)
			p.Budget.Hard = true
		}
		m := cores(c.cores)
		m.Address, m.Heap = Reading[uint64]{N: c.limit, From: "RLIMIT_AS"}, c.heap
		plan, err := p.Resolve(m)
		if err != nil || plan.ArenaMax != c.want || c.want != 0 && plan.ArenaTest != max(1, c.want-1) || !strings.Contains(strings.Join(plan.Reasons, "\n"), c.why) {
			t.Errorf("%+v: %v, %d, %d, %q", c, err, plan.ArenaMax, plan.ArenaTest, plan.Reasons)
		}
	}
}

func TestResolveReasons(t *testing.T) {
	p := file("1/core")
	p.Arenas.Max, p.Arenas.Test = 3, 9
	m := Machine{
		Online:   Reading[int]{N: 8, From: "/sys/devices/system/cpu/online"},
		Affinity: Reading[int]{Why: "sched_getaffinity: denied"},
		Quota:    Reading[float64]{N: 3.5, From: "/sys/fs/cgroup/a/cpu.max"},
	}
	plan, err := p.Resolve(m)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"cores: 4, the least of online 8 (/sys/devices/system/cpu/online); affinity unknown (sched_getaffinity: denied); quota 3.5 (/sys/fs/cgroup/a/cpu.max)",
		`cap = "1/core" (policy.toml:2) on 4 cores is 4, lowered to max = 3: MALLOC_ARENA_MAX is 3`,
		"test = 9, lowered to max(1, cap - 1) so that the cap is exact: MALLOC_ARENA_TEST is 2",
	}
	if !slices.Equal(plan.Reasons, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(plan.Reasons, "\n"), strings.Join(want, "\n"))
	}
	if plan.Overrides != nil {
		t.Errorf("overrides %q where nothing was inherited", plan.Overrides)
	}
}

func TestResolveCores(t *testing.T) {
	count := func(n int) Reading[int] { return Reading[int]{N: n, From: "test"} }
	for _, c := range []struct {
		name  string
		cores coreRule
		m     Machine
		want  int // the wanted value; 0: an error is expected
	}{
		{"auto: online is least", coreRule{}, Machine{Online: count(4), Affinity: count(8), Quota: Reading[float64]{N: 6}}, 4},
		{"auto: affinity is least", coreRule{Rule: "auto"}, Machine{Online: count(8), Affinity: count(3), Quota: Reading[float64]{N: 6}}, 3},
		{"auto: the quota is least and rounded up", coreRule{}, Machine{Online: count(8), Affinity: count(8), Quota: Reading[float64]{N: 2.01}}, 3},
		{"auto: a whole quota stays", coreRule{}, Machine{Online: count(8), Affinity: count(8), Quota: Reading[float64]{N: 2}}, 2},
		{"auto: less than a core is one", coreRule{}, Machine{Online: count(8), Affinity: count(8), Quota: Reading[float64]{N: 0.25}}, 1},
		{"auto: no quota", coreRule{}, Machine{Online: count(8), Affinity: count(8)}, 8},
		{"auto: online unknown", coreRule{}, Machine{Affinity: count(5)}, 5},
		{"auto: the quota alone", coreRule{}, Machine{Quota: Reading[float64]{N: 5}}, 5},
		{"auto: nothing known", coreRule{}, Machine{Online: Reading[int]{Why: "no /sys"}}, 0},
		{"online", coreRule{Rule: "online"}, Machine{Online: count(8), Affinity: count(3), Quota: Reading[float64]{N: 2}}, 8},
		{"online unknown", coreRule{Rule: "online"}, Machine{Online: Reading[int]{Why: "no /sys"}, Affinity: count(3)}, 0},
		{"affinity", coreRule{Rule: "affinity"}, Machine{Online: count(8), Affinity: count(3), Quota: Reading[float64]{N: 2}}, 3},
		{"affinity unknown", coreRule{Rule: "affinity"}, Machine{Online: count(8)}, 0},
		{"written", coreRule{N: 16, From: "--cores"}, Machine{Online: count(8), Affinity: count(3)}, 16},
		{"written, nothing known", coreRule{N: 16, From: "--cores"}, Machine{}, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := file("1/core")
			p.Arenas.Min, p.Arenas.Cores = 1, c.cores
			plan, err := p.Resolve(c.m)
			if c.want == 0 {
				if err == nil || !strings.Contains(err.Error(), "needs the number of cores") || !reflect.DeepEqual(plan, Plan{}) {
					t.Errorf("%+v, %v", plan, err)
				}
				return
			}
			if err != nil || plan.Cores != c.want || plan.ArenaMax != c.want {
				t.Errorf("cores %d, cap %d, %v; want %d", plan.Cores, plan.ArenaMax, err, c.want)
			}
		})
	}
}

func TestResolveInherited(t *testing.T) {
	const variable, tunables = "$MALLOC_ARENA_MAX", "$GLIBC_TUNABLES"
	for _, c := range []struct {
		name      string
		cap       string // cap in the file; "" is unset
		flag      bool   // the cap comes from --arenas instead
		test      int    // value of test in the file
		keep      bool
		inherited Inherited

		mode      string
		max       int
		arenaTest int
		overrides []string
	}{
		{name: "nothing said: built-in", mode: PerCore, max: 4, arenaTest: 3},
		{name: "nothing said: inherited", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable}, mode: Fixed, max: 6, arenaTest: 5},
		{name: "nothing said: inherited 0", inherited: Inherited{Max: 0, MaxOK: true, MaxFrom: tunables}, mode: Glibc},
		{name: "nothing said: inherited invalid", inherited: Inherited{Invalid: []string{"MALLOC_ARENA_MAX=four\n"}},
			mode: PerCore, max: 4, arenaTest: 3, overrides: []string{`the inherited setting "MALLOC_ARENA_MAX=four\n" has no number from 0 to 65535, so it is ignored`}},
		{name: "the file wins", cap: "2", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable}, mode: Fixed, max: 2, arenaTest: 1,
			overrides: []string{"$MALLOC_ARENA_MAX asked for a cap of 6; a cap of 2 from policy.toml:2 overrides it"}},
		{name: "the file says the same", cap: "6", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable}, mode: Fixed, max: 6, arenaTest: 5},
		{name: "the file wins over 0", cap: "2", inherited: Inherited{MaxOK: true, MaxFrom: tunables}, mode: Fixed, max: 2, arenaTest: 1,
			overrides: []string{"$GLIBC_TUNABLES asked for glibc's own limit (0); a cap of 2 from policy.toml:2 overrides it"}},
		{name: "the file says glibc", cap: "glibc", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable}, mode: Glibc,
			overrides: []string{"$MALLOC_ARENA_MAX asked for a cap of 6; glibc's own limit (0) from policy.toml:2 overrides it"}},
		{name: "off leaves it and says nothing", cap: "off", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable, Test: 9, TestOK: true, Invalid: []string{"x=y"}}, mode: Off},
		{name: "keep", cap: "2", keep: true, inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable}, mode: Fixed, max: 6, arenaTest: 5},
		{name: "keep 0", cap: "2", keep: true, inherited: Inherited{MaxOK: true, MaxFrom: variable}, mode: Glibc},
		{name: "keep, nothing inherited", cap: "2", keep: true, mode: Fixed, max: 2, arenaTest: 1},
		{name: "keep does not stop a flag", cap: "2", flag: true, keep: true, inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable}, mode: Fixed, max: 2, arenaTest: 1,
			overrides: []string{"$MALLOC_ARENA_MAX asked for a cap of 6; a cap of 2 from --arenas overrides it"}},
		{name: "a flag sets aside the file's test", cap: "9", flag: true, test: 2, mode: Fixed, max: 9, arenaTest: 8},
		{name: "the file's test", cap: "9", test: 2, mode: Fixed, max: 9, arenaTest: 2},
		{name: "the file's test counts with an inherited cap", test: 2, inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable, Test: 4, TestOK: true},
			mode: Fixed, max: 6, arenaTest: 2, overrides: []string{"the inherited MALLOC_ARENA_TEST of 4 is replaced by 2"}},
		{name: "keep keeps the test too", cap: "9", test: 2, keep: true, inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable, Test: 4, TestOK: true},
			mode: Fixed, max: 6, arenaTest: 4},
		{name: "inherited together", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable, Test: 2, TestOK: true}, mode: Fixed, max: 6, arenaTest: 2},
		{name: "an inherited test that is too large", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable, Test: 6, TestOK: true},
			mode: Fixed, max: 6, arenaTest: 5, overrides: []string{"the inherited MALLOC_ARENA_TEST of 6 is replaced by 5"}},
		{name: "an inherited test of 0 is none", inherited: Inherited{Max: 6, MaxOK: true, MaxFrom: variable, TestOK: true}, mode: Fixed, max: 6, arenaTest: 5},
		{name: "a test alone", cap: "4", inherited: Inherited{Test: 20, TestOK: true}, mode: Fixed, max: 4, arenaTest: 3,
			overrides: []string{"the inherited MALLOC_ARENA_TEST of 20 is replaced by 3"}},
		{name: "a test under glibc's own limit", cap: "glibc", inherited: Inherited{Test: 20, TestOK: true}, mode: Glibc,
			overrides: []string{"the inherited MALLOC_ARENA_TEST of 20 is removed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := file(c.cap)
			p.Arenas.Test = c.test
			if c.flag {
				p.Arenas.Cap.From = flagArenas
			}
			if c.keep {
				p.Arenas.Inherited = "keep"
			}
			m := cores(4)
			m.Inherited = c.inherited
			plan, err := p.Resolve(m)
			if err != nil || plan.Mode != c.mode || plan.ArenaMax != c.max || plan.ArenaTest != c.arenaTest {
				t.Errorf("%s MAX %d TEST %d, %v", plan.Mode, plan.ArenaMax, plan.ArenaTest, err)
			}
			if !slices.Equal(plan.Overrides, c.overrides) {
				t.Errorf("overrides\n%q, want\n%q", plan.Overrides, c.overrides)
			}
		})
	}
}

func TestResolveWithoutCores(t *testing.T) {
	_, err := Builtin().Resolve(Machine{Online: Reading[int]{Why: "no /sys"}})
	want := `cap = "1/core" (built-in policy) needs the number of cores, which was not found (online unknown (no /sys); affinity unknown; quota none); write a fixed cap, such as cap = 4, or cores = 8`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// The cap of --arenas obeys the file's max.
func TestResolveFlagIsClamped(t *testing.T) {
	p := file("2/core")
	p.Arenas.Cap.From = flagArenas
	p.Arenas.Max = 5
	if plan, err := p.Resolve(cores(4)); err != nil || plan.ArenaMax != 5 {
		t.Errorf("%d, %v", plan.ArenaMax, err)
	}
}

func TestResolveLimits(t *testing.T) {
	p := file("4")
	p.Budget.Limits[virtual] = size{Bytes: 4 * gib, From: "policy.toml:9"}
	p.Budget.Limits[row("data")] = size{Percent: 12.5, From: "policy.toml:10"}
	p.Budget.Limits[row("resident")] = size{Percent: 100, From: "policy.toml:11"}
	p.Budget.Limits[row("arenas")] = size{Percent: 0.000001, From: "policy.toml:12"}
	m := cores(4)
	m.Memory = Reading[uint64]{N: 1<<63 + 7, From: "memory.max"}
	plan, err := p.Resolve(m)
	want := []Limit{
		{"virtual", 4 * gib, "policy.toml:9"},
		{"data", 1 << 60, "policy.toml:10: 12.5% of 8 EiB, memory.max"},
		{"resident", 1<<63 + 7, "policy.toml:11: 100% of 8 EiB, memory.max"}, // the value is exact; with float64 it would not be
		{"arenas", 92233720368, "policy.toml:12: 1e-06% of 8 EiB, memory.max"},
	}
	if err != nil || !slices.Equal(plan.Limits, want) || plan.HardLimit != 0 {
		t.Errorf("%+v, %v", plan.Limits, err)
	}

	p.Budget.Hard = true
	m.Memory.N = 1000 // the share rounds to 0 bytes, but 0 would mean no limit
	if plan, err = p.Resolve(m); err != nil || plan.HardLimit != 4*gib || plan.Limits[3].Bytes != 1 {
		t.Errorf("%+v, %v", plan, err)
	}

	m.Memory = Reading[uint64]{Why: "no /proc/meminfo"}
	_, err = p.Resolve(m)
	if err == nil || err.Error() != `data = "12.5%" (policy.toml:10) needs the machine's memory, which is unknown (no /proc/meminfo); write the limit in bytes` {
		t.Error(err)
	}

	if plan, err = file("off").Resolve(Machine{}); err != nil || plan.Limits != nil {
		t.Errorf("no budget: %+v, %v", plan.Limits, err)
	}
}

// Facts that NeedsCores and NeedsMemory report as not needed do not change the cap and the limits.
func TestNeeds(t *testing.T) {
	inherited := Inherited{Max: 3, MaxOK: true, MaxFrom: "$MALLOC_ARENA_MAX"}
	for _, c := range []struct {
		name          string
		cap           string
		n             int // number in [arenas] cores
		data          size
		in            Inherited
		cores, memory bool
	}{
		{"built-in", "", 0, size{}, Inherited{}, true, false},
		{"inherited", "", 0, size{}, inherited, false, false},
		{"per core", "2/core", 0, size{}, inherited, true, false},
		{"per core, written", "2/core", 8, size{}, Inherited{}, false, false},
		{"fixed", "4", 0, size{Bytes: 1}, Inherited{}, false, false},
		{"off", "off", 0, size{Percent: 50, From: "x"}, Inherited{}, false, true},
		{"glibc", "glibc", 0, size{}, Inherited{}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := file(c.cap)
			p.Arenas.Cores.N, p.Budget.Limits[row("data")] = c.n, c.data
			if p.NeedsCores(c.in) != c.cores || p.NeedsMemory() != c.memory {
				t.Errorf("cores %v, memory %v", p.NeedsCores(c.in), p.NeedsMemory())
			}
			full := cores(4)
			full.Inherited, full.Memory = c.in, Reading[uint64]{N: gib}
			asked := Machine{Inherited: c.in}
			if c.cores {
				asked.Online, asked.Affinity = full.Online, full.Affinity
			}
			if c.memory {
				asked.Memory = full.Memory
			}
			want, errFull := p.Resolve(full)
			got, errAsked := p.Resolve(asked)
			if errFull != nil || errAsked != nil {
				t.Fatal(errFull, errAsked)
			}
			if got.Mode != want.Mode || got.ArenaMax != want.ArenaMax || got.ArenaTest != want.ArenaTest || !slices.Equal(got.Limits, want.Limits) {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}
