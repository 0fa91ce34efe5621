package main

// These tests compare the exit statuses of "arenacap run" with those of env(1).

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"arenacap/launcher/testenv"
)

// outcome is the result of a command.
type outcome struct {
	status int // exit status as a shell reports it: 128+n for signal n
	signal syscall.Signal
	stdout string
}

// start runs a command line in the states that the program setup.c prepares, and returns the result of the command and
// what it wrote to stderr.
func start(t *testing.T, dir string, env, setup, line []string) (outcome, string) {
	t.Helper()
	args := append(append(append([]string(nil), setup...), "--"), line...)
	cmd := exec.Command(requireTools(t).setup, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{stdout: stdout.String()}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		o.status, o.signal = 128+int(ws.Signal()), ws.Signal()
	} else {
		o.status = ws.ExitStatus()
	}
	return o, stderr.String()
}

// tree creates a folder with programs, other files, folders and links that execvp(3) treats differently.
func tree(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("good/prog", "#!/bin/sh\necho good $#\nexit 42\n", 0o755)
	write("plain/prog", "#!/bin/sh\n", 0o644)
	write("asdir/prog/file", "", 0o644)
	write("closed/prog", "#!/bin/sh\necho closed\n", 0o755)
	write("bare/prog", "echo bare $#\nexit 7\n", 0o755)
	write("empty/prog", "", 0o755)
	write("nointerp/prog", "#!/no/such/interpreter\n", 0o755)
	write("dirinterp/prog", "#!/usr\n", 0o755)
	write("plaininterp/prog", "#!"+filepath.Join(dir, "plain/prog")+"\n", 0o755)
	write("hashbang/prog", "#!", 0o755)
	write("hashbanglf/prog", "#!\necho hashbanglf\n", 0o755)
	write("hashblanks/prog", "#!   \necho hashblanks\n", 0o755)
	write("crlf/prog", "#!/bin/sh\r\necho crlf\r\n", 0o755)
	write("binary/prog", "\x7fELF\x02\x01\x01\x00garbage\x00\x00", 0o755)
	write("nul/prog", "a\x00b\x00c", 0o755)
	write("busy/prog", "#!/bin/sh\n", 0o755)
	write("asfile", "no folder", 0o755)
	previous := "/bin/sh"
	for n := range 8 { // chain/7 has eight interpreters in a row; after five the kernel returns ELOOP (execve(2))
		name := "chain/" + strconv.Itoa(n)
		write(name, "#!"+previous+"\n", 0o755)
		previous = filepath.Join(dir, name)
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"loop": "loop", "gone": "nowhere", "link": "good"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestStatusesAreThoseOfEnv runs the same program from the same state under env(1) and under arenacap.
func TestStatusesAreThoseOfEnv(t *testing.T) {
	testenv.Need(t, "/usr/bin/env")
	tool := requireTools(t)
	dir := tree(t)
	busy, err := os.OpenFile(filepath.Join(dir, "busy/prog"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()

	long := strings.Repeat("n", 256)
	for _, c := range []struct {
		name  string
		path  string // value of PATH; "-" for no PATH
		line  string // the program and its arguments
		want  int
		setup string
		root  bool
	}{
		{name: "found", path: "good", line: "prog a b", want: 42},
		{name: "found behind a link", path: "link", line: "prog", want: 42},
		{name: "not found", path: "empty:nowhere", line: "nothing", want: 127},
		{name: "not found with a slash", line: "./nothing", want: 127},
		{name: "not executable", path: "plain", line: "prog", want: 126},
		{name: "not executable with a slash", line: "plain/prog", want: 126},
		{name: "not executable, then found", path: "plain:good", line: "prog", want: 42},
		{name: "not executable, then not found", path: "plain:nowhere", line: "prog", want: 126},
		{name: "a folder", line: "./good", want: 126},
		{name: "a folder by its absolute path", line: "/usr", want: 126},
		{name: "a folder in PATH", path: "asdir", line: "prog", want: 126},
		{name: "a folder in PATH, then found", path: "asdir:good", line: "prog", want: 42},
		{name: "a PATH entry that is a file", path: "asfile:good", line: "prog", want: 42},
		{name: "only a PATH entry that is a file", path: "asfile", line: "prog", want: 126},
		{name: "below a file", line: "./asfile/prog", want: 126},
		{name: "a dangling link", line: "./gone", want: 127},
		{name: "a link to itself", line: "./loop", want: 126},
		{name: "a link to itself in PATH", path: "loop:good", line: "prog"},
		{name: "an empty name", path: "good", line: `""`, want: 127},
		{name: "a dot", path: "good", line: ".", want: 126},
		{name: "two dots", path: "good", line: "..", want: 126},
		{name: "a slash", line: "/", want: 126},
		{name: "a name that is too long", path: "good", line: long, want: 126},
		{name: "a name that is too long with a slash", line: "./" + long, want: 126},
		{name: "a path that is too long", line: strings.Repeat("/x", 2100), want: 126},
		{name: "a PATH entry that is too long", path: "/" + strings.Repeat("y", 300) + ":good", line: "prog"},
		{name: "a PATH entry over PATH_MAX", path: strings.Repeat("/y", 2100) + ":good", line: "prog"},

		{name: "missing interpreter", path: "nointerp", line: "prog", want: 127},
		{name: "missing interpreter, then found", path: "nointerp:good", line: "prog", want: 42},
		{name: "interpreter is a folder", path: "dirinterp", line: "prog", want: 126},
		{name: "interpreter is not executable", path: "plaininterp", line: "prog", want: 126},
		{name: "interpreter with a carriage return", path: "crlf", line: "prog", want: 127},
		{name: "a short chain of interpreters", line: "chain/2"},
		{name: "too long a chain of interpreters", line: "chain/7", want: 126},
		{name: "no interpreter line", path: "bare", line: "prog x y", want: 7},
		{name: "no interpreter line, by a slash", line: "bare/prog x y", want: 7},
		{name: "an empty file", path: "empty", line: "prog"},
		{name: "an interpreter line of two characters", path: "hashbang", line: "prog"},
		{name: "an interpreter line without a name", path: "hashbanglf", line: "prog"},
		{name: "an interpreter line of blanks", path: "hashblanks", line: "prog"},
		{name: "a broken program", path: "binary", line: "prog"},
		{name: "binary data", path: "nul", line: "prog"},
		{name: "text file busy", path: "busy", line: "prog", want: 126},

		{name: "no PATH", path: "-", line: "true"},
		{name: "no PATH, in the folder", path: "-", line: "asfile", want: 127},
		{name: "empty PATH", path: "", line: "true", want: 127},
		{name: "empty PATH, in the folder", path: "", line: "asfile", want: 127},
		{name: "empty PATH entry", path: ":good", line: "prog", want: 42},
		{name: "PATH that ends in a colon", path: "nowhere:", line: "asfile"},
		{name: "a folder of PATH that is closed", path: "closed", line: "prog", want: 126, setup: "user 65534 65534", root: true},
		{name: "a folder of PATH that is closed, then found", path: "closed:good", line: "prog", want: 42, setup: "user 65534 65534", root: true},
		{name: "below a folder that is closed", line: "closed/prog", want: 126, setup: "user 65534 65534", root: true},

		{name: "killed", path: "-", line: "sh|-c|kill -KILL $$", want: 137},
		{name: "terminated", path: "-", line: "sh|-c|kill -TERM $$", want: 143},
		{name: "the largest status", path: "-", line: "sh|-c|exit 255", want: 255},
		{name: "125 of the program's own", path: "-", line: "sh|-c|exit 125", want: 125},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root {
				testenv.NeedRoot(t)
			}
			var env []string
			if c.path != "-" {
				env = []string{"PATH=" + c.path}
			}
			line := strings.Fields(c.line)
			if strings.Contains(c.line, "|") {
				line = strings.Split(c.line, "|")
			}
			if c.line == `""` {
				line = []string{""}
			}
			setup := states(c.setup)
			if env == nil {
				setup = append(setup, "no-env")
			}
			likeEnv(t, tool, dir, env, setup, line, c.want)
		})
	}
}

// likeEnv checks that a command line has the same status, signal and stdout under arenacap as under env(1). That status
// must be the argument "want", unless "want" is 0. If env reports an error, arenacap must write one line to stderr;
// otherwise stderr is the same too.
func likeEnv(t *testing.T, tool tools, dir string, env, setup, line []string, want int) {
	t.Helper()
	wanted, envSaid := start(t, dir, env, setup, append([]string{"/usr/bin/env"}, line...))
	if want != 0 && wanted.status != want {
		t.Fatalf("env itself ends with %d, not %d: %s", wanted.status, want, envSaid)
	}
	got, said := start(t, dir, env, setup, append([]string{tool.checked, "run", "--arenas", "3", "--"}, line...))
	if got != wanted {
		t.Errorf("arenacap gives %+v, env %+v\narenacap said %senv said %s", got, wanted, said, envSaid)
	}
	if !strings.HasPrefix(envSaid, "/usr/bin/env: ") {
		if said != envSaid {
			t.Errorf("stderr is %q, of env %q", said, envSaid)
		}
		return
	}
	if strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "arenacap: ") {
		t.Errorf("arenacap does not say one line: %q", said)
	}
}

// TestArgumentListTooLong gives the target an argument list that is too long, although that of arenacap is not: the
// kernel also counts the path that it executes, and the path of the target is over 3,000 bytes longer than its name.
func TestArgumentListTooLong(t *testing.T) {
	tool := requireTools(t)
	dir := openDir(t)
	deep := dir
	for len(deep) < len(dir)+3000 {
		deep = filepath.Join(deep, strings.Repeat("d", 200))
	}
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/true", filepath.Join(deep, "prog")); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + deep}
	// Under a stack limit of 512 KiB the kernel allows 128 KiB of arguments: a quarter of the stack, and the least that
	// it allows under any stack limit (execve(2)).
	setup := states("rlimit 3 524288 524288")
	fits := func(fill int) (outcome, []string) {
		line := []string{"prog"}
		for ; fill > 0; fill -= 1000 {
			line = append(line, strings.Repeat("a", min(fill, 1000)))
		}
		o, _ := start(t, dir, env, setup, append([]string{"/usr/bin/env"}, line...))
		return o, line
	}
	// setup.c ends with 111 if even env cannot start. Find the longest argument list with which env starts, then shorten the
	// list by 1,500 bytes. env then starts. The target does not, because its path adds 3,000 bytes.
	least, most := 0, 1<<18
	for most-least > 16 {
		if o, _ := fits((least + most) / 2); o.status == 111 {
			most = (least + most) / 2
		} else {
			least = (least + most) / 2
		}
	}
	o, line := fits(least - 1500)
	if o.status != 126 {
		t.Fatalf("env gives %d where the list is too long", o.status)
	}
	likeEnv(t, tool, dir, env, setup, line, 126)
}

// TestNoExecMount runs a program from a file system that forbids it.
func TestNoExecMount(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "unshare", "mount")
	tool := requireTools(t)
	dir := tree(t)
	const mount = `mount -t tmpfs -o noexec none good && cp /bin/true good/prog && PATH=$PWD/good:$PATH && export PATH && exec "$@"`
	run := func(line ...string) outcome {
		o, said := start(t, dir, os.Environ(), nil, append([]string{"/usr/bin/unshare", "-m", "/bin/sh", "-c", mount, "sh"}, line...))
		if strings.Contains(said, "mount:") || strings.Contains(said, "unshare:") {
			testenv.Lack(t, "no mount namespace here: %s", said)
		}
		return o
	}
	if want, got := run("/usr/bin/env", "prog"), run(tool.checked, "run", "--", "prog"); got != want || want.status != 126 {
		t.Errorf("arenacap gives %+v, env %+v", got, want)
	}
}

// TestOwnFailures checks failures of arenacap itself: the status is 125, as for env's own failures, and nothing is run.
func TestOwnFailures(t *testing.T) {
	tool := requireTools(t)
	dir := tree(t)
	bad := filepath.Join(dir, "bad.toml")
	if err := os.WriteFile(bad, []byte("[arenas]\ncaps = 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ran := filepath.Join(dir, "ran")
	for _, c := range []struct{ name, flags string }{
		{"unknown flag", "--bogus"},
		{"flag without its value", "--policy"},
		{"bad cap", "--arenas four"},
		{"cap of nothing", "--arenas 0"},
		{"bad cores", "--cores -3"},
		{"bad budget", "--budget 4XB"},
		{"policy that is missing", "--policy " + filepath.Join(dir, "none.toml")},
		{"policy that is invalid", "--policy " + bad},
		{"policy that is a folder", "--policy " + dir},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := append([]string{tool.checked, "run"}, states(c.flags)...)
			if c.name != "flag without its value" {
				line = append(line, "--", "/usr/bin/touch", ran)
			}
			o, said := start(t, dir, os.Environ(), nil, line)
			if o.status != 125 || o.stdout != "" || !strings.HasPrefix(said, "arenacap: ") {
				t.Errorf("%+v, stderr %q", o, said)
			}
			if _, err := os.Stat(ran); err == nil {
				t.Error("the target ran")
			}
		})
	}
}

// TestWhereGoCannotStart records where env(1) works but arenacap does not, because Go's runtime ends the process before
// arenacap's own code runs: too little address space or data (24 and 16 MiB are enough for the 386 release), no second
// thread. The status is 2, the runtime's. A limit on descriptors stops neither env nor arenacap, because the launch
// opens one file at a time. In a build without package early, arenacap needs two more descriptors for Go's poller,
// which gopsutil starts when it is initialised.
func TestWhereGoCannotStart(t *testing.T) {
	tool := requireTools(t)
	dir := openDir(t)
	policy := filepath.Join(dir, "policy.toml")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(policy, []byte("[arenas]\ncap = 4\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	const mib = " 33554432 33554432" // soft and hard limit: 32 MiB
	few := 5
	if !early {
		few += 2
	}
	for _, c := range []struct {
		name, setup string
		want        int // exit status of the 64-bit release
		want386     int
		root        bool
	}{
		{name: "address space", setup: "rlimit 9" + mib, want: 2},
		{name: "data", setup: "rlimit 2" + mib, want: 2},
		{name: "processes", setup: "user 65534 65534 rlimit 6 1 1", want: 2, want386: 2, root: true},
		{name: "few descriptors", setup: fmt.Sprintf("rlimit 7 %d %d", few, few)},
		{name: "sixteen descriptors", setup: "rlimit 7 16 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root {
				testenv.NeedRoot(t)
			}
			try := func(line ...string) int {
				o, _ := start(t, dir, []string{"PATH=/usr/bin:/bin"}, states(c.setup), append(line, "true"))
				return o.status
			}
			if got := try("/usr/bin/env"); got != 0 {
				t.Fatalf("env itself ends with %d", got)
			}
			if got := try(tool.release, "run", "--policy", policy, "--"); got != c.want {
				t.Errorf("arenacap ends with %d, expected %d", got, c.want)
			}
			if tool.release386 == "" {
				return
			}
			if got := try(tool.release386, "run", "--policy", policy, "--"); got != c.want386 {
				t.Errorf("arenacap for 386 ends with %d, expected %d", got, c.want386)
			}
		})
	}
}
