package environ

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/environ/glibc"
)

// families has the minor versions that changed how glibc reads the settings, and versions next to them.
var families = []int{10, 12, 17, 24, 25, 26, 27, 34, 36, 38, 39, 40, 43, 44}

func glibc2(minor int) glibc.Version { return glibc.Version{Major: 2, Minor: minor} }

const (
	none = 0 // glibc uses its default
	huge = math.MaxUint64
)

// The values come from a running libc for 2.36, 2.39 and 2.44, from elf/dl-tunables.c compiled into a harness for the other
// versions from 2.27 on, and from the source text for older versions.
func TestEffectiveReadsNumbersAsEachGlibcDoes(t *testing.T) {
	for _, c := range []struct {
		value                   string
		v24, v38, v39, v40, v44 uint64
	}{
		{"4", 4, 4, 4, 4, 4},
		{"0", none, none, none, none, none},
		{"", none, none, none, none, none},
		{"-1", none, huge, huge, huge, huge},
		{"4abc", 4, 4, none, none, none},
		{"4 ", 4, 4, none, none, none},
		{"3.7", 3, 3, none, none, none},
		{"abc", none, none, none, none, none},
		{" 4", 4, 4, 4, 4, 4},
		{"\t4", 4, 4, 4, 4, 4},
		{"+4", 4, 4, 4, 4, 4},
		{"+-4", none, none, none, none, none},
		{"\n4", 4, none, none, none, none},
		{"010", 10, 8, 8, 8, 8},
		{"0x5", none, 5, 5, 5, 5},
		{"0XfF", none, 255, 255, 255, 255},
		{"0x", none, none, none, none, none},
		{"08", 8, none, none, none, none},
		{"4294967298", 2, 4294967298, 4294967298, 4294967298, 4294967298},
		{"-4294967292", 4, 1<<64 - 4294967292, 1<<64 - 4294967292, 1<<64 - 4294967292, 1<<64 - 4294967292},
		{"18446744073709551615", none, huge, huge, huge, huge},
		{"18446744073709551616", none, huge, none, none, none},
		{"-99999999999999999999", none, huge, none, none, none},
		{"0x10000000000000000", none, huge, none, none, none},
	} {
		for minor, want := range map[int]uint64{10: c.v24, 24: c.v24, 27: c.v38, 38: c.v38, 39: c.v39, 40: c.v40, 43: c.v40, 44: c.v44} {
			got := Effective([]string{"MALLOC_ARENA_MAX=" + c.value, "MALLOC_ARENA_TEST=" + c.value}, glibc2(minor))
			if got.Max.N != want || got.Max.OK != (want != none) || got.Max.N != got.Test.N || got.Max.OK != got.Test.OK {
				t.Errorf("glibc 2.%d, %q: got %+v, want %d", minor, c.value, got, want)
			}
			if got.Max.Unlimited() != (want > 1<<21) {
				t.Errorf("glibc 2.%d, %q: unlimited is %v", minor, c.value, got.Max.Unlimited())
			}
		}
	}
}

// A 32-bit glibc before 2.26 reads the value as a long, which has 32 bits. From 2.26 to 2.38 a value above 2^32-1 is out of
// range. From 2.39 on glibc casts the value to size_t.
func TestEffectiveOn32Bits(t *testing.T) {
	for _, c := range []struct {
		value         string
		v24, v38, v39 uint64
	}{
		{"4", 4, 4, 4},
		{"-1", none, none, math.MaxUint32},
		{"4294967298", math.MaxInt32, none, 2},
		{"99999999999999999999", math.MaxInt32, none, none},
	} {
		for minor, want := range map[int]uint64{24: c.v24, 38: c.v38, 39: c.v39} {
			v := glibc.Version{Major: 2, Minor: minor, Bits32: true}
			if got := Effective([]string{"MALLOC_ARENA_MAX=" + c.value}, v); got.Max.N != want {
				t.Errorf("glibc 2.%d, %q: got %d, want %d", minor, c.value, got.Max.N, want)
			}
		}
	}
}

func TestEffectivePrecedenceAsInEachGlibc(t *testing.T) {
	const m, g, name = "MALLOC_ARENA_MAX=", "GLIBC_TUNABLES=", "glibc.malloc.arena_max="
	for _, c := range []struct {
		env                     []string
		v24, v38, v39, v40, v44 uint64
	}{
		{[]string{g + name + "3", m + "5"}, 5, 3, 3, 3, 3},
		{[]string{m + "5", g + name + "3"}, 5, 3, 3, 3, 3},
		{[]string{m + "5", g + name + "0"}, 5, 5, 5, 5, none},
		{[]string{g + name, m + "5"}, 5, 5, 5, 5, none},
		{[]string{g + name + "3x", m + "5"}, 5, 3, 5, 5, 5},
		{[]string{m + "3", m + "5"}, 5, 3, 3, 5, 5},
		{[]string{m + "3", m + "abc"}, 3, 3, 3, none, none},
		{[]string{m + "3", m + "0"}, 3, 3, 3, none, none},
		{[]string{m + "abc", m + "3"}, 3, 3, 3, 3, 3},
		{[]string{g + name + "3", g + name + "6"}, none, 6, 6, 6, 6},
		{[]string{g + name + "3", g + "glibc.malloc.tcache_count=2"}, none, 3, 3, 3, 3},
		{[]string{g + name + "3:" + name + "6"}, none, 6, 6, 6, 6},
		{[]string{g + name + "3:" + name + "0"}, none, 3, 3, none, none},
		{[]string{g + name + "3", g + name + "0"}, none, 3, 3, 3, 3},
		{[]string{m + "5", g + name + "3:garbage"}, 5, 3, 5, 5, 5},
		{[]string{m + "5", g + name + "3:"}, 5, 3, 5, 5, 5},
		{[]string{m + "5", g + name + "3=4"}, 5, 3, 5, 5, 5},
		{[]string{m + "5", g + "a=b=c:" + name + "3"}, 5, 3, 5, 5, 5},
		{[]string{m + "5", g + name + "3,a.b=1"}, 5, 3, 5, 5, 5},
		{[]string{m + "5", g + ":" + name + "3"}, 5, 3, 3, 3, 3},
		{[]string{m + "5", g + "garbage:" + name + "3"}, 5, 3, 3, 3, 3},
		{[]string{m + "5", g + "foo=1:" + name + "3"}, 5, 3, 3, 3, 3},
		{[]string{m + "5", g + " " + name + "3"}, 5, 5, 5, 5, 5},
		{[]string{m + "5", g}, 5, 5, 5, 5, 5},
		{[]string{m + "5", g + "glibc.rtld.enable_secure=1"}, 5, 5, 5, none, none},
		{[]string{m + "5", g + name + "3:glibc.rtld.enable_secure=1"}, 5, 3, 3, none, none},
		{[]string{m + "5", g + "glibc.rtld.enable_secure=0"}, 5, 5, 5, 5, 5},
		{[]string{"MALLOC_ARENA_MAX", m + "5", "MALLOC_ARENA_MAX"}, 5, 5, 5, 5, 5},
	} {
		for minor, want := range map[int]uint64{10: c.v24, 25: c.v24, 26: c.v38, 27: c.v38, 38: c.v38, 39: c.v39, 40: c.v40, 43: c.v40, 44: c.v44} {
			got := Effective(c.env, glibc2(minor)).Max
			from := "environment"
			if !slices.Contains(c.env, fmt.Sprintf("%s%d", m, want)) {
				from = "tunables"
			}
			if want == none {
				from = ""
			}
			if got.N != want || got.OK != (want != none) || got.From != from {
				t.Errorf("glibc 2.%d, %q: got %+v, want %d from %q", minor, c.env, got, want, from)
			}
		}
	}
}

func TestEffectiveOfVersionsAtTheEdges(t *testing.T) {
	env := []string{"MALLOC_ARENA_MAX=4x"}
	if got := Effective(env, glibc2(9)); got != (Setting{}) {
		t.Errorf("glibc 2.9 knows no limit, got %+v", got)
	}
	if got := Effective(env, glibc.Version{}); got != Effective(env, glibc2(36)) {
		t.Errorf("an unknown glibc reads %+v", got)
	}
	if got := Effective(env, glibc.Version{Major: 3}); got.Max.OK {
		t.Errorf("a glibc after 2.44 reads %+v", got)
	}
}

func TestRejoin(t *testing.T) {
	const a, b, c = "GLIBC_TUNABLES=glibc.malloc.arena_max=3", "glibc.malloc.tcache_count=2", "glibc.malloc.arena_test=1"
	for _, test := range []struct {
		name     string
		in, want []string
	}{
		{"nothing", nil, nil},
		{"whole", []string{"A=1", a + ":" + b, "B=1"}, []string{"A=1", a + ":" + b, "B=1"}},
		{"cut twice", []string{"A=1", a, b, c, "B=1"}, []string{"A=1", a + ":" + b + ":" + c, "B=1"}},
		{"cut at the end", []string{a, b}, []string{a + ":" + b}},
		{"two copies", []string{a, b, "B=1", a, c}, []string{a + ":" + b, "B=1", a + ":" + c}},
		{"not right after the variable", []string{a, "B=1", b}, []string{a, "B=1", b}},
		{"no such variable", []string{"A=1", b}, []string{"A=1", b}},
	} {
		in := slices.Clone(test.in)
		if got := Rejoin(test.in); !reflect.DeepEqual(got, test.want) || !reflect.DeepEqual(test.in, in) {
			t.Errorf("%s: got %q, and the list is %q", test.name, got, test.in)
		}
	}
}

// hostile has most environments of the tables above and more, for tests that need many.
func hostile() [][]string {
	var all [][]string
	for _, value := range strings.Split("4|0||-1|4abc|4 |3.7|abc| 4|\t4|+4|\n4|010|0x5|08|4294967298|18446744073709551616|2", "|") {
		all = append(all, []string{"MALLOC_ARENA_MAX=" + value}, []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=" + value},
			[]string{"MALLOC_ARENA_TEST=" + value})
	}
	const m, g, name = "MALLOC_ARENA_MAX=", "GLIBC_TUNABLES=", "glibc.malloc.arena_max="
	return append(all, [][]string{
		{g + name + "3", m + "5"}, {m + "5", g + name + "3"}, {m + "5", g + name + "0"}, {g + name + "3x", m + "5"},
		{m + "3", m + "5"}, {m + "3", m + "abc"}, {m + "abc", m + "3"}, {g + name + "3", g + name + "6"},
		{g + name + "3", g + "glibc.malloc.tcache_count=2"}, {g + name + "3:" + name + "6"}, {g + name + "3:" + name + "0"},
		{m + "5", g + name + "3:garbage"}, {m + "5", g + name + "3:"}, {m + "5", g + name + "3=4"}, {m + "5", g + "a=b=c:" + name + "3"},
		{m + "5", g + name + "3,a.b=1"}, {m + "5", g + ":" + name + "3"}, {m + "5", g + "garbage:" + name + "3"}, {m + "5", g + " " + name + "3"},
		{m + "5", g}, {"MALLOC_ARENA_MAX", m + "5"}, {"", "=x", "\xff", m + "5"}, {g + "x=1:garbage:" + name + "3:" + name + "4"},
		{g + "glibc.malloc.arena_test=20"}, {g + "glibc.malloc.arena_test=20", m + "3"}, {g + "glibc.malloc.arena_test=1:" + name + "2", "MALLOC_ARENA_TEST=9"},
		{g + "glibc.malloc.arena_max", g + name, g + name + "3:x", g + ":", m + "2"}, {m + "-1", g + name + "2="},
	}...)
}

// TestWhyNothingIsSet checks which rejected entry a Value reports, and why.
func TestWhyNothingIsSet(t *testing.T) {
	const m, g, name = "MALLOC_ARENA_MAX=", "GLIBC_TUNABLES=", "glibc.malloc.arena_max="
	for _, c := range []struct {
		minor int
		env   []string
		want  Value
	}{
		{36, nil, Value{}},
		{36, []string{"MALLOC_ARENA_TEST=x"}, Value{}},
		{36, []string{m + "abc"}, Value{Refused: m + "abc"}},
		{23, []string{m + "abc", m + "0"}, Value{Refused: m + "0"}},
		{36, []string{m + "abc", m + "0"}, Value{Refused: m + "0"}},
		{39, []string{g + name + "x:" + name + "0"}, Value{Refused: name + "0"}},
		{41, []string{m + "abc", m + "0"}, Value{Refused: m + "0"}},
		{41, []string{m + "3", m + "abc"}, Value{Refused: m + "abc", Last: true}},
		{41, []string{m + "3", m + "abc", m + "0"}, Value{Refused: m + "0", Last: true}},
		{41, []string{g + name + "x:" + name + "0"}, Value{Refused: name + "0"}},
		{41, []string{g + name + "x", g + name + "0"}, Value{Refused: name + "0"}},
		{41, []string{g + name + "3:" + name}, Value{Refused: name, Last: true}},
		{44, []string{g + name + "0", m + "5"}, Value{Refused: name + "0", KeepsOut: true}},
		{44, []string{g + name + "x", m + "0"}, Value{Refused: m + "0"}},
	} {
		if got := Effective(c.env, glibc2(c.minor)); got.Max != c.want || got.Malformed {
			t.Errorf("glibc 2.%d, %q: %+v, want %+v", c.minor, c.env, got, c.want)
		}
	}
	if got := Effective([]string{g + name + "3:"}, glibc2(39)); !got.Malformed || got.Max != (Value{}) {
		t.Errorf("malformed: %+v", got)
	}
}
