package cgroup

import (
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"

	"arenacap/launcher/proc"
)

func TestParseLimits(t *testing.T) {
	cfs := func(s string) (Limit, error) { q, p, _ := strings.Cut(s, " "); return parseCFS(q, p) }
	for _, c := range []struct {
		name  string
		parse func(string) (Limit, error)
		text  string
		want  string
	}{
		{"cpu.max", parseCPUMax, "150000 100000", "150000/100000"},
		{"cpu.max", parseCPUMax, "max 100000", "none"},
		{"cpu.max", parseCPUMax, "17592186044415 1000000", "17592186044415/1000000"},
		{"cpu.max", parseCPUMax, "max", "malformed"},
		{"cpu.max", parseCPUMax, "max max", "malformed"},
		{"cpu.max", parseCPUMax, "", "malformed"},
		{"cpu.max", parseCPUMax, "100000", "malformed"},
		{"cpu.max", parseCPUMax, "100000 ", "malformed"},
		{"cpu.max", parseCPUMax, "100000  100000", "malformed"},
		{"cpu.max", parseCPUMax, "100000 100000 1", "malformed"},
		{"cpu.max", parseCPUMax, "-1 100000", "malformed"},
		{"cpu.max", parseCPUMax, "1e5 100000", "malformed"},
		{"cpu.max", parseCPUMax, "0 100000", "malformed"},
		{"cpu.max", parseCPUMax, "100000 0", "malformed"},
		{"cpu.max", parseCPUMax, "18446744073709551616 100000", "malformed"},
		{"cfs", cfs, "150000 100000", "150000/100000"},
		{"cfs", cfs, "-1 100000", "none"},
		{"cfs", cfs, "-2 100000", "malformed"},
		{"cfs", cfs, "0 100000", "malformed"},
		{"cfs", cfs, "100000 0", "malformed"},
		{"cfs", cfs, "max 100000", "malformed"},
		{"cfs", cfs, " ", "malformed"},
		{"memory.max", parseMemoryMax, "1073741824", "1073741824/1"},
		{"memory.max", parseMemoryMax, "max", "none"},
		{"memory.max", parseMemoryMax, "1G", "malformed"},
		{"memory.max", parseMemoryMax, "0", "malformed"},
		{"memory.max", parseMemoryMax, "", "malformed"},
		{"limit_in_bytes", parseMemoryLimit, "1073741824", "1073741824/1"},
		{"limit_in_bytes", parseMemoryLimit, "9223372036854771712", "none"},
		{"limit_in_bytes", parseMemoryLimit, "9223372036854710272", "none"}, // "no limit" with pages of 64 KiB
		{"limit_in_bytes", parseMemoryLimit, "9223372036854775807", "none"}, // "no limit" before Linux 3.19
		{"limit_in_bytes", parseMemoryLimit, "-1", "malformed"},
		{"limit_in_bytes", parseMemoryLimit, "max", "malformed"},
		{"limit_in_bytes", parseMemoryLimit, "0", "malformed"},
	} {
		l, err := c.parse(c.text)
		got := fmt.Sprintf("%d/%d", l.Num, l.Den)
		switch {
		case err != nil && l == Limit{}:
			got = "malformed"
		case l == Limit{}:
			got = "none"
		}
		if got != c.want {
			t.Errorf("%s %q: %s, %v; want %s", c.name, c.text, got, err, c.want)
		}
	}
}

// A folder in the place of a limit file is an error, not a missing limit.
func TestUnreadableIsNotUnlimited(t *testing.T) {
	root := proc.Root(t.TempDir())
	if err := os.MkdirAll(string(root)+"/a/cpu.max", 0o700); err != nil {
		t.Fatal(err)
	}
	l, errs := Membership{Version: 2, Path: "/a"}.Find(root, []Mount{{2, "rw", "/", "/"}}).CPU(root)
	if want := "[read /a/cpu.max: is a directory]"; fmt.Sprint(errs) != want || l != (Limit{}) {
		t.Errorf("got %v, %v, want %s", l, errs, want)
	}
}

func FuzzMemoryStat(f *testing.F) {
	f.Add("cache 0\nhierarchical_memory_limit 1073741824\n")
	f.Fuzz(func(t *testing.T, s string) {
		if l, ok, err := parseMemoryStat(s); err == nil && ok && l.Num >= unlimitedMemory {
			t.Errorf("%q: %v", s, l)
		}
	})
}

func FuzzLimits(f *testing.F) {
	f.Add("150000 100000", "max 100000")
	f.Add("-1", "100000")
	f.Add("9223372036854771712", "18446744073709551615 18446744073709551615")
	f.Fuzz(func(t *testing.T, a, b string) {
		one, err1 := parseCPUMax(a)
		two, err2 := parseCPUMax(b)
		if err1 == nil && err2 == nil && one.Den != 0 && two.Den != 0 {
			if want := ratio(one).Cmp(ratio(two)) < 0; one.tighter(two) != want {
				t.Errorf("%q tighter than %q: %v", a, b, !want)
			}
		}
		if l, err := parseCFS(a, b); (l.Num == 0) != (l.Den == 0) || err != nil && l != (Limit{}) {
			t.Errorf("%q %q: %+v, %v", a, b, l, err)
		}
		for _, parse := range []func(string) (Limit, error){parseMemoryMax, parseMemoryLimit} {
			if l, err := parse(a); (l.Num == 0) != (l.Den == 0) || err != nil && l != (Limit{}) {
				t.Errorf("%q: %+v, %v", a, l, err)
			}
		}
	})
}

func ratio(l Limit) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(l.Num), new(big.Int).SetUint64(l.Den))
}
