package cgroup

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseMemberships(t *testing.T) {
	const text = "4:memory:/a\n3:cpu,cpuacct:/b:c\n1:name=systemd:/\n0::/../d (deleted)\n"
	want := Memberships{{1, "memory", "/a"}, {1, "cpu,cpuacct", "/b:c"}, {1, "name=systemd", "/"}, {2, "", "/../d (deleted)"}}
	if got, err := ParseMemberships([]byte(text)); !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"\n", "0", "0:", "0::", "0::a\n", "0::/a\nrubbish\n", "1::/a\n"} {
		if got, err := ParseMemberships([]byte(bad)); err == nil {
			t.Errorf("%q: %+v and no error", bad, got)
		}
	}
}

func TestLimiting(t *testing.T) {
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
		list, err := ParseMemberships([]byte(c.text))
		if m, ok := list.Limiting("cpu"); m.Path != c.path || m.Version != c.version || ok != (c.version != 0) || err != nil {
			t.Errorf("%q: %+v, %v; want %q in v%d", c.text, m, err, c.path, c.version)
		}
	}
}

func FuzzMemberships(f *testing.F) {
	f.Add("0::/a\n4:memory:/b\n")
	f.Add("1:name=systemd:/\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseMemberships([]byte(text))
		for _, m := range list {
			if err != nil || !strings.Contains(text, ":"+m.Controllers+":"+m.Path) && m.Version == 1 || !strings.HasPrefix(m.Path, "/") {
				t.Errorf("%q: %+v, %v", text, m, err)
			}
		}
	})
}
