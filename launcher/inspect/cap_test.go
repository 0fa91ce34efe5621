package inspect

import (
	"encoding/json"
	"strings"
	"testing"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
	"arenacap/policy"
)

var (
	glibc212 = glibc.Version{Major: 2, Minor: 12}
	glibc215 = glibc.Version{Major: 2, Minor: 15}
	glibc236 = glibc.Version{Major: 2, Minor: 36}
	glibc241 = glibc.Version{Major: 2, Minor: 41}
)

// base is a process with one glibc and a number of arenas, started with these variables.
func base(v glibc.Version, arenas int, env ...string) facts {
	return facts{
		arenas: arenas, libcs: 1, libc: "glibc", allocator: "glibc", version: v,
		began: beginning{environ: env, environKnown: true, setting: environ.Effective(env, v)},
	}
}

// TestUpgrade: glibc 2.44's own limit is one arena per CPU, and at least MALLOC_ARENA_TEST: by default 8, or 2 with 32
// bits.
func TestUpgrade(t *testing.T) {
	on := func(own int) func(*facts) { return func(f *facts) { f.ownLimit = own } }
	for _, c := range []struct {
		name  string
		facts facts
		cpus  int
		want  string
	}{
		{"16 on two CPUs", base(glibc236, 16).with(on(16)), 2, "without a cap, glibc 2.44 would allow 8 arenas here instead of 16"},
		{"128 on sixteen", base(glibc236, 128).with(on(128)), 16, "without a cap, glibc 2.44 would allow 16 arenas here instead of 128"},
		{"32 bits", base(glibc236, 4).with(on(4)).with(bits32), 1, "without a cap, glibc 2.44 would allow 2 arenas here instead of 4"},
		{"no more than it would allow", base(glibc236, 8).with(on(16)), 2, ""},
		{"the program set a limit itself", base(glibc236, 17).with(on(16)), 2, ""},
		{"a cap holds", base(glibc236, 12, "MALLOC_ARENA_MAX=12").with(on(16)), 2, ""},
		{"a cap that secure mode ignores", base(glibc236, 16, "MALLOC_ARENA_MAX=12").with(on(16)).with(secure), 2, "without a cap, glibc 2.44 would allow 8 arenas here instead of 16"},
		{"MALLOC_ARENA_TEST is its floor", base(glibc236, 16, "MALLOC_ARENA_TEST=12").with(on(16)), 2, "without a cap, glibc 2.44 would allow 12 arenas here instead of 16"},
		{"it is the newest", base(glibc.Newest(false), 8).with(on(8)), 2, ""},
		{"the environment is not known", base(glibc236, 16).with(on(16)).with(noEnviron), 2, ""},
		{"the CPUs are not known", base(glibc236, 16), 0, ""},
		{"another malloc", base(glibc236, 16).with(on(16)).with(jemalloc), 2, ""},
	} {
		if got := c.facts.upgrade(c.cpus); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// with returns changed facts, so that a table can have them in one expression.
func (f facts) with(change func(*facts)) facts {
	change(&f)
	return f
}

func jemalloc(f *facts)  { f.allocator = "jemalloc" }
func secure(f *facts)    { f.began.secure = true }
func noEnviron(f *facts) { f.began = beginning{unknown: "cannot be read"} }
func overwrote(f *facts) {
	f.began = beginning{unknown: "was overwritten by the program (setproctitle)"}
}
func twoLibcs(f *facts) { f.libcs = 2 }
func unlinked(f *facts) { f.unlinked = 3 }
func unread(f *facts)   { f.unlinked, f.unread = 1, true }
func systemSet(f *facts) {
	f.began.setting.Max = environ.Value{N: 4, OK: true, From: "tunables", System: true}
}
func systemLocked(f *facts) { f.began.setting.Max = environ.Value{Locked: true} }
func ownMalloc(f *facts)    { f.allocator, f.mallocIn = "", "/opt/server" }
func limitOn(cpus int) func(*facts) {
	return func(f *facts) { f.ownLimit = f.allowed(f.version, 0, cpus) }
}
func limit16(f *facts)    { f.ownLimit = 16 }
func bits32(f *facts)     { f.version.Bits32 = true }
func musl(f *facts)       { f.libc, f.allocator, f.libcs, f.arenas = "musl", "musl", 0, 0 }
func noLibc(f *facts)     { f.libc, f.allocator, f.libcs, f.arenas = "", "", 0, 0 }
func goOnly(f *facts)     { f.libc, f.allocator, f.libcs, f.arenas = "", "go", 0, 0 }
func policyOff(f *facts)  { f.wanted = &policy.Plan{Mode: policy.Off} }
func unknownAll(f *facts) { f.version = glibc.Version{} }

func wants(n int) func(*facts) {
	return func(f *facts) { f.wanted = &policy.Plan{Mode: policy.Fixed, ArenaMax: n} }
}

func TestJudge(t *testing.T) {
	const four = "MALLOC_ARENA_MAX=4"
	cases := []struct {
		name   string
		facts  facts
		n      int
		source string
		kept   Kept
		why    string // a part of Why
	}{
		{"kept exactly", base(glibc236, 4, four), 4, "environment", Yes, "4 arenas, and 4 are allowed"},
		{"kept with room", base(glibc236, 1, four), 4, "environment", Yes, "1 arena, and 4 are allowed"},
		{"one too many", base(glibc236, 5, four), 4, "environment", No, "mallopt(M_ARENA_MAX)"},
		{"a tunable comes first", base(glibc236, 3, four, "GLIBC_TUNABLES=glibc.malloc.arena_max=3"), 3, "tunables", Yes, "3 arenas, and 3 are allowed"},
		{"a tunable is exceeded", base(glibc236, 4, four, "GLIBC_TUNABLES=glibc.malloc.arena_max=3"), 3, "tunables", No, "mallopt"},
		{"malformed tunables in 2.41 leave the variable", base(glibc241, 4, four, "GLIBC_TUNABLES=glibc.malloc.arena_max=3:"), 4, "environment", Yes, ""},

		{"no cap", base(glibc236, 16), 0, "", NoAnswer, "neither MALLOC_ARENA_MAX nor GLIBC_TUNABLES"},
		{"no cap, and glibc's own", base(glibc236, 16).with(limit16), 0, "", NoAnswer, "glibc's own limit is 16 here"},
		{"zero", base(glibc236, 16, "MALLOC_ARENA_MAX=0"), 0, "", NoAnswer, "MALLOC_ARENA_MAX is 0, which means glibc's own limit"},
		{"invalid", base(glibc236, 16, "MALLOC_ARENA_MAX=abc"), 0, "", NoAnswer, `rejects "MALLOC_ARENA_MAX=abc"`},
		{"trailing letters: taken up to 2.38", base(glibc236, 4, "MALLOC_ARENA_MAX=4abc"), 4, "environment", Yes, ""},
		{"trailing letters: refused from 2.39", base(glibc241, 4, "MALLOC_ARENA_MAX=4abc"), 0, "", NoAnswer, `rejects "MALLOC_ARENA_MAX=4abc"`},
		{"tunables that are malformed", base(glibc241, 16, "GLIBC_TUNABLES=glibc.malloc.arena_max=3:"), 0, "", NoAnswer, "glibc ignores GLIBC_TUNABLES, because it is malformed"},
		{"minus one is no limit", base(glibc236, 40, "MALLOC_ARENA_MAX=-1"), 0, "", NoAnswer, "too large to limit anything"},
		{"enable_secure", base(glibc241, 16, four, "GLIBC_TUNABLES=glibc.rtld.enable_secure=1"), 0, "", NoAnswer, "glibc.rtld.enable_secure=1"},
		{"environment not readable", base(glibc236, 3).with(noEnviron), 0, "", NoAnswer, "the process's environment cannot be read"},
		{"environment overwritten", base(glibc236, 3).with(overwrote), 0, "", NoAnswer, "the process's environment was overwritten"},
		{"version not known", base(glibc236, 4, four).with(unknownAll), 4, "environment", Yes, ""},

		{"secure and over", base(glibc236, 16, four).with(secure), 4, "environment", No, "AT_SECURE"},
		{"secure and under, by chance", base(glibc236, 3, four).with(secure), 4, "environment", NoAnswer, "not enforced"},
		{"the system's tunables", base(glibc241, 4).with(systemSet), 4, "tunables", Yes, "4 arenas, and 4 are allowed"},
		{"the system's tunables in secure mode", base(glibc241, 4).with(systemSet).with(secure), 4, "tunables", Yes, "4 arenas, and 4 are allowed"},
		{"the system's tunables are locked at nonsense", base(glibc241, 9).with(systemLocked), 0, "", NoAnswer, "/etc/tunables.conf locks"},
		{"secure mode reads no MALLOC_ARENA_TEST", base(glibc236, 16, "MALLOC_ARENA_TEST=40").with(secure).with(limitOn(2)), 0, "", NoAnswer, "glibc's own limit is 16 here"},
		{"MALLOC_ARENA_TEST=20 before 2.44", base(glibc236, 21, "MALLOC_ARENA_TEST=20").with(limitOn(2)), 0, "", NoAnswer, "glibc's own limit is 21 here"},
		{"MALLOC_ARENA_TEST=3 since 2.44", base(glibc.Version{Major: 2, Minor: 44}, 3, "MALLOC_ARENA_TEST=3").with(limitOn(2)), 0, "", NoAnswer, "glibc's own limit is 3 here"},
		{"MALLOC_ARENA_TEST=-1 is no limit", base(glibc236, 1, "MALLOC_ARENA_TEST=-1").with(limitOn(2)), 0, "", NoAnswer, "so large that glibc has no limit"},
		{"an empty tunable", base(glibc241, 1, "GLIBC_TUNABLES=glibc.malloc.arena_max="), 0, "", NoAnswer, "glibc.malloc.arena_max is empty, which sets nothing"},
		{"a duplicate that is not a number", base(glibc241, 1, "MALLOC_ARENA_MAX=3", "MALLOC_ARENA_MAX=abc"), 0, "", NoAnswer, `the process's glibc rejects "MALLOC_ARENA_MAX=abc"; of several values only the last one counts`},
		{"a duplicate of 0", base(glibc241, 1, "GLIBC_TUNABLES=glibc.malloc.arena_max=3:glibc.malloc.arena_max=0"), 0, "", NoAnswer, "glibc.malloc.arena_max is 0, which means glibc's own limit; of several values only the last one counts"},
		{"two rejected copies", base(glibc236, 1, "MALLOC_ARENA_MAX=abc", "MALLOC_ARENA_MAX=0").with(limitOn(2)), 0, "", NoAnswer, "MALLOC_ARENA_MAX is 0, which means glibc's own limit; glibc's own limit is 16 here"},
		{"a malformed whole", base(glibc241, 1, "GLIBC_TUNABLES=glibc.malloc.arena_max=3:"), 0, "", NoAnswer, "ignores GLIBC_TUNABLES"},
		{"tunables before there were any", base(glibc215, 1, "GLIBC_TUNABLES=glibc.malloc.arena_max=3"), 0, "", NoAnswer, "glibc 2.15 does not know GLIBC_TUNABLES"},
		{"a malloc of its own", base(glibc236, 1, four).with(ownMalloc), 4, "environment", NoAnswer, "the process uses the malloc of /opt/server, which may not read"},
		{"a malloc of its own, and no cap", base(glibc236, 1).with(ownMalloc).with(limit16), 0, "", NoAnswer, "sets one; the process uses the malloc of /opt/server"},
		{"a malloc that passes on", base(glibc236, 4, four).with(ownMalloc), 4, "environment", Yes, "4 arenas, and 4 are allowed"},
		{"another allocator", base(glibc236, 1, four).with(jemalloc), 4, "environment", NoAnswer, "the process uses the malloc of jemalloc"},
		{"another allocator, no cap", base(glibc236, 1).with(jemalloc), 0, "", NoAnswer, "a cap would have no effect: the process uses the malloc of jemalloc"},
		{"musl", base(glibc236, 0, four).with(musl), 4, "environment", NoAnswer, "musl has no arenas"},
		{"Go without cgo", base(glibc236, 0, four).with(goOnly), 4, "environment", NoAnswer, "a Go program without cgo does not use malloc"},
		{"no libc that is known", base(glibc236, 0).with(noLibc), 0, "", NoAnswer, "a cap would have no effect: no C library with arenas"},

		{"two libcs, each within its own", base(glibc236, 6, four).with(twoLibcs), 4, "environment", NoAnswer, "2 copies of the C library"},
		{"two libcs, and more than both may have", base(glibc236, 9, four).with(twoLibcs), 4, "environment", No, "2 copies of the C library"},
		{"two libcs, together within one's", base(glibc236, 4, four).with(twoLibcs), 4, "environment", Yes, ""},
		{"damaged structures may hide more", base(glibc236, 2, four).with(unlinked), 4, "environment", NoAnswer, "up to 3 more"},
		{"damaged structures, and still room", base(glibc236, 1, four).with(unlinked), 4, "environment", Yes, ""},
		{"more structures than are read", base(glibc236, 1, four).with(unread), 4, "environment", NoAnswer, "at least 1 arena; the process's memory"},
		{"more structures than are read, and over without them", base(glibc236, 5, four).with(unread), 4, "environment", No, ""},
		{"damaged structures, and over without them", base(glibc236, 5, four).with(unlinked), 4, "environment", No, ""},

		{"2.12 without TEST has 9", base(glibc212, 9, four), 4, "environment", No, "allows MALLOC_ARENA_TEST + 1 = 9 arenas"},
		{"2.15 without TEST has 9", base(glibc215, 9, four), 4, "environment", No, "allows MALLOC_ARENA_TEST + 1 = 9 arenas"},
		{"2.12 32-bit has 3", base(glibc212, 3, "MALLOC_ARENA_MAX=2").with(bits32), 2, "environment", No, "= 3 arenas"},
		{"2.12 with a large TEST", base(glibc212, 20, four, "MALLOC_ARENA_TEST=30"), 4, "environment", No, "= 31 arenas"},
		{"2.12 races", base(glibc212, 6, four, "MALLOC_ARENA_TEST=3"), 4, "environment", No, "threads start at the same moment"},
		{"2.15 does not race", base(glibc215, 6, four, "MALLOC_ARENA_TEST=3"), 4, "environment", No, "mallopt"},

		{"policy kept", base(glibc236, 4, four).with(wants(4)), 4, "policy", Yes, ""},
		{"policy, started with less", base(glibc236, 2, "MALLOC_ARENA_MAX=2").with(wants(4)), 4, "policy", Yes, ""},
		{"policy, started before", base(glibc236, 16).with(wants(4)), 4, "policy", No, "started without a cap"},
		{"policy, started under another", base(glibc236, 8, "MALLOC_ARENA_MAX=8").with(wants(4)), 4, "policy", No, "started with a cap of 8, set by MALLOC_ARENA_MAX"},
		{"policy, within by chance", base(glibc236, 3).with(wants(4)), 4, "policy", NoAnswer, "not in force: the process was started without a cap"},
		{"policy, in force and over", base(glibc236, 9, four).with(wants(4)), 4, "policy", No, "mallopt"},
		{"policy allows more than it was started with, and it went over that", base(glibc236, 6, four).with(wants(8)), 8, "policy", NoAnswer, "the process has 6 arenas, more than the 4 that its own MALLOC_ARENA_MAX allows"},
		{"policy, environment not readable", base(glibc236, 3).with(noEnviron).with(wants(4)), 4, "policy", NoAnswer, "cannot be read"},
		{"policy, environment not readable, over", base(glibc236, 5).with(noEnviron).with(wants(4)), 4, "policy", No, ""},
		{"policy off", base(glibc236, 9, four).with(policyOff), 0, "", NoAnswer, `the policy has cap = "off"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := c.facts.judge()
			if got.N != c.n || got.Source != c.source || got.Kept != c.kept || !strings.Contains(got.Why, c.why) || got.Why == "" {
				t.Errorf("got  %+v\nwant %d %q %v, why with %q", got, c.n, c.source, c.kept, c.why)
			}
		})
	}
}

// TestNeverWronglyKept combines facts in all ways: the answer is "kept" only if all possible arenas are within the cap,
// glibc has read the cap and obeys it, and glibc's malloc is in use.
func TestNeverWronglyKept(t *testing.T) {
	changes := []func(*facts){jemalloc, secure, noEnviron, overwrote, twoLibcs, unlinked, musl, noLibc, policyOff, wants(2), wants(8)}
	for _, v := range []glibc.Version{{}, glibc212, glibc215, glibc236, glibc241} {
		for _, env := range [][]string{nil, {"MALLOC_ARENA_MAX=3"}, {"MALLOC_ARENA_MAX=-1"}, {"GLIBC_TUNABLES=glibc.malloc.arena_max=5", "MALLOC_ARENA_MAX=2"}} {
			for _, arenas := range []int{0, 1, 2, 3, 5, 6, 8, 9} {
				for mask := range 1 << len(changes) {
					f := base(v, arenas, env...)
					for i, change := range changes {
						if mask>>i&1 == 1 {
							change(&f)
						}
					}
					c := f.judge()
					own := f.began.setting.Max
					holds := f.libc == "glibc" && f.allocator == "glibc" && !f.began.secure && f.began.environKnown &&
						own.OK && uint64(f.arenas) <= own.N && own.N <= uint64(c.N) && f.arenas+f.unlinked <= c.N
					if (c.Kept == Yes) != holds && !(c.N == 0 && c.Kept == NoAnswer) {
						t.Fatalf("%+v: judged %+v", f, c)
					}
					if c.Kept == No && f.arenas <= c.N {
						t.Fatalf("%+v: judged %+v", f, c)
					}
				}
			}
		}
	}
}

func TestKeptJSON(t *testing.T) {
	text, err := json.Marshal([]Kept{NoAnswer, No, Yes})
	if err != nil || string(text) != "[null,false,true]" {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestNewFactsCountsLibcs(t *testing.T) {
	p := &arena.Process{Libc: "glibc", LibcVersion: "2.41", Bits: 32, Allocator: "glibc", Unlinked: 1,
		Arenas: []arena.Arena{{Main: true}, {Main: true, Libc: 1}, {}}}
	f := newFacts(p, beginning{})
	if f.arenas != 3 || f.libcs != 2 || f.unlinked != 1 || f.version != (glibc.Version{Major: 2, Minor: 41, Bits32: true}) {
		t.Errorf("got %+v", f)
	}
}
