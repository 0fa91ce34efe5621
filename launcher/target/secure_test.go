package target

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"arenacap/launcher/testenv"
)

// copyFile copies a program.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
}

// TestSecureLikeTheKernel runs a program that prints getauxval(AT_SECURE) and its number of arenas, as root and as
// another user, with and without no_new_privs. It compares AtSecure with the printed value, and CanCap with the effect of
// a cap.
func TestSecureLikeTheKernel(t *testing.T) {
	testenv.NeedRoot(t)
	for _, tool := range []string{"setcap", "setpriv"} {
		testenv.Need(t, tool)
	}
	dir := publicDir(t)
	build(t, "gcc", "-o", dir+"/probe", "testdata/arenas.c", "-pthread")
	me, err := os.Executable()
	must(t, err)
	copyFile(t, me, dir+"/judge")
	const other = 12345
	for _, c := range []struct {
		name     string
		uid, gid int
		mode     uint32
		setcap   []string
	}{
		{"plain", 0, 0, 0o755, nil},
		{"set-uid root", 0, 0, 0o4755, nil},
		{"set-uid nobody", nobody, 0, 0o4755, nil},
		{"set-uid another", other, 0, 0o4755, nil},
		{"set-gid root", 0, 0, 0o2755, nil},
		{"set-gid nobody", 0, nobody, 0o2755, nil},
		{"set-gid another", 0, other, 0o2755, nil},
		{"set-gid without the group's x bit", 0, other, 0o2745, nil},
		{"capability effective", 0, 0, 0o755, []string{"cap_net_raw+ep"}},
		{"capability permitted", 0, 0, 0o755, []string{"cap_net_raw+p"}},
		{"capability inheritable", 0, 0, 0o755, []string{"cap_net_raw+i"}},
		{"capability high", 0, 0, 0o755, []string{"cap_checkpoint_restore+ep"}},
		{"capabilities empty", 0, 0, 0o755, []string{"="}},
		{"capability of another namespace", 0, 0, 0o755, []string{"-n", "100000", "cap_net_raw+ep"}},
		{"set-uid root and capability", 0, 0, 0o4755, []string{"cap_net_raw+ep"}},
		{"not readable, set-uid root", 0, 0, 0o4711, nil},
	} {
		program := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
		copyFile(t, dir+"/probe", program)
		must(t, os.Chown(program, c.uid, c.gid))
		must(t, syscall.Chmod(program, c.mode)) // os.Chmod would need os.ModeSetuid instead of 04000
		if c.setcap != nil {
			run(t, exec.Command("setcap", append(c.setcap, program)...))
		}
		script := program + ".sh"
		must(t, os.WriteFile(script, []byte("#!"+program+"\n"), 0o755))
		must(t, os.Chown(script, other, other))
		must(t, syscall.Chmod(script, 0o6755)) // the kernel ignores these bits of a script
		for _, uid := range users() {
			for _, wrap := range [][]string{nil, {"setpriv", "--no-new-privs", "--"}} {
				for _, path := range []string{program, script} {
					t.Run(fmt.Sprintf("%s/%v/uid=%d/%v", c.name, wrap != nil, uid, path == script), func(t *testing.T) {
						compareSecure(t, dir, path, func(args ...string) *exec.Cmd {
							args = append(wrap[:len(wrap):len(wrap)], args...)
							return asUser(uid, exec.Command(args[0], args[1:]...))
						})
					})
				}
			}
		}
	}
}

// compareSecure runs the program, Quick and Examine as the same user.
func compareSecure(t *testing.T, dir, path string, start func(args ...string) *exec.Cmd) {
	t.Helper()
	quick, got := judged(t, start(dir+"/judge", path))
	cmd := start(path)
	cmd.Env = []string{"MALLOC_ARENA_MAX=3"}
	ran := probed(t, cmd)
	want := answer(ran.secure == 1)
	if got.AtSecure != want || quick.AtSecure != got.AtSecure {
		t.Errorf("secure: Examine %v, Quick %v; really %d %q", got.AtSecure, quick.AtSecure, ran.secure, got.Why)
	}
	if obeyed := answer(ran.arenas == 3); got.CanCap != obeyed && !(got.CanCap == Unknown && strings.Contains(path, "not-readable")) {
		t.Errorf("can cap: %v %q, but %d arenas under a cap of 3", got.CanCap, got.Why, ran.arenas)
	}
}

// TestSecureOnNosuid compares AtSecure with getauxval(AT_SECURE) on a file system that is mounted nosuid.
func TestSecureOnNosuid(t *testing.T) {
	testenv.NeedRoot(t)
	dir := publicDir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID, "mode=755"); err != nil {
		t.Skipf("no mount: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	me, err := os.Executable()
	must(t, err)
	copyFile(t, me, dir+"/judge")
	build(t, "gcc", "-o", dir+"/probe", "testdata/arenas.c", "-pthread")
	must(t, syscall.Chmod(dir+"/probe", 0o6755))
	compareSecure(t, dir, dir+"/probe", func(args ...string) *exec.Cmd {
		return asUser(nobody, exec.Command(args[0], args[1:]...))
	})
}

// TestFileCapabilitiesAreNotedForRoot checks the note that a program with file capabilities runs in secure mode for
// users other than root.
func TestFileCapabilitiesAreNotedForRoot(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "setcap")
	dir := publicDir(t)
	copyFile(t, "/bin/true", dir+"/true")
	run(t, exec.Command("setcap", "cap_net_raw+ep", dir+"/true"))
	got := Examine(dir+"/true", nil, nil)
	if got.CanCap != Yes || got.AtSecure != No || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "started by a user other than root, it runs in secure mode") {
		t.Errorf("%+v", got)
	}
}

func TestParseFileCaps(t *testing.T) {
	for _, c := range []struct {
		name, xattr string
		want        fileCaps
		bad         bool
	}{
		{"revision 2, as setcap cap_net_raw+ep writes it", "\x01\x00\x00\x02\x00\x20\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00", fileCaps{effective: true, permitted: 1 << 13}, false},
		{"revision 1", "\x00\x00\x00\x01\x01\x00\x00\x00\x02\x00\x00\x00", fileCaps{permitted: 1, inheritable: 2}, false},
		{"revision 3", "\x00\x00\x00\x03" + strings.Repeat("\x00", 8) + "\x01\x00\x00\x00\x02\x00\x00\x00" + "\xa0\x86\x01\x00", fileCaps{permitted: 1 << 32, inheritable: 2 << 32, rootUID: 100000}, false},
		{"empty", "", fileCaps{}, true},
		{"short", "\x00\x00\x00\x02\x00\x00\x00\x00", fileCaps{}, true},
		{"long", "\x00\x00\x00\x01" + strings.Repeat("\x00", 16), fileCaps{}, true},
		{"revision 0", strings.Repeat("\x00", 12), fileCaps{}, true},
		{"revision 4", "\x00\x00\x00\x04" + strings.Repeat("\x00", 20), fileCaps{}, true},
	} {
		got, err := parseFileCaps([]byte(c.xattr))
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

// TestSecureByTheRules checks cases that a test may not be able to set up on this machine.
func TestSecureByTheRules(t *testing.T) {
	user := credentials{uid: 1000, euid: 1000, gid: 1000, egid: 1000, bounding: 1<<41 - 1}
	unbound, nnp, suid := user, user, user
	unbound.bounding, nnp.noNewPrivs, suid.euid = 0, true, 0
	raw := &fileCaps{permitted: 1 << 13}
	for _, c := range []struct {
		name string
		file privileges
		by   credentials
		want string
	}{
		{"set-uid", privileges{setUID: true}, user, "is set-uid"},
		{"set-uid, nosuid", privileges{setUID: true, nosuid: true}, user, ""},
		{"set-uid, no new privileges", privileges{setUID: true}, nnp, ""},
		{"set-uid of the user's own", privileges{setUID: true, uid: 1000}, user, ""},
		{"started by a set-uid program", privileges{}, suid, "starts with an effective user or group other than the real one"},
		{"permitted capability outside of the bounding set", privileges{caps: raw}, unbound, ""},
		{"permitted capability", privileges{caps: raw}, user, "has file capabilities"},
		{"capability, nosuid", privileges{caps: raw, nosuid: true}, user, ""},
		{"inheritable capability that the process has", privileges{caps: &fileCaps{inheritable: 2}}, credentials{uid: 1, euid: 1, inheritable: 2}, "has file capabilities"},
	} {
		if got := c.file.secure(c.by); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
