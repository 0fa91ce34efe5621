package cgroup

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseMountinfo(t *testing.T) {
	for _, c := range []struct {
		line string
		want []Mount
	}{
		{"30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", []Mount{{2, "rw", "/", "/sys/fs/cgroup"}}},
		{"30 23 0:26 / /sys/fs/cgroup rw shared:1 master:2 propagate_from:3 - cgroup2 none rw,nsdelegate", []Mount{{2, "rw,nsdelegate", "/", "/sys/fs/cgroup"}}},
		{"30 23 0:26 /a /mnt rw - cgroup cgroup rw,cpuset,cpuacct\n", []Mount{{1, "rw,cpuset,cpuacct", "/a", "/mnt"}}},
		{`30 23 0:26 /a\011b /m\040n\134t\012 rw - cgroup2 x rw`, []Mount{{2, "rw", "/a\tb", "/m n\\t\n"}}},
		{`30 23 0:26 / /m\134040 rw - cgroup2 my\040source rw`, []Mount{{2, "rw", "/", `/m\040`}}},
		{"63 43 0:29 / /mnt rw - cgroup  rw,cpu\n", []Mount{{1, "rw,cpu", "/", "/mnt"}}}, // a mount whose source is ""
		{"63 43 0:29 / /mnt rw - cgroup cgroup rw,memory,release_agent=/a b,name=x\n", []Mount{{1, "rw,memory,release_agent=/a b,name=x", "/", "/mnt"}}},
		{"30 23 0:26 / /- rw - tmpfs cgroup2 rw\n", nil},
		{"30 23 0:26 / /x rw - cgroupfs cgroup rw,cpu\n", nil},
		{"rubbish\n", nil},
	} {
		if got, err := ParseMountinfo([]byte(c.line)); !slices.Equal(got, c.want) || err != nil {
			t.Errorf("%q: %+v, %v; want %+v", c.line, got, err, c.want)
		}
	}
	for _, bad := range []string{" - cgroup2 ", "1 2 3 / - cgroup2 x rw", "1 2 3 a /b rw - cgroup2 x rw", `1 2 3 / /\04 rw - cgroup2 x rw`, `1 2 3 /\999 / rw - cgroup2 x rw`, `1 2 3 / /\777 rw - cgroup2 x rw`} {
		if got, err := ParseMountinfo([]byte(bad)); err == nil {
			t.Errorf("%q: %+v and no error", bad, got)
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte("30 23 0:26 /a /mnt\\040x rw - cgroup cgroup rw,cpu,cpuacct\n"))
	f.Add([]byte("63 43 0:29 / /mnt rw - cgroup2  rw\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, err := ParseMountinfo(text)
		for _, m := range mounts {
			if err != nil || m.Version != 1 && m.Version != 2 || !strings.HasPrefix(m.Root, "/") || !strings.HasPrefix(m.Point, "/") {
				t.Errorf("%q: %+v, %v", text, m, err)
			}
		}
	})
}

func FuzzUnescape(f *testing.F) {
	f.Add(`/a\040b`)
	f.Add("/tab\tand\\")
	f.Fuzz(func(t *testing.T, s string) {
		unescape(s) // must not panic
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
