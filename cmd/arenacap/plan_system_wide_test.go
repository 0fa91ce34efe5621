package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/inspect"
	"arenacap/launcher/machine"
	"arenacap/launcher/target"
	"arenacap/launcher/testenv"
	"arenacap/policy"
)

func TestSystemWide(t *testing.T) {
	newest := glibc.Newest(false)
	server := target.Target{Server: "/opt/srv/no-such-server", Libc: "glibc", CanCap: target.Yes}
	secure, static, script, musl, named := server, server, server, server, server
	secure.AtSecure, static.Static, script.Interpreters, musl.Libc, named.Server = target.Yes, true, []string{"/usr/bin/no-such-python"}, "musl", "/opt/[a]/srv"
	four := policy.Plan{Mode: policy.Fixed, ArenaMax: 4}
	huge := four
	huge.Policy.Arenas.HugePages = "off"
	const cap, reach = "glibc.malloc.arena_max=4", "a C library loaded with dlmopen has its own arenas, up to the same number"
	for _, c := range []struct {
		name   string
		plan   policy.Plan
		target *target.Target
		glibc  glibc.Version
		conf   []string
		note   string
	}{
		{"a server", four, &server, newest, []string{"[proc:/opt/srv/no-such-server]", cap, "[]"}, reach},
		{"without huge pages", huge, &server, newest, []string{"[proc:/opt/srv/no-such-server]", cap, "glibc.malloc.hugetlb=0", "[]"}, reach},
		{"in secure mode", four, &secure, newest, []string{"[proc:/opt/srv/no-such-server]", "*" + cap, "[]"}, reach},
		{"a script", four, &script, newest, []string{"[proc:/usr/bin/no-such-python]", cap, "[]"}, `the lines apply to every script that "/usr/bin/no-such-python" runs`},
		{"static", four, &static, newest, nil, "it is static"},
		{"a path that a filter cannot name", four, &named, newest, nil, `cannot name "/opt/[a]/srv"`},
		{"another libc", four, &musl, newest, nil, ""},
		{"no cap", policy.Plan{Mode: policy.Glibc}, &server, newest, nil, ""},
		{"no program", four, nil, newest, nil, ""},
		{"an older glibc", four, &server, glibc.Version{Major: 2, Minor: 43}, nil, ""},
		{"a glibc that is not known", four, &server, glibc.Version{}, nil, ""},
	} {
		v := planView{plan: c.plan, target: c.target, glibc: c.glibc}
		conf, notes := v.systemWide()
		said := strings.Join(notes, "\n")
		if !slices.Equal(conf, c.conf) || !strings.Contains(said, c.note) || (c.note == "") != (said == "") {
			t.Errorf("%s: %q, %q", c.name, conf, notes)
		}
	}
}

// TestTunablesConf puts the lines of plan into the tunables.conf of a root folder with glibc 2.44: they cap exactly the
// named program, also in secure mode, and its environment overrides them.
func TestTunablesConf(t *testing.T) {
	loader, libraries := testenv.NewerGlibc(t, 44)
	testenv.NeedRoot(t)
	testenv.Need(t, "unshare", "mount", "chroot")
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		testenv.Lack(t, "a mount namespace: %s", out)
	}
	root := glibcRoot(t, loader, libraries)
	var conf []string
	for _, program := range []string{"/bin/server", "/bin/secure"} {
		conf = append(conf, planInside(t, root, program)...)
	}
	text := strings.Join(conf, "\n")
	if want := "[proc:/bin/server]\nglibc.malloc.arena_max=3\n[]\n[proc:/bin/secure]\n*glibc.malloc.arena_max=3\n[]"; text != want {
		t.Fatalf("plan gives %q, want %q", text, want)
	}
	for name, text := range map[string]string{"tunables.conf": text + "\n", "ld.so.conf": "/lib\n"} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(filepath.Join(root, "ldconfig"), "-r", root).CombinedOutput(); err != nil {
		t.Fatalf("ldconfig: %v: %s", err, out)
	}
	own, _ := glibc.Newest(false).DefaultArenas(machine.Find("/", machine.Cores, nil).Online.N)
	own = min(own, 13) // 12 threads use at most 12 arenas and the main one
	for _, c := range []struct {
		program, user string
		env           []string
		arenas        int
	}{
		{"/bin/server", "0", nil, 3},
		{"/bin/other", "0", nil, own},
		{"/bin/secure", "65534", nil, 3},
		{"/bin/server", "0", []string{"MALLOC_ARENA_MAX=5"}, 5},
	} {
		if got := arenasInside(t, root, c.user, c.program, c.env); got != c.arenas {
			t.Errorf("%s as %s with %q: %d arenas, want %d", c.program, c.user, c.env, got, c.arenas)
		}
	}
}

// glibcRoot makes a root folder with the given glibc, its ldconfig, arenacap and three copies of the program with
// arenas, one of them set-uid.
func glibcRoot(t *testing.T, loader, libraries string) string {
	t.Helper()
	requireTools(t)
	program, err := arenasProgram()
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp("", "arenacap-root-") // not t.TempDir: other users must be able to enter the parents of the folder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	static := builtTools().release
	for path, from := range map[string]string{
		"/lib64/" + filepath.Base(loader): loader,
		"/lib/libc.so.6":                  filepath.Join(libraries, "libc.so.6"),
		"/ldconfig":                       filepath.Join(libraries, "../../sbin/ldconfig"),
		"/arenacap":                       static,
		"/bin/server":                     program, "/bin/other": program, "/bin/secure": program,
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Skipf("the glibc was unpacked without a part: %v", err)
		}
		to := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, do := range []error{os.Mkdir(root+"/etc", 0o755), os.Mkdir(root+"/proc", 0o755), os.Chmod(root, 0o755), os.Chmod(root+"/bin/secure", 0o755|os.ModeSetuid)} {
		if do != nil {
			t.Fatal(do)
		}
	}
	return root
}

// inside returns the command line that runs a program in the root folder, with a /proc, as a user.
func inside(root, user string, argv ...string) []string {
	return append([]string{"unshare", "-m", "sh", "-c", `mount -t proc proc "$0/proc" && user=$1 && shift && exec chroot --userspec="$user:$user" "$0" "$@"`, root, user}, argv...)
}

func planInside(t *testing.T, root, program string) []string {
	t.Helper()
	line := inside(root, "65534", "/arenacap", "plan", "--json", "--arenas", "3", program)
	out, err := exec.Command(line[0], line[1:]...).Output()
	var plan struct {
		Conf []string `json:"tunables_conf"`
	}
	if err == nil {
		err = json.Unmarshal(out, &plan)
	}
	if err != nil {
		t.Fatalf("%q: %v: %s", line, err, out)
	}
	return plan.Conf
}

func arenasInside(t *testing.T, root, user, program string, env []string) int {
	t.Helper()
	a := mustStart(t, env, inside(root, user, program)...)
	if _, err := a.do("threads 12 1"); err != nil {
		t.Fatal(err)
	}
	r, err := inspect.Look(a.cmd.Process.Pid, policy.Machine{}, nil)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", program, err))
	}
	a.end()
	return len(r.Process.Arenas)
}
