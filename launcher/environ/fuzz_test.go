package environ

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/environ/glibc"
	"arenacap/policy"
)

// FuzzApply takes an environment as one string, with NUL between the entries.
func FuzzApply(f *testing.F) {
	for _, env := range hostile() {
		f.Add(strings.Join(env, "\x00"), uint16(4))
	}
	f.Add("GLIBC_TUNABLES=glibc.rtld.enable_secure=1:glibc.malloc.arena_max=3\x00MALLOC_ARENA_TEST=1", uint16(0))
	f.Fuzz(func(t *testing.T, joined string, max uint16) {
		env := strings.Split(joined, "\x00")
		plan := policy.Plan{Mode: policy.Fixed, ArenaMax: int(max), ArenaTest: int(max) - 1}
		if plan.ArenaTest < 1 {
			plan.ArenaTest = 1
		}
		if max == 0 {
			plan = glibcs
		}
		got := Apply(env, plan)
		if !slices.Equal(others(got.Env), others(env)) {
			t.Errorf("entries of other variables changed:\n got %q\nfrom %q", got.Env, env)
		}
		if again := Apply(got.Env, plan); !slices.Equal(again.Env, got.Env) || again.Removed != nil || again.Conflicts != nil {
			t.Errorf("not idempotent: %q became %q", got.Env, again)
		}
		for _, name := range [...]string{maxName, testName, tunablesName} {
			copies, before := valuesOf(got.Env, name), valuesOf(env, name)
			if len(copies) > 1 || name == maxName && len(copies) != 1 {
				t.Errorf("%s occurs %d times in %q", name, len(copies), got.Env)
			}
			if name == tunablesName && len(copies) == 1 && !slices.Equal(copies, before) && strings.HasSuffix(copies[0], ":") {
				t.Errorf("a colon is left at the end: %q", copies[0])
			}
		}
		for _, minor := range families {
			v := glibc2(minor)
			now := Effective(got.Env, v)
			if now.Secure {
				continue // glibc.rtld.enable_secure=1 makes every cap ineffective, and Apply does not change that item
			}
			if now.Max.N != uint64(max) || now.Test.N != uint64(plan.ArenaTest) {
				t.Errorf("glibc 2.%d reads %+v from %q", minor, now, got.Env)
			}
		}
	})
}

func others(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool { name, _ := arenaVariable(e); return name != "" })
}

func valuesOf(env []string, name string) []string {
	var values []string
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

// FuzzTunables makes one value of GLIBC_TUNABLES from one copy of the variable, then one from two copies. It checks
// that glibc reads the same items from this value as from the copies, except the items that arenacap sets or drops.
func FuzzTunables(f *testing.F) {
	f.Add("a.b=1:glibc.malloc.arena_max=3:c.d=2", "glibc.malloc.arena_max=3:junk")
	f.Add("a.b=1:junk:glibc.malloc.arena_max=3", "x=y=z")
	f.Add("::glibc.malloc.arena_test=1::", ":")
	f.Add("a=1", "b=1:glibc.malloc.arena_max")
	f.Add("glibc.malloc.hugetlb=1:a=b=c", "glibc.malloc.hugetlb=2:glibc.malloc.hugetlb=0")
	f.Add("glibc.malloc.hugetlb=0:junk", ":a=1:")
	f.Fuzz(func(t *testing.T, one, two string) {
		if strings.ContainsRune(one+two, 0) {
			t.Skip("no value in an environment has a NUL")
		}
		checkHugeOff(t, []string{one}, tunableChange{huge: true})
		checkHugeOff(t, []string{one, two}, tunableChange{arenas: true, huge: true})
		for _, values := range [][]string{{one}, {two}, {one, two}} {
			joined, _ := tunableChange{arenas: true}.join(values)
			if strings.HasSuffix(joined, ":") && slices.ContainsFunc(values, setsArenas) {
				t.Errorf("%q became %q", values, joined)
			}
			if got, want := tunableItems(joined, glibc2(38)), foreignItems(values, glibc2(38)); !sameButVoid(got, want, len(values) > 1) {
				t.Errorf("glibc 2.38 reads %q from %q, not %q", got, joined, want)
			}
			wellFormed := !slices.ContainsFunc(values, func(v string) bool { return v != "" && tunableItems(v, glibc2(39)) == nil })
			if got, want := tunableItems(joined, glibc2(39)), foreignItems(values, glibc2(39)); wellFormed && !reflect.DeepEqual(got, want) {
				t.Errorf("glibc 2.39 reads %q from %q, not %q", got, joined, want)
			}
			for _, v := range values {
				if tunableItems(v, glibc2(39)) != nil && len(foreignItems([]string{v}, glibc2(39))) > 0 && tunableItems(joined, glibc2(39)) == nil {
					t.Errorf("glibc 2.39 ignores the joined value %q, but reads items of a copy in %q", joined, values)
				}
			}
		}
	})
}

// checkHugeOff checks that glibc 2.38, 2.39 and 2.44 read hugetlb=0 once from the new value, and that they also read
// the items that 2.38 reads from the copies, without those that arenacap sets or drops.
func checkHugeOff(t *testing.T, values []string, change tunableChange) {
	t.Helper()
	var r Result
	value := strings.TrimPrefix(r.settleTunables(values, change), tunablesName+"=")
	for _, minor := range []int{38, 39, 44} {
		var huge []string
		got := slices.DeleteFunc(tunableItems(value, glibc2(minor)), func(it tunable) bool {
			if it.name == hugeTunable {
				huge = append(huge, it.value)
			}
			return it.name == hugeTunable
		})
		if !slices.Equal(huge, []string{"0"}) {
			t.Errorf("glibc 2.%d reads hugetlb %q from %q, made of %q", minor, huge, value, values)
		}
		// The copies are read as 2.38 reads them, because 2.39 and later ignore the items of a malformed copy.
		var before []tunable
		for _, v := range values {
			before = append(before, tunableItems(v, glibc2(38))...)
		}
		want := slices.DeleteFunc(before, func(it tunable) bool {
			return it.name == hugeTunable || strings.Contains(it.value, "=") || change.about(it.name+"="+it.value)
		})
		if !slices.Equal(got, want) {
			t.Errorf("glibc 2.%d reads %q from %q, not %q", minor, got, value, want)
		}
	}
}

// foreignItems returns the items that glibc reads from the values of several copies of GLIBC_TUNABLES, in their order,
// without the arena items.
func foreignItems(values []string, v glibc.Version) []tunable {
	var items []tunable
	for _, value := range values {
		for _, it := range tunableItems(value, v) {
			if it.name != maxTunable && it.name != testTunable {
				items = append(items, it)
			}
		}
	}
	return items
}

// sameButVoid compares two lists of items. If several copies of GLIBC_TUNABLES were joined, it skips the wanted items with
// two "=", because Apply drops them.
func sameButVoid(got, want []tunable, several bool) bool {
	if several {
		want = slices.DeleteFunc(slices.Clone(want), func(it tunable) bool { return strings.Contains(it.value, "=") })
	}
	return slices.Equal(got, want)
}

// FuzzEffective looks for crashes, and checks that every version reads a plain decimal as the same number.
func FuzzEffective(f *testing.F) {
	for _, env := range hostile() {
		f.Add(strings.Join(env, "\x00"))
	}
	f.Fuzz(func(t *testing.T, joined string) {
		env := strings.Split(joined, "\x00")
		in := Inherited(env)
		for _, minor := range families {
			s := Effective(env, glibc2(minor))
			if s.Max.OK != (s.Max.N != 0) || s.Max.OK != (s.Max.From != "") {
				t.Errorf("glibc 2.%d: %+v from %q", minor, s, env)
			}
			plain := len(valuesOf(env, maxName)) == 1 && len(valuesOf(env, tunablesName)) == 0
			if plain && in.MaxOK && s.Max.N != uint64(in.Max) {
				t.Errorf("glibc 2.%d reads %d from %q, arenacap %d", minor, s.Max.N, env, in.Max)
			}
		}
		if len(Rejoin(env)) > len(env) {
			t.Error("Rejoin added entries")
		}
	})
}
