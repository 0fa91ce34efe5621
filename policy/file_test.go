//go:build linux

package policy

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// needsRoot skips a test that needs chown; in CI the test fails instead.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root to change owners, and CI=true allows no skip")
	}
	t.Skip("needs root to change owners")
}

func TestUnfitFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir("folder", 0o755))
	must(syscall.Mkfifo("pipe", 0o644))
	socket, err := net.Listen("unix", "socket")
	must(err)
	defer socket.Close()
	must(os.Symlink("nowhere", "link-to-nothing"))
	must(os.Symlink("circle", "circle"))
	must(os.Symlink("pipe", "link-to-a-pipe"))
	write(t, "sparse", "")
	must(os.Truncate("sparse", 1<<30))
	write(t, "just-too-large", strings.Repeat("#", maxFile+1))
	for path, want := range map[string]string{
		"folder":          "folder: is a folder; name the file in it, such as folder/policy.toml",
		"folder/none":     "folder/none: cannot be read: no such file or directory",
		"pipe":            "pipe: is a pipe; name a regular file",
		"link-to-a-pipe":  "link-to-a-pipe: is a pipe; name a regular file",
		"socket":          "socket: is a socket; name a regular file",
		"/dev/null":       "/dev/null: is a device; name a regular file",
		"/dev/zero":       "/dev/zero: is a device; name a regular file",
		"link-to-nothing": `link-to-nothing: is a link to "nowhere", which does not exist`,
		"circle":          "circle: cannot be read: too many levels of symbolic links",
		"sparse":          "sparse: is too large for a policy: the file has 1073741824 bytes; the maximum is 1048576 bytes (1 MiB)",
		"just-too-large":  "just-too-large: is too large for a policy: the file has 1048577 bytes; the maximum is 1048576 bytes (1 MiB)",
		"\x1b[31m":        "\ufffd[31m: cannot be read: no such file or directory",
		"":                ": cannot be read: no such file or directory",
		"nul\x00":         "nul\ufffd: cannot be read: invalid argument",
	} {
		if got := render(check(path)); got != want+"\n" {
			t.Errorf("%q:\n got %swant %s", path, got, want)
		}
	}
	write(t, "largest", strings.Repeat("#", maxFile))
	if found := check("largest"); found != nil {
		t.Error(found)
	}
	// stat(2) gives size 0 for a file of /proc that has content.
	if found := check("/proc/self/status"); len(found) != 1 || found[0].Line != 1 {
		t.Error(found)
	}
}

func TestFindLinkToNothing(t *testing.T) {
	home := t.TempDir()
	place := write(t, home+"/.config/arenacap/policy.toml", "")
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", place); err != nil {
		t.Fatal(err)
	}
	_, _, _, err := Lookup{Getenv: environment(map[string]string{"HOME": home})}.find("/none")
	if err == nil || !strings.HasSuffix(err.Error(), `is a link to "nowhere", which does not exist`) {
		t.Error(err)
	}
}

// asNobody runs f on a thread without root's access to files. The thread is not reused.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	needsRoot(t)
	done := make(chan error)
	go func() {
		// No UnlockOSThread: the thread ends with the goroutine.
		runtime.LockOSThread()
		err := syscall.Setfsuid(65534)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestNoPermission(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	secret := write(t, dir+"/secret.toml", "arenas.cap = 4")
	place := write(t, dir+"/home/.config/arenacap/policy.toml", "arenas.cap = 4")
	for path, mode := range map[string]os.FileMode{secret: 0o600, dir + "/home": 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		if got, want := check(secret).Error(), secret+": cannot be read: permission denied"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		p, err := Lookup{Getenv: environment(map[string]string{"HOME": dir + "/home"})}.Load()
		if err != nil || len(p.Notes) != 1 || p.Notes[0] != place+" cannot be searched for (permission denied), so it counts as absent" {
			t.Errorf("a home of somebody else's: %v, notes %q", err, p.Notes)
		}
		if _, _, _, err := (Lookup{}).find(place); err == nil {
			t.Error("a system's policy that cannot be read counts as absent")
		}
	})
}

// open makes a folder of t.TempDir, two levels deep, accessible to all users.
func open(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTrust(t *testing.T) {
	needsRoot(t)
	const stranger = 12345
	for _, c := range []struct {
		name string
		path string // the policy, relative to the test's folder
		do   func(dir string) error
		want string // "" is trusted; DIR stands for the test's folder
	}{
		{"all is root's", "a/policy.toml", func(string) error { return nil }, ""},
		{"a stranger's file", "a/policy.toml", func(d string) error { return os.Chown(d+"/a/policy.toml", stranger, 0) },
			"it belongs to uid 12345; type chown root DIR/a/policy.toml"},
		{"a stranger's folder", "a/policy.toml", func(d string) error { return os.Chown(d+"/a", stranger, 0) },
			`"DIR/a" belongs to uid 12345; type chown root DIR/a`},
		{"a file that its group may write", "a/policy.toml", func(d string) error { return os.Chmod(d+"/a/policy.toml", 0o664) },
			"it can be written by group or others (mode 0664); type chmod go-w DIR/a/policy.toml"},
		{"a file that all may write", "a/policy.toml", func(d string) error { return os.Chmod(d+"/a/policy.toml", 0o646) },
			"it can be written by group or others (mode 0646); type chmod go-w DIR/a/policy.toml"},
		{"a folder that its group may write", "a/policy.toml", func(d string) error { return os.Chmod(d+"/a", 0o775) },
			`"DIR/a" can be written by group or others (mode 0775); type chmod go-w DIR/a`},
		{"a folder two above that all may write", "a/policy.toml", func(d string) error { return os.Chmod(d, 0o777) },
			`"DIR" can be written by group or others (mode 0777); type chmod go-w DIR`},
		{"a sticky folder that all may write", "a/policy.toml", func(d string) error { return os.Chmod(d+"/a", 0o777|os.ModeSticky) }, ""},
		{"a stranger's sticky folder", "a/policy.toml", func(d string) error {
			if err := os.Chmod(d+"/a", 0o777|os.ModeSticky); err != nil {
				return err
			}
			return os.Chown(d+"/a", stranger, 0)
		}, `"DIR/a" belongs to uid 12345; type chown root DIR/a`},
		{"a good link", "a/link.toml", func(d string) error { return os.Symlink("../b/policy.toml", d+"/a/link.toml") }, ""},
		{"a link into a folder that others may write", "a/link.toml", func(d string) error {
			if err := os.Chmod(d+"/b", 0o777); err != nil {
				return err
			}
			return os.Symlink(d+"/b/policy.toml", d+"/a/link.toml")
		}, `"DIR/b" can be written by group or others (mode 0777); type chmod go-w DIR/b`},
		{"a link out of a folder that others may write", "a/link.toml", func(d string) error {
			if err := os.Chmod(d+"/a", 0o777); err != nil {
				return err
			}
			return os.Symlink("../b/policy.toml", d+"/a/link.toml")
		}, `"DIR/a" can be written by group or others (mode 0777); type chmod go-w DIR/a`},
		{"a folder that is a link", "c/policy.toml", func(d string) error {
			if err := os.Chown(d+"/b", stranger, 0); err != nil {
				return err
			}
			return os.Symlink("b", d+"/c")
		}, `"DIR/b" belongs to uid 12345; type chown root DIR/b`},
		{"a stranger's link in a sticky folder", "a/link.toml", func(d string) error {
			if err := os.Symlink("../b/policy.toml", d+"/a/link.toml"); err != nil {
				return err
			}
			if err := os.Chmod(d+"/a", 0o777|os.ModeSticky); err != nil {
				return err
			}
			return os.Lchown(d+"/a/link.toml", stranger, 0)
		}, `the link "DIR/a/link.toml" belongs to uid 12345; type chown -h root DIR/a/link.toml`},
		{"dots and double slashes", "a/..//./b/../a/policy.toml", func(d string) error { return nil }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir+"/a/policy.toml", "arenas.cap = 4\n")
			write(t, dir+"/b/policy.toml", "arenas.cap = 4\n")
			if err := c.do(dir); err != nil {
				t.Fatal(err)
			}
			path := dir + "/" + c.path
			if _, err := (Lookup{Named: path}).Load(); err != nil {
				t.Errorf("refused where no root launches: %v", err)
			}
			_, err := Lookup{Named: path, Root: true}.Load()
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := path + ": is refused when root starts a program with it: " + strings.ReplaceAll(c.want, "DIR", dir)
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// TestTrustOfReadOnlyMount checks that root trusts a policy on a read-only mount, although the modes of its folders let
// others write. A Kubernetes ConfigMap is such a mount: its folder has mode 0777, and its file is behind two symbolic
// links.
func TestTrustOfReadOnlyMount(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	write(t, dir+"/mount/..2026/policy.toml", "arenas.cap = 4\n")
	links := errors.Join(os.Symlink("..2026", dir+"/mount/..data"), os.Symlink("..data/policy.toml", dir+"/mount/policy.toml"))
	if err := errors.Join(links, os.Chmod(dir+"/mount", 0o777), os.Chmod(dir+"/mount/..2026", 0o777)); err != nil {
		t.Fatal(err)
	}
	path := dir + "/mount/policy.toml"
	if _, err := (Lookup{Named: path, Root: true}).Load(); err == nil {
		t.Error("trusted before the mount")
	}
	if err := syscall.Mount(dir+"/mount", dir+"/mount", "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir+"/mount", syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := syscall.Mount("", dir+"/mount", "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if p, err := (Lookup{Named: path, Root: true}).Load(); err != nil || p.Arenas.Cap.N != 4 {
		t.Errorf("%v, %v", p.Arenas.Cap, err)
	}
	if found := check(path); found != nil {
		t.Error(found)
	}
	if err := os.Chmod(dir+"/mount/..2026/policy.toml", 0o666); !errors.Is(err, syscall.EROFS) {
		t.Error("the mount is not read-only:", err)
	}
}

// The opened file must be the file that was checked.
func TestTrustOfAnotherFile(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	a, b := write(t, dir+"/a", ""), write(t, dir+"/b", "")
	info, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	if p := distrust(b, info, 0); p == nil || p.Message != "was replaced while it was read" {
		t.Error(p)
	}
}

// A check trusts files of the checking user, and reports files that others may write.
func TestCheckSaysWhoMayWrite(t *testing.T) {
	path := write(t, t.TempDir()+"/p.toml", "arenas.cap = 4\n")
	if found := check(path); found != nil {
		t.Error(found)
	}
	for mode, want := range map[os.FileMode]string{
		0o646: path + ": is refused when root starts a program with it: it can be written by group or others (mode 0646); type chmod go-w " + path,
		0o664: path + ": is refused when root starts a program with it: it can be written by group or others (mode 0664); type chmod go-w " + path,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := render(check(path)); got != want+"\n" {
			t.Errorf("got %swant %s", got, want)
		}
	}
	needsRoot(t)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := render(check(path)), path+": is refused when root starts a program with it: it belongs to uid 12345; type chown root "+path+"\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
}
