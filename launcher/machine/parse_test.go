package machine

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

func TestParseCPUList(t *testing.T) {
	for _, c := range []struct {
		list string
		n    int // 0 is malformed
	}{
		{"0\n", 1}, {"0-3\n", 4}, {"0-3,8\n", 5}, {"0,2,4-5", 4}, {"128-255\n", 128}, {"7", 1}, {"0-0", 1}, {"0-8191\n", 8192},
		{"", 0}, {"\n", 0}, {",", 0}, {"0,", 0}, {"-1", 0}, {"3-1", 0}, {"0-3,2", 0}, {"1,1", 0}, {"0-", 0}, {"0-3-5", 0},
		{"0x1", 0}, {" 0", 0}, {"0\n1\n", 0}, {"0-4294967295", 0}, {"99999999999999999999", 0}, {"0-7:2/4", 0},
	} {
		list, err := parseCPUList(c.list)
		if n := countCPUs(list); n != c.n || (err != nil) != (c.n == 0) {
			t.Errorf("%q: %d CPUs, %v; want %d", c.list, n, err, c.n)
		}
	}
}

func TestCountCommon(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
	}{
		{"0-3", "0-127", 4}, {"0-127", "0-3", 4}, {"0-3,8-9", "2-8", 3}, {"0", "1", 0}, {"0,2,4", "0-4", 3}, {"5", "5", 1},
	} {
		a, err1 := parseCPUList(c.a)
		b, err2 := parseCPUList(c.b)
		if n := countCommon(a, b); n != c.n || err1 != nil || err2 != nil {
			t.Errorf("%s and %s: %d in common, want %d", c.a, c.b, n, c.n)
		}
	}
}

func TestParseGroup(t *testing.T) {
	for _, c := range []struct {
		text, path string
		version    int
	}{
		{"0::/\n", "/", 2},
		{"0::/a:b/c\n", "/a:b/c", 2},
		{"0::/a\n2:cpu,cpuacct:/b\n", "/b", 1},
		{"2:cpuacct,cpu:/b\n0::/a\n", "/b", 1},
		{"2:cpuset,cpuacct:/b\n0::/a", "/a", 2},
		{"1:name=cpu:/b\n", "", 0},
		{"", "", 0},
		{"0::/../../b\n", "/../../b", 2},
	} {
		if path, version, err := parseGroup(c.text, "cpu"); path != c.path || version != c.version || err != nil {
			t.Errorf("%q: %q in v%d, %v; want %q in v%d", c.text, path, version, err, c.path, c.version)
		}
	}
	for _, bad := range []string{"\n", "0", "0:", "0::", "0::a\n", "0::/a\nrubbish\n"} {
		if path, _, err := parseGroup(bad, "cpu"); err == nil {
			t.Errorf("%q: %q and no error", bad, path)
		}
	}
}

func TestParseMounts(t *testing.T) {
	for _, c := range []struct {
		line    string
		version int
		want    []mount
	}{
		{"30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", 2, []mount{{"/", "/sys/fs/cgroup"}}},
		{"30 23 0:26 / /sys/fs/cgroup rw shared:1 master:2 propagate_from:3 - cgroup2 none rw,nsdelegate", 2, []mount{{"/", "/sys/fs/cgroup"}}},
		{"30 23 0:26 /a /mnt rw - cgroup2 cgroup2 rw\n", 1, nil},
		{"30 23 0:26 /a /mnt rw - cgroup cgroup rw,cpuset,cpuacct\n", 1, nil},
		{"30 23 0:26 /a /mnt rw - cgroup cgroup rw,cpuacct,cpu\n", 1, []mount{{"/a", "/mnt"}}},
		{"30 23 0:26 /a /mnt rw - cgroup cgroup rw,cpuacct,cpu\n", 2, nil},
		{`30 23 0:26 /a\011b /m\040n\134t\012 rw - cgroup2 x rw`, 2, []mount{{"/a\tb", "/m n\\t\n"}}},
		{"30 23 0:26 / /- rw - tmpfs cgroup2 rw\n", 2, nil},
		{"30 23 0:26 / /x rw - cgroupfs cgroup rw,cpu\n", 1, nil},
		{"rubbish\n", 2, nil},
	} {
		if got, err := parseMounts(c.line, "cpu", c.version); !slices.Equal(got, c.want) || err != nil {
			t.Errorf("%q for v%d: %q, %v; want %q", c.line, c.version, got, err, c.want)
		}
	}
	for _, bad := range []string{" - cgroup2 ", "1 2 3 / - cgroup2 x rw", "1 2 3 a /b rw - cgroup2 x rw", `1 2 3 / /\04 rw - cgroup2 x rw`, `1 2 3 /\999 / rw - cgroup2 x rw`, `1 2 3 / /\777 rw - cgroup2 x rw`} {
		if got, err := parseMounts(bad, "cpu", 2); err == nil {
			t.Errorf("%q: %q and no error", bad, got)
		}
	}
}

func TestLineage(t *testing.T) {
	for _, c := range []struct{ root, point, group, want string }{
		{"/", "/m", "/", "/m own"},
		{"/", "/m", "/a/b", "/m/a/b /m/a /m own"},
		{"/", "/", "/a", "/a / own"},
		{"/a", "/m", "/a/b", "/m/b /m own"},
		{"/a/b", "/m", "/a/b", "/m own"},
		{"/a/b", "/m", "/a", ""},
		{"/a", "/m", "/ab", ""},
		{"/x", "/m", "/", ""},
		{"/../..", "/m", "/../../p/q", "/m/p/q /m/p /m own"},
		{"/../../p", "/m", "/../../p/q", "/m/q /m own"},
		{"/../..", "/m", "/../p", "/m"}, // what is between is out of sight
		{"/..", "/m", "/", "/m"},
		{"/../p", "/m", "/", ""},
		{"/", "/m", "/../p", ""},
		{"/", "/m", "/a/../b", ""},
		{"/", "/m", "/a//b", ""},
		{"/", "/m", "/./b", ""},
		{"/", "/m", "a", ""},
		{"/", "/m", "/...", "/m/... /m own"},
	} {
		l, ok := mount{c.root, c.point}.lineage(c.group)
		got := strings.Join(l.folders, " ")
		if l.own {
			got += " own"
		}
		if got != c.want || ok != (c.want != "") {
			t.Errorf("mount of %s at %s, group %s: %q, %v; want %q", c.root, c.point, c.group, got, ok, c.want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	cfs := func(s string) (limit, error) { q, p, _ := strings.Cut(s, " "); return parseCFS(q, p) }
	for _, c := range []struct {
		name  string
		parse func(string) (limit, error)
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
		{"limit_in_bytes", parseMemoryLimit, "9223372036854710272", "none"}, // pages of 64 KiB
		{"limit_in_bytes", parseMemoryLimit, "9223372036854775807", "none"}, // before Linux 3.19
		{"limit_in_bytes", parseMemoryLimit, "-1", "malformed"},
		{"limit_in_bytes", parseMemoryLimit, "max", "malformed"},
		{"limit_in_bytes", parseMemoryLimit, "0", "malformed"},
	} {
		l, err := c.parse(c.text)
		got := fmt.Sprintf("%d/%d", l.num, l.den)
		switch {
		case err != nil && l == limit{}:
			got = "malformed"
		case l == limit{}:
			got = "none"
		}
		if got != c.want {
			t.Errorf("%s %q: %s, %v; want %s", c.name, c.text, got, err, c.want)
		}
	}
}

func FuzzCPUList(f *testing.F) {
	for _, s := range []string{"0-3,8\n", "0", "", "3-1", "0-1048576", "1,1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseCPUList(s)
		if err != nil {
			return
		}
		n := countCPUs(list)
		if n < 1 || n > maxCPU+1 {
			t.Errorf("%q: %d CPUs", s, n)
		}
		if common := countCommon(list, list); common != n {
			t.Errorf("%q: %d CPUs, %d in common with itself", s, n, common)
		}
	})
}

func FuzzProcText(f *testing.F) {
	f.Add("cpu  1\ncpu0 1\ncpu1 1\nintr 3\n")
	f.Add("Name:\tx\nCpus_allowed_list:\t0-3\n")
	f.Add("cache 0\nhierarchical_memory_limit 1073741824\n")
	f.Add("cpu")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseStat(s); err == nil && (n < 1 || n > strings.Count(s, "cpu")) {
			t.Errorf("%q: %d CPUs", s, n)
		}
		if list, text, err := parseAllowed(s); err == nil && (countCPUs(list) < 1 || !strings.Contains(s, text)) {
			t.Errorf("%q: %v from %q", s, list, text)
		}
		if l, ok, err := parseMemoryStat(s); err == nil && ok && l.num >= unlimitedV1 {
			t.Errorf("%q: %v", s, l)
		}
	})
}

// Whatever the two files say, nothing outside of a mount point is read.
func FuzzGroups(f *testing.F) {
	f.Add("0::/a/b\n", "30 23 0:26 / /sys/fs/cgroup rw shared:1 - cgroup2 cgroup2 rw\n")
	f.Add("2:cpu,cpuacct:/a\n0::/\n", "30 23 0:26 /a /mnt\\040x rw - cgroup cgroup rw,cpu,cpuacct\n")
	f.Add("0::/../a\n", "30 23 0:26 /.. / rw - cgroup2 cgroup2 rw\n")
	f.Fuzz(func(t *testing.T, group, mountinfo string) {
		path, version, err := parseGroup(group, "cpu")
		if err != nil || version == 0 {
			return
		}
		mounts, _ := parseMounts(mountinfo, "cpu", version)
		for _, m := range mounts {
			l, ok := m.lineage(path)
			if ok != (len(l.folders) > 0) || l.own && !ok {
				t.Errorf("%q in %q: %+v, %v", path, m, l, ok)
			}
			for _, folder := range l.folders {
				below, found := strings.CutPrefix(folder, strings.TrimSuffix(m.point, "/"))
				if !found || slices.Contains(strings.Split(below, "/"), "..") {
					t.Errorf("%q in %q: folder %q", path, m, folder)
				}
			}
		}
	})
}

func FuzzUnescape(f *testing.F) {
	f.Add(`/a\040b`)
	f.Add("/tab\tand\\")
	f.Fuzz(func(t *testing.T, s string) {
		unescape(s) // as it comes
		var escaped strings.Builder
		for _, b := range []byte(s) {
			if strings.IndexByte(" \t\n\\", b) >= 0 {
				fmt.Fprintf(&escaped, `\%03o`, b)
			} else {
				escaped.WriteByte(b)
			}
		}
		if got, ok := unescape(escaped.String()); got != s || !ok {
			t.Errorf("%q escaped and back: %q, %v", s, got, ok)
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
		if err1 == nil && err2 == nil && one.den != 0 && two.den != 0 {
			if want := ratio(one).Cmp(ratio(two)) < 0; one.tighter(two) != want {
				t.Errorf("%q tighter than %q: %v", a, b, !want)
			}
		}
		if l, err := parseCFS(a, b); (l.num == 0) != (l.den == 0) || err != nil && l != (limit{}) {
			t.Errorf("%q %q: %+v, %v", a, b, l, err)
		}
		for _, parse := range []func(string) (limit, error){parseMemoryMax, parseMemoryLimit} {
			if l, err := parse(a); (l.num == 0) != (l.den == 0) || err != nil && l != (limit{}) {
				t.Errorf("%q: %+v, %v", a, l, err)
			}
		}
	})
}

func ratio(l limit) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(l.num), new(big.Int).SetUint64(l.den))
}
