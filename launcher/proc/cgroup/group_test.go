package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/proc"
)

func TestAt(t *testing.T) {
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
		{"/../..", "/m", "/../p", "/m"}, // in this row and the next, the name of the level between root and group is unknown
		{"/..", "/m", "/", "/m"},
		{"/../p", "/m", "/", ""},
		{"/", "/m", "/../p", ""},
		{"/", "/m", "/a/../b", ""},
		{"/", "/m", "/a//b", ""},
		{"/", "/m", "/./b", ""},
		{"/", "/m", "a", ""},
		{"/", "/m", "/...", "/m/... /m own"},
	} {
		g, ok := Membership{Version: 2, Path: c.group}.at(Mount{Version: 2, Root: c.root, Point: c.point})
		got := strings.Join(g.Folders, " ")
		if g.Own {
			got += " own"
		}
		if got != c.want || ok != (c.want != "") {
			t.Errorf("mount of %s at %s, group %s: %q, %v; want %q", c.root, c.point, c.group, got, ok, c.want)
		}
	}
}

func TestShownBy(t *testing.T) {
	for _, c := range []struct {
		m     Membership
		mount Mount
		want  bool
	}{
		{Membership{2, "", "/"}, Mount{Version: 2, Options: "rw"}, true},
		{Membership{2, "", "/"}, Mount{Version: 1, Options: "rw,cpu"}, false},
		{Membership{1, "cpu,cpuacct", "/"}, Mount{Version: 2, Options: "rw,cpu"}, false},
		{Membership{1, "cpu,cpuacct", "/"}, Mount{Version: 1, Options: "rw,cpu,cpuacct"}, true},
		{Membership{1, "cpu,cpuacct", "/"}, Mount{Version: 1, Options: "rw,cpuacct,cpu"}, true},
		{Membership{1, "cpu", "/"}, Mount{Version: 1, Options: "rw,cpuset"}, false},
		{Membership{1, "name=systemd", "/"}, Mount{Version: 1, Options: "rw,xattr,name=systemd"}, true},
	} {
		if got := c.m.shownBy(c.mount); got != c.want {
			t.Errorf("%+v is shown by %+v: %t", c.m, c.mount, got)
		}
	}
}

// The fake file trees are named after the systems that they were copied from.
func TestFind(t *testing.T) {
	for _, test := range []struct {
		system string
		want   []string // the folders, those of version 2 first
	}{
		{"v2-systemd-service", []string{"/sys/fs/cgroup/system.slice/mariadb.service"}},
		{"v2-container-with-a-namespace", []string{"/sys/fs/cgroup"}},
		{"v1-with-systemd", []string{"/sys/fs/cgroup/memory/system.slice/mariadb.service", "/sys/fs/cgroup/systemd/system.slice/mariadb.service", "/sys/fs/cgroup/pids/system.slice/mariadb.service"}},
		{"v1-docker-mounts-only-its-part", []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup/systemd"}},
		{"hybrid-all-in-v1", []string{"/sys/fs/cgroup/unified/a b", "/sys/fs/cgroup/memory/a b"}},
		{"outside-the-mounted-part", nil},
		{"no-cgroups-mounted", nil},
		{"seen-from-inside-a-namespace", []string{"/sys/fs/cgroup/sibling"}},
	} {
		t.Run(test.system, func(t *testing.T) {
			dir := "testdata/groups/" + test.system
			groups, mounts := parsed(t, dir)
			var got []string
			for _, hierarchy := range []string{"", "memory", "name=systemd", "pids"} {
				m, _ := groups.In(hierarchy)
				if g := m.Find(proc.Root(dir), mounts); g.Own {
					got = append(got, g.Folders[0])
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
		})
	}
}

func parsed(t *testing.T, dir string) (Memberships, []Mount) {
	t.Helper()
	text, err1 := os.ReadFile(dir + "/cgroup")
	groups, err2 := ParseMemberships(text)
	text, err3 := os.ReadFile(dir + "/mountinfo")
	mounts, err4 := ParseMountinfo(text)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return groups, mounts
}

// Of several mounts, one with an existing folder wins, then the one that shows most groups, then the last.
func TestFindAmongMounts(t *testing.T) {
	root := proc.Root(t.TempDir())
	for _, dir := range []string{"/all/a/b", "/again/a/b", "/part/b"} {
		if err := os.MkdirAll(string(root)+dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	all, again, part, hidden := Mount{2, "rw", "/", "/all"}, Mount{2, "rw", "/", "/again"}, Mount{2, "rw", "/a", "/part"}, Mount{2, "rw", "/", "/hidden"}
	for _, c := range []struct {
		mounts []Mount
		want   string
	}{
		{[]Mount{all, part}, "/all/a/b"}, {[]Mount{part, all}, "/all/a/b"}, {[]Mount{all, again}, "/again/a/b"},
		{[]Mount{hidden, part}, "/part/b"}, {[]Mount{part, hidden}, "/part/b"}, {[]Mount{hidden}, "/hidden/a/b missing"}, {nil, "nowhere"},
	} {
		g := Membership{Version: 2, Path: "/a/b"}.Find(root, c.mounts)
		got := "nowhere"
		if len(g.Folders) > 0 {
			got = g.Folders[0]
		}
		if g.Missing {
			got += " missing"
		}
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.mounts, got, c.want)
		}
	}
}

// A group may have a name that ends in " (deleted)" like that of a removed group.
func TestDeleted(t *testing.T) {
	root := proc.Root(t.TempDir())
	if err := os.MkdirAll(string(root)+"/m/a (deleted)", 0o700); err != nil {
		t.Fatal(err)
	}
	for path, missing := range map[string]bool{"/a (deleted)": false, "/b (deleted)": true} {
		g := Membership{Version: 2, Path: path}.Find(root, []Mount{{2, "rw", "/", "/m"}})
		if !g.Own || g.Missing != missing || g.Folders[0] != "/m"+path {
			t.Errorf("%s: %+v", path, g)
		}
	}
}

func TestIsRoot(t *testing.T) {
	root := proc.Root(t.TempDir())
	for _, file := range []string{"/two/cgroup.controllers", "/two/a/cgroup.controllers", "/two/a/cgroup.type", "/one/cgroup.sane_behavior", "/one/a/tasks"} {
		if err := os.MkdirAll(filepath.Dir(string(root)+file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(string(root)+file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mounts := []Mount{{2, "rw", "/", "/two"}, {1, "rw,memory", "/", "/one"}}
	for _, m := range []Membership{{2, "", "/"}, {1, "memory", "/"}} {
		if !m.Find(root, mounts).IsRoot(root) {
			t.Errorf("%+v is not the root", m)
		}
		m.Path = "/a"
		if m.Find(root, mounts).IsRoot(root) {
			t.Errorf("%+v is the root", m)
		}
	}
}

// For any content of the two files, all folders are below a mount point.
func FuzzFind(f *testing.F) {
	f.Add([]byte("0::/a/b\n"), []byte("30 23 0:26 / /sys/fs/cgroup rw shared:1 - cgroup2 cgroup2 rw\n"))
	f.Add([]byte("2:cpu,cpuacct:/a\n0::/\n"), []byte("30 23 0:26 /a /mnt\\040x rw - cgroup cgroup rw,cpu,cpuacct\n"))
	f.Add([]byte("0::/../a\n"), []byte("30 23 0:26 /.. / rw - cgroup2 cgroup2 rw\n"))
	f.Add([]byte("0::/a\n4:memory:/b\n"), []byte("1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n5 6 0:7 /b /m rw - cgroup cgroup rw,memory\n"))
	f.Fuzz(func(t *testing.T, text, mountinfo []byte) {
		groups, _ := ParseMemberships(text)
		mounts, _ := ParseMountinfo(mountinfo)
		for _, m := range groups {
			for _, mount := range mounts {
				g, ok := m.at(mount)
				if ok != (len(g.Folders) > 0) || g.Own && !ok {
					t.Errorf("%+v in %+v: %+v, %v", m, mount, g, ok)
				}
				for _, folder := range g.Folders {
					below, found := strings.CutPrefix(folder, strings.TrimSuffix(mount.Point, "/"))
					if !found || slices.Contains(strings.Split(below, "/"), "..") {
						t.Errorf("%+v in %+v: folder %q", m, mount, folder)
					}
				}
			}
		}
	})
}
