package environ

import (
	"reflect"
	"strings"
	"testing"

	"arenacap/launcher/environ/glibc"
	"arenacap/policy"
)

func TestInherited(t *testing.T) {
	type in = policy.Inherited
	const variable, tunables = "$MALLOC_ARENA_MAX", "$GLIBC_TUNABLES"
	for _, c := range []struct {
		name string
		env  []string
		want policy.Inherited
	}{
		{"nothing", nil, in{}},
		{"other variables", []string{"PATH=/bin", "MALLOC_ARENA_MAXX=3", "malloc_arena_max=3", "XMALLOC_ARENA_MAX=3"}, in{}},
		{"no equals sign", []string{"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"}, in{}},
		{"a number", []string{"MALLOC_ARENA_MAX=4"}, in{Max: 4, MaxOK: true, MaxFrom: variable}},
		{"zero is glibc's own limit", []string{"MALLOC_ARENA_MAX=0"}, in{MaxOK: true, MaxFrom: variable}},
		{"the largest", []string{"MALLOC_ARENA_MAX=65535"}, in{Max: 65535, MaxOK: true, MaxFrom: variable}},
		{"over the largest", []string{"MALLOC_ARENA_MAX=65536"}, in{Invalid: []string{"MALLOC_ARENA_MAX=65536"}}},
		{"words", []string{"MALLOC_ARENA_MAX=four"}, in{Invalid: []string{"MALLOC_ARENA_MAX=four"}}},
		{"a sign", []string{"MALLOC_ARENA_MAX=-1", "MALLOC_ARENA_TEST=+2"}, in{Invalid: []string{"MALLOC_ARENA_MAX=-1", "MALLOC_ARENA_TEST=+2"}}},
		{"a suffix", []string{"MALLOC_ARENA_MAX=4x"}, in{Invalid: []string{"MALLOC_ARENA_MAX=4x"}}},
		{"octal or ten", []string{"MALLOC_ARENA_MAX=010"}, in{Invalid: []string{"MALLOC_ARENA_MAX=010"}}},
		{"hexadecimal", []string{"MALLOC_ARENA_MAX=0x4"}, in{Invalid: []string{"MALLOC_ARENA_MAX=0x4"}}},
		{"a blank", []string{"MALLOC_ARENA_MAX= 4"}, in{Invalid: []string{"MALLOC_ARENA_MAX= 4"}}},
		{"digits of another script", []string{"MALLOC_ARENA_MAX=٤"}, in{Invalid: []string{"MALLOC_ARENA_MAX=٤"}}},
		{"a line break", []string{"MALLOC_ARENA_MAX=4\n5"}, in{Invalid: []string{"MALLOC_ARENA_MAX=4\n5"}}},
		{"empty is not set", []string{"MALLOC_ARENA_MAX=", "MALLOC_ARENA_TEST="}, in{}},
		{"test alone", []string{"MALLOC_ARENA_TEST=3"}, in{Test: 3, TestOK: true}},
		{"twice: the first valid", []string{"MALLOC_ARENA_MAX=x", "MALLOC_ARENA_MAX=3", "MALLOC_ARENA_MAX=5"},
			in{Max: 3, MaxOK: true, MaxFrom: variable, Invalid: []string{"MALLOC_ARENA_MAX=x"}}},
		{"a tunable first", []string{"MALLOC_ARENA_MAX=5", "GLIBC_TUNABLES=glibc.malloc.arena_max=3"}, in{Max: 3, MaxOK: true, MaxFrom: tunables}},
		{"a tunable first, in front", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3", "MALLOC_ARENA_MAX=5"}, in{Max: 3, MaxOK: true, MaxFrom: tunables}},
		{"a tunable of zero", []string{"MALLOC_ARENA_MAX=5", "GLIBC_TUNABLES=glibc.malloc.arena_max=0"}, in{MaxOK: true, MaxFrom: tunables}},
		{"an invalid tunable", []string{"MALLOC_ARENA_MAX=5", "GLIBC_TUNABLES=glibc.malloc.arena_max=3x"},
			in{Max: 5, MaxOK: true, MaxFrom: variable, Invalid: []string{"glibc.malloc.arena_max=3x"}}},
		{"the later tunable", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3:a.b=1:glibc.malloc.arena_max=6:glibc.malloc.arena_test=2", "GLIBC_TUNABLES=glibc.malloc.arena_test=5"},
			in{Max: 6, MaxOK: true, MaxFrom: tunables, Test: 5, TestOK: true}},
		{"a tunable's name with a blank", []string{"GLIBC_TUNABLES= glibc.malloc.arena_max=3"}, in{}},
		{"a tunable in a malformed string", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3:x=y=z:"}, in{Max: 3, MaxOK: true, MaxFrom: tunables}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Inherited(c.env); !reflect.DeepEqual(got, c.want) {
				t.Errorf("Inherited(%q)\n got %+v\nwant %+v", c.env, got, c.want)
			}
		})
	}
}

var (
	capOf4 = policy.Plan{Mode: policy.Fixed, ArenaMax: 4, ArenaTest: 3}
	glibcs = policy.Plan{Mode: policy.Glibc}
)

func TestApply(t *testing.T) {
	const max, test = "MALLOC_ARENA_MAX=4", "MALLOC_ARENA_TEST=3"
	for _, c := range []struct {
		name    string
		env     []string
		plan    policy.Plan
		want    []string
		removed []string
	}{
		{"an empty environment", nil, capOf4, []string{max, test}, nil},
		{"appended", []string{"A=1"}, capOf4, []string{"A=1", max, test}, nil},
		{"per core", []string{"A=1"}, policy.Plan{Mode: policy.PerCore, ArenaMax: 8, ArenaTest: 7}, []string{"A=1", "MALLOC_ARENA_MAX=8", "MALLOC_ARENA_TEST=7"}, nil},
		{"in the place of the first", []string{"MALLOC_ARENA_TEST=9", "A=1", "MALLOC_ARENA_MAX=2", "B=1", "MALLOC_ARENA_MAX=7", "MALLOC_ARENA_TEST=1"}, capOf4,
			[]string{test, "A=1", max, "B=1"}, nil},
		{"strange entries stay", []string{"=x", "", "A", "A=1", "A=1", "\xff=\xfe", "MALLOC_ARENA_MAX", "MALLOC_ARENA_MAX2=1", "GLIBC_TUNABLES", "M", "G=", "A=\n"}, capOf4,
			[]string{"=x", "", "A", "A=1", "A=1", "\xff=\xfe", "MALLOC_ARENA_MAX", "MALLOC_ARENA_MAX2=1", "GLIBC_TUNABLES", "M", "G=", "A=\n", max, test}, nil},
		{"glibc", []string{"MALLOC_ARENA_TEST=9", "MALLOC_ARENA_MAX=2"}, glibcs, []string{"MALLOC_ARENA_MAX=0"}, []string{"MALLOC_ARENA_TEST"}},
		{"glibc, nothing inherited", nil, glibcs, []string{"MALLOC_ARENA_MAX=0"}, nil},
		{"tunables without arenas stay", []string{"GLIBC_TUNABLES=::x=y=z:glibc.malloc.arena_maxx=3:"}, capOf4,
			[]string{"GLIBC_TUNABLES=::x=y=z:glibc.malloc.arena_maxx=3:", max, test}, nil},
		{"a name without a value sets nothing", []string{"GLIBC_TUNABLES=a.b=1:glibc.malloc.arena_max:"}, capOf4,
			[]string{"GLIBC_TUNABLES=a.b=1:glibc.malloc.arena_max:", max, test}, nil},
		{"empty tunables stay", []string{"GLIBC_TUNABLES="}, capOf4, []string{"GLIBC_TUNABLES=", max, test}, nil},
		{"tunables become empty", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3"}, capOf4, []string{max, test},
			[]string{"glibc.malloc.arena_max=3 in GLIBC_TUNABLES", "GLIBC_TUNABLES"}},
		{"duplicate tunables that are empty", []string{"GLIBC_TUNABLES=", "GLIBC_TUNABLES=:"}, capOf4, []string{max, test}, []string{"GLIBC_TUNABLES"}},
		{"duplicate tunables are joined in order", []string{"GLIBC_TUNABLES=a.b=1", "X=1", "GLIBC_TUNABLES=c.d=2:a.b=3"}, capOf4,
			[]string{"GLIBC_TUNABLES=a.b=1:c.d=2:a.b=3", "X=1", max, test}, nil},
		{"a malformed duplicate does not affect the other copy", []string{"GLIBC_TUNABLES=a.b=1", "GLIBC_TUNABLES=x=y=z:c.d=2:junk"}, capOf4,
			[]string{"GLIBC_TUNABLES=a.b=1:c.d=2", max, test}, []string{"x=y=z in GLIBC_TUNABLES", "junk in GLIBC_TUNABLES"}},
		{"with glibc too", []string{"GLIBC_TUNABLES=a.b=1:glibc.malloc.arena_test=3"}, glibcs, []string{"GLIBC_TUNABLES=a.b=1", "MALLOC_ARENA_MAX=0"},
			[]string{"glibc.malloc.arena_test=3 in GLIBC_TUNABLES"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := strings.Join(c.env, "\x00")
			r := Apply(c.env, c.plan)
			if !reflect.DeepEqual(r.Env, c.want) {
				t.Errorf("Apply(%q)\n got %q\nwant %q", c.env, r.Env, c.want)
			}
			if !sameItems(r.Removed, c.removed) {
				t.Errorf("removed\n got %q\nwant %q", r.Removed, c.removed)
			}
			if strings.Join(c.env, "\x00") != before {
				t.Errorf("the inherited environment was written to: %q", c.env)
			}
		})
	}
}

func sameItems(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestApplyOffReturnsTheSameList(t *testing.T) {
	env := []string{"MALLOC_ARENA_MAX=1", "MALLOC_ARENA_MAX=2", "GLIBC_TUNABLES=glibc.malloc.arena_max=3:", "\xff"}
	r := Apply(env, policy.Plan{Mode: policy.Off})
	if &r.Env[0] != &env[0] || len(r.Env) != len(env) {
		t.Errorf("mode off changed the list: %q", r.Env)
	}
	if r.Set != nil || r.Removed != nil || r.Conflicts != nil || Changes(env, policy.Plan{Mode: policy.Off}) != nil {
		t.Errorf("mode off reports changes: %+v", r)
	}
}

func TestTunablesLoseTheirArenaItemsAndNothingElse(t *testing.T) {
	const max, test = "glibc.malloc.arena_max", "glibc.malloc.arena_test"
	for _, c := range []struct{ in, want string }{
		{max + "=3:a.b=1", "a.b=1"},
		{"a.b=1:" + max + "=3", "a.b=1"},
		{"a.b=1:" + max + "=3:c.d=2", "a.b=1:c.d=2"},
		{max + "=3:" + test + "=2:" + max + "=x:" + max + "=", ""},
		{max + "=3:", ""},
		{"::" + max + "=3::", ""},
		{"a.b=1::" + max + "=3:", "a.b=1"},
		{":" + max + "=3:a.b=1:", ":a.b=1"},
		{"a.b=1::c.d=2:" + test + "=1", "a.b=1::c.d=2"},
		{"junk:a.b=1:" + max + "=3", "junk:a.b=1"},
		{"a.b=1:junk:" + max + "=3", "a.b=1"}, // 2.39 and later ignore a list that ends in "junk"
		{"a.b=1:" + max + "=3:junk", "a.b=1:junk"},
		{"a.b=1=2:" + max + "=3=4", "a.b=1=2"},
		{"a.b=" + max + ":" + max + "=3", "a.b=" + max},
		{max + ":a.b=1:" + test + "=1", max + ":a.b=1"}, // an item without "=" sets nothing
		{" " + max + "=3:" + max + "=4:a=\xff\n", " " + max + "=3:a=\xff\n"},
		{"a.b=1," + max + "=3:" + max + "=4", "a.b=1," + max + "=3"},
	} {
		r := Apply([]string{"GLIBC_TUNABLES=" + c.in}, capOf4)
		got, found := "", false
		for _, e := range r.Env {
			if v, ok := strings.CutPrefix(e, "GLIBC_TUNABLES="); ok {
				got, found = v, true
			}
		}
		if got != c.want || found != (c.want != "") {
			t.Errorf("%q\n got %q (there: %v)\nwant %q", c.in, got, found, c.want)
		}
	}
}

// TestHugePagesOff: GLIBC_TUNABLES gets glibc.malloc.hugetlb=0, and its other items are kept, except those that would
// make glibc 2.39 and later ignore the list.
func TestHugePagesOff(t *testing.T) {
	var p policy.Policy
	p.Arenas.HugePages = "off"
	off := policy.Plan{Mode: policy.Off, Policy: p}
	long := "foo=" + strings.Repeat("x", 100<<10)
	for value, want := range map[string]string{
		"":                                                  "glibc.malloc.hugetlb=0",
		"glibc.malloc.tcache_count=2":                       "glibc.malloc.tcache_count=2:glibc.malloc.hugetlb=0",
		"glibc.malloc.arena_max=3":                          "glibc.malloc.arena_max=3:glibc.malloc.hugetlb=0", // this plan sets no cap
		"glibc.malloc.hugetlb=0":                            "glibc.malloc.hugetlb=0",
		"a.b=1:glibc.malloc.hugetlb=0:c.d=\xff":             "a.b=1:glibc.malloc.hugetlb=0:c.d=\xff",
		"a.b=1:glibc.malloc.hugetlb=1:c.d=2":                "a.b=1:glibc.malloc.hugetlb=0:c.d=2",
		"glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=2":     "glibc.malloc.hugetlb=0",
		"glibc.malloc.hugetlb=0:a=1:glibc.malloc.hugetlb=0": "glibc.malloc.hugetlb=0:a=1",
		"glibc.malloc.hugetlb=:x=1":                         "glibc.malloc.hugetlb=0:x=1",
		"glibc.malloc.hugetlb":                              "glibc.malloc.hugetlb:glibc.malloc.hugetlb=0", // an item without "=" sets nothing; as the last item it would make 2.39 and later ignore the list
		"a=1:":                                              "a=1:glibc.malloc.hugetlb=0",
		"::a=1::":                                           "::a=1:glibc.malloc.hugetlb=0",
		"junk":                                              "junk:glibc.malloc.hugetlb=0",
		"glibc.malloc.hugetlb=0:junk":                       "glibc.malloc.hugetlb=0", // with junk at the end glibc 2.39 and later would ignore the list
		"a=1:x=y=z":                                         "a=1:glibc.malloc.hugetlb=0",
		"glibc.malloc.hugetlbx=1: glibc.malloc.hugetlb=1:glibc.malloc.hugetlb =1": "glibc.malloc.hugetlbx=1: glibc.malloc.hugetlb=1:glibc.malloc.hugetlb =1:glibc.malloc.hugetlb=0",
		long: long + ":glibc.malloc.hugetlb=0",
	} {
		env := []string{"A=1", "GLIBC_TUNABLES=" + value, "MALLOC_ARENA_MAX=x", "B=\xff"}
		got := Apply(env, off).Env
		if !reflect.DeepEqual(got, []string{"A=1", "GLIBC_TUNABLES=" + want, "MALLOC_ARENA_MAX=x", "B=\xff"}) {
			t.Errorf("%.200q\n got %.300q\nwant %.300q", value, got, want)
		}
		if again := Apply(got, off); !reflect.DeepEqual(again.Env, got) || len(again.Set)+len(again.Removed) != 0 {
			t.Errorf("%.200q: done twice it is %.300q, set %.200q, removed %.200q", value, again.Env, again.Set, again.Removed)
		}
	}
	capped := capOf4
	capped.Policy = p
	got := Apply([]string{"A=1", "GLIBC_TUNABLES=glibc.malloc.arena_max=3:glibc.malloc.hugetlb=1", "GLIBC_TUNABLES=b=2"}, capped)
	if want := []string{"A=1", "GLIBC_TUNABLES=glibc.malloc.hugetlb=0:b=2", "MALLOC_ARENA_MAX=4", "MALLOC_ARENA_TEST=3"}; !reflect.DeepEqual(got.Env, want) {
		t.Errorf("%q, want %q", got.Env, want)
	}
	if want := []string{"glibc.malloc.arena_max=3 in GLIBC_TUNABLES", "glibc.malloc.hugetlb=1 in GLIBC_TUNABLES"}; !reflect.DeepEqual(got.Removed, want) {
		t.Errorf("removed %q", got.Removed)
	}
	if got := Apply([]string{"A=1"}, off); !reflect.DeepEqual(got.Env, []string{"A=1", "GLIBC_TUNABLES=glibc.malloc.hugetlb=0"}) || !reflect.DeepEqual(got.Set, []string{"GLIBC_TUNABLES=glibc.malloc.hugetlb=0"}) {
		t.Errorf("%+v", got)
	}
}

// TestHugePages checks which settings and versions ask for huge pages.
func TestHugePages(t *testing.T) {
	for _, c := range []struct {
		env   string
		minor int
		arch  string
		want  string
	}{
		{"A=1", 44, "amd64", ""},
		{"A=1", 42, "arm64", ""},
		{"A=1", 43, "arm64", "glibc 2.43 requests huge pages by default on aarch64"},
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=0", 43, "arm64", ""},
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1", 44, "amd64", "GLIBC_TUNABLES has glibc.malloc.hugetlb=1"},
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=2", 36, "amd64", "GLIBC_TUNABLES has glibc.malloc.hugetlb=2"},
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=0", 36, "amd64", ""},
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1", 34, "amd64", ""},       // 2.34 does not have the tunable
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1:a=b=c", 39, "amd64", ""}, // malformed
		{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1:a=b=c", 43, "arm64", "glibc 2.43 requests huge pages by default on aarch64"},
		{"XGLIBC_TUNABLES=glibc.malloc.hugetlb=1", 44, "amd64", ""},
	} {
		if got, mapped := hugePages([]string{c.env}, glibc2(c.minor), c.arch); got != c.want || mapped != strings.HasSuffix(got, "=2") {
			t.Errorf("%s, glibc 2.%d on %s: %q, want %q", c.env, c.minor, c.arch, got, c.want)
		}
	}
	if got, _ := hugePages(nil, glibc.Version{}, "arm64"); got != "" {
		t.Errorf("a glibc that is not known: %q", got)
	}
}

func TestConflictsAreOneLineEach(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		want []string
	}{
		{"none", []string{"MALLOC_ARENA_MAX=3", "MALLOC_ARENA_TEST=1", "GLIBC_TUNABLES=a=1"}, nil},
		{"copies that agree", []string{"MALLOC_ARENA_MAX=3", "MALLOC_ARENA_MAX=3"}, nil},
		{"copies that differ", []string{"MALLOC_ARENA_MAX=3", "MALLOC_ARENA_MAX=x", "MALLOC_ARENA_MAX=5\n"},
			[]string{`MALLOC_ARENA_MAX is set 3 times, first to "3" and last to "5\n"; glibc versions differ in which one they use, so the plan's setting replaces all of them`}},
		{"copies of tunables", []string{"GLIBC_TUNABLES=a=1", "GLIBC_TUNABLES=b=1"},
			[]string{"GLIBC_TUNABLES is set 2 times; glibc reads all copies, so they are joined into one"}},
		{"a tunable and a variable that differ", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3", "MALLOC_ARENA_MAX=5"},
			[]string{"GLIBC_TUNABLES sets glibc.malloc.arena_max=3, but MALLOC_ARENA_MAX is 5; glibc would use the tunable, and the plan's setting replaces both"}},
		{"a tunable and a variable that agree", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=5", "MALLOC_ARENA_MAX=5"}, nil},
		{"a tunable and a variable, one invalid", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=5x", "MALLOC_ARENA_MAX=3"}, nil},
	} {
		if got := Apply(c.env, capOf4).Conflicts; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		plan policy.Plan
		want []Change
	}{
		{"a cap", nil, capOf4, []Change{{Name: maxName, Value: "4"}, {Name: testName, Value: "3"}}},
		{"glibc removes the test even where it is not there", nil, glibcs, []Change{{Name: maxName, Value: "0"}, {Name: testName, Unset: true}}},
		{"tunables changed", []string{"GLIBC_TUNABLES=a=1:glibc.malloc.arena_max=3"}, capOf4,
			[]Change{{Name: maxName, Value: "4"}, {Name: testName, Value: "3"}, {Name: tunablesName, Value: "a=1"}}},
		{"tunables gone", []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3"}, capOf4,
			[]Change{{Name: maxName, Value: "4"}, {Name: testName, Value: "3"}, {Name: tunablesName, Unset: true}}},
		{"tunables untouched", []string{"GLIBC_TUNABLES=a=1"}, capOf4, []Change{{Name: maxName, Value: "4"}, {Name: testName, Value: "3"}}},
	} {
		if got := Changes(c.env, c.plan); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}
