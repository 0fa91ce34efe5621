package proc

import "testing"

func TestParseCPUList(t *testing.T) {
	for _, c := range []struct {
		list string
		n    int // 0 is malformed
	}{
		{"0\n", 1}, {"0-3\n", 4}, {"0-3,8\n", 5}, {"0,2,4-5", 4}, {"128-255\n", 128}, {"7", 1}, {"0-0", 1}, {"0-8191\n", 8192},
		{"", 0}, {"\n", 0}, {",", 0}, {"0,", 0}, {"-1", 0}, {"3-1", 0}, {"0-3,2", 0}, {"1,1", 0}, {"0-", 0}, {"0-3-5", 0},
		{"0x1", 0}, {" 0", 0}, {"0\n1\n", 0}, {"0-4294967295", 0}, {"99999999999999999999", 0}, {"0-7:2/4", 0},
	} {
		list, err := ParseCPUList(c.list)
		if n := list.Count(); n != c.n || (err != nil) != (c.n == 0) {
			t.Errorf("%q: %d CPUs, %v; want %d", c.list, n, err, c.n)
		}
	}
}

func TestCommonCPUs(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
	}{
		{"0-3", "0-127", 4}, {"0-127", "0-3", 4}, {"0-3,8-9", "2-8", 3}, {"0", "1", 0}, {"0,2,4", "0-4", 3}, {"5", "5", 1},
	} {
		a, err1 := ParseCPUList(c.a)
		b, err2 := ParseCPUList(c.b)
		if n := a.Common(b); n != c.n || err1 != nil || err2 != nil {
			t.Errorf("%s and %s: %d in common, want %d", c.a, c.b, n, c.n)
		}
	}
}

func FuzzCPUList(f *testing.F) {
	for _, s := range []string{"0-3,8\n", "0", "", "3-1", "0-1048576", "1,1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := ParseCPUList(s)
		if err != nil {
			return
		}
		n := list.Count()
		if n < 1 || n > maxCPU+1 {
			t.Errorf("%q: %d CPUs", s, n)
		}
		if common := list.Common(list); common != n {
			t.Errorf("%q: %d CPUs, %d in common with itself", s, n, common)
		}
	})
}
