package main

// These tests check that "arenacap run" changes nothing in the target except its environment.

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// facts is the output of one run of the probe: one value per key, and the environment in its order.
type facts struct {
	byKey map[string]string
	env   []string
}

func parseFacts(t *testing.T, text []byte) facts {
	t.Helper()
	f := facts{byKey: map[string]string{}}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if _, twice := f.byKey[key]; !ok || twice {
			t.Fatalf("probe wrote %q, want a new key and a value", line)
		}
		if strings.HasPrefix(key, "env[") {
			f.env = append(f.env, value)
			continue
		}
		f.byKey[key] = value
	}
	return f
}

// differences are the facts that a wrapper changed, "key: bare → wrapped". The environment is one more fact, which must be
// equal after each entry of mayAdd was removed once from the wrapped one.
func differences(bare, wrapped facts, mayAdd ...string) []string {
	var found []string
	keys := slices.Sorted(maps.Keys(bare.byKey))
	for key := range wrapped.byKey {
		if _, ok := bare.byKey[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		was, had := bare.byKey[key]
		is, has := wrapped.byKey[key]
		if was != is || had != has {
			found = append(found, fmt.Sprintf("%s: %s → %s", key, orAbsent(was, had), orAbsent(is, has)))
		}
	}
	env := slices.Clone(wrapped.env)
	for _, entry := range mayAdd {
		i := slices.Index(env, entry)
		if i < 0 {
			found = append(found, "environment: no "+entry)
			continue
		}
		env = slices.Delete(env, i, i+1)
	}
	if !slices.Equal(env, bare.env) {
		found = append(found, fmt.Sprintf("environment: %q → %q", bare.env, env))
	}
	return found
}

func orAbsent(value string, has bool) string {
	if !has {
		return "absent"
	}
	return value
}

// launch is one way to start the probe. Launches that are compared differ only in the wrapper.
type launch struct {
	setup   []string // states of testdata/probe/setup.c
	wrapper []string // command line of the wrapper; nil for none
	args    []string // arguments of the probe
	stdio   *os.File // the file for descriptors 0, 1 and 2; nil: /dev/null for 0 and 1, and the file of sink for 2
	extra   []*os.File
}

// run starts the probe and returns its facts. The probe writes them to the named file, which is the same for all
// compared runs. PIDs differ between runs, so run replaces the fact "pid" by "as started" if it is the PID of the
// process that run started, and the fact "ppid" if it is the PID of this process.
func (l launch) run(t *testing.T, file string) (facts, error) {
	t.Helper()
	tool := requireTools(t)
	_ = os.Remove(file)
	args := slices.Concat(l.setup, []string{"--"}, l.wrapper, []string{tool.probe, file}, l.args)
	cmd := exec.Command(tool.setup, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8"}
	cmd.ExtraFiles = l.extra
	cmd.Stdin, cmd.Stdout, cmd.Stderr = l.stdio, l.stdio, l.stdio
	said := file + ".stderr"
	if l.stdio == nil {
		stderr := sink(t, said)
		defer stderr.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, nil, stderr
	}
	err := cmd.Run()
	if text, _ := os.ReadFile(said); err != nil || len(text) > 0 {
		return facts{}, fmt.Errorf("%v, stderr %q", err, text)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return facts{}, err
	}
	f := parseFacts(t, text)
	for key, want := range map[string]int{"pid": cmd.Process.Pid, "ppid": os.Getpid()} {
		if f.byKey[key] != strconv.Itoa(want) {
			f.byKey[key] += " instead of " + strconv.Itoa(want)
		} else {
			f.byKey[key] = "as started"
		}
	}
	return f, nil
}

// sink is a file for stderr that is empty at the start, with the same inode for each run of a test.
func sink(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// openDir creates a folder that any user may write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} { // other users must be able to enter both folders of t.TempDir
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(work, 0o777); err != nil {
		t.Fatal(err)
	}
	return work
}

// TestProbeSeesWrappers proves that the comparison can fail: each of these wrappers changes something.
func TestProbeSeesWrappers(t *testing.T) {
	own, other := niceness(t)
	for _, c := range []struct {
		wrapper []string
		sees    string // the beginning of one difference that the probe must find
	}{
		{[]string{"/usr/bin/nice", "-n", strconv.Itoa(other - own)}, fmt.Sprintf("nice: %d → %d", own, other)},
		{[]string{"/usr/bin/nohup"}, "signal 1 action: default → ignored"},
		{[]string{"/usr/bin/setsid"}, "session: "},
		{[]string{"/usr/bin/env", "A=1"}, "environment: "},
		{[]string{"/usr/bin/env", "-u", "LANG"}, "environment: "},
		{[]string{"/usr/bin/timeout", "600"}, "pid: as started → "},
		{[]string{"/usr/bin/timeout", "600"}, "ppid: as started → "},
		{[]string{"/bin/sh", "-c", `umask 7; exec "$@"`, "sh"}, "status Umask: "},
		{[]string{"/bin/sh", "-c", `cd /; exec "$@"`, "sh"}, "folder: "},
		{[]string{"/bin/sh", "-c", `exec "$@" more`, "sh"}, "argc: "},
		{[]string{"/bin/sh", "-c", `exec 7</dev/null; exec "$@"`, "sh"}, "fd 7: absent → "},
		{[]string{"/bin/sh", "-c", `exec 0<&-; exec "$@"`, "sh"}, "fd 0: "},
		{[]string{"/bin/sh", "-c", `sleep 9 <&- >&- 2>&- & exec "$@"`, "sh"}, "children: "},
		{[]string{"/bin/sh", "-c", `/bin/true; exec "$@"`, "sh"}, "children reaped: 0 → 1"},
		{[]string{"/usr/bin/prlimit", "--nofile=99"}, "rlimit NOFILE: "},
		{[]string{"/usr/bin/taskset", "1"}, "status Cpus_allowed: "},
		{[]string{"/usr/bin/setpriv", "--no-new-privs"}, "no new privileges: 0 → 1"},
		{[]string{"/usr/bin/setpriv", "--pdeathsig", "TERM"}, "parent-death signal: 0 → 15"},
		{[]string{"/usr/bin/setarch", "-R"}, "personality: "},
		{[]string{"/usr/bin/ionice", "-c", "3"}, "io priority: "},
		{[]string{"/usr/bin/chrt", "-b", "0"}, "scheduling: "},
		{[]string{"/usr/bin/choom", "-n", "77", "--"}, "oom score adj: "},
	} {
		t.Run(filepath.Base(c.wrapper[0]), func(t *testing.T) {
			t.Parallel()
			testenv.Need(t, c.wrapper[0])
			if c.wrapper[0] == "/usr/bin/nice" && other < own {
				testenv.NeedRoot(t)
			}
			file := filepath.Join(openDir(t), "facts")
			bare, err := launch{}.run(t, file)
			if err != nil {
				t.Fatal(err)
			}
			wrapped, err := launch{wrapper: c.wrapper}.run(t, file)
			if err != nil {
				t.Fatal(err)
			}
			found := differences(bare, wrapped)
			if !slices.ContainsFunc(found, func(s string) bool { return strings.HasPrefix(s, c.sees) }) {
				t.Errorf("the probe does not see %q:\n%s", c.sees, strings.Join(found, "\n"))
			}
		})
	}
}

// niceness returns the nice value of this process, which its children inherit, and another nice value. The other is higher,
// because any user may raise the value. If the result "own" is near the maximum, 19 (setpriority(2)), the other is
// lower.
func niceness(t *testing.T) (own, other int) {
	t.Helper()
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	own = 20 - n // the result of the system call is 20 - nice, never negative
	if own < 13 {
		return own, own + 7
	}
	return own, own - 7
}

// wrapper is one way to put arenacap before the probe, with the changes that it may make.
type wrapper struct {
	name   string
	args   []string
	mayAdd []string // entries that the wrapper may add to the environment
	known  []string // beginnings of the expected differences
}

func wrappers(t *testing.T, arenacap string) []wrapper {
	t.Helper()
	dir := openDir(t)
	if err := os.Chmod(dir, 0o755); err != nil { // root refuses a policy that others may write
		t.Fatal(err)
	}
	run := func(name, text string) []string {
		return []string{arenacap, "run", "--policy", writeFile(t, filepath.Join(dir, name), text), "--"}
	}
	return []wrapper{
		{name: "off", args: run("off.toml", "[arenas]\ncap = \"off\"\n")},
		{name: "cap", args: run("cap.toml", "[arenas]\ncap = 4\n"),
			mayAdd: []string{"MALLOC_ARENA_MAX=4", "MALLOC_ARENA_TEST=3"}},
		{name: "budget", args: run("budget.toml", "[arenas]\ncap = \"off\"\n[budget]\nvirtual = \"1TiB\"\ninterval = \"10ms\"\n"),
			// The watch is forked twice, and arenacap waits for the first child. The kernel adds the small CPU time of this child
			// to the usage of the target's children, getrusage(2).
			known: []string{"children reaped: 0 → 1", "children later reaped: 0 → 1"}},
	}
}

// TestNothingElseChanges runs the probe in each situation, without and with arenacap, and compares the facts.
func TestNothingElseChanges(t *testing.T) {
	tool := requireTools(t)
	plain, err := launch{}.run(t, filepath.Join(openDir(t), "facts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range sample(tool) {
		t.Run(b.name, func(t *testing.T) {
			wraps := wrappers(t, b.path)
			for _, s := range append(situations(t), closedDescriptors(b.losses)...) {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					if s.root {
						testenv.NeedRoot(t)
					}
					s.compare(t, plain, wraps)
				})
			}
		})
	}
}

func (s situation) compare(t *testing.T, plain facts, wraps []wrapper) {
	t.Helper()
	file := filepath.Join(openDir(t), "facts")
	l := launch{setup: s.setup, args: s.args}
	bare, err := l.run(t, file)
	if err != nil && s.mayRefuse && strings.HasPrefix(err.Error(), "exit status 111,") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("bare: %v", err)
	}
	if s.shows != "" && bare.byKey[s.shows] == plain.byKey[s.shows] {
		t.Fatalf("the probe does not show this state: %s is %q as ever", s.shows, bare.byKey[s.shows])
	}
	for _, w := range wraps {
		if s.onlyOff && w.mayAdd != nil {
			continue
		}
		l.wrapper = w.args
		wrapped, err := l.run(t, file)
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
			continue
		}
		w.judge(t, bare, wrapped, s.known...)
	}
}

// judge compares the differences found with the known ones. Each found difference must be known, and each known one
// found.
func (w wrapper) judge(t *testing.T, bare, wrapped facts, known ...string) {
	t.Helper()
	found := differences(bare, wrapped, w.mayAdd...)
	for _, known := range slices.Concat(w.known, known) {
		all := len(found)
		found = slices.DeleteFunc(found, func(d string) bool { return strings.HasPrefix(d, known) })
		if len(found) == all {
			t.Errorf("%s does not change %q any more: take it off the list", w.name, known)
		}
	}
	if len(found) > 0 {
		t.Errorf("%s changes\n\t%s", w.name, strings.Join(found, "\n\t"))
	}
}

// TestInheritedSocket passes a pair of non-blocking sockets and a pipe to the target. The flags of an open file are
// shared with the starter, which would see a change too.
func TestInheritedSocket(t *testing.T) {
	tool := requireTools(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for _, fd := range append(pair[:], pipe[:]...) {
		f := os.NewFile(uintptr(fd), "extra")
		defer f.Close()
		files = append(files, f)
	}
	l := launch{extra: files}
	file := filepath.Join(openDir(t), "facts")
	bare, err := l.run(t, file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(bare.byKey["fd 3"], "flags 802") {
		t.Fatalf("the socket is not non-blocking: %q", bare.byKey["fd 3"])
	}
	for _, w := range wrappers(t, tool.plain) {
		l.wrapper = w.args
		wrapped, err := l.run(t, file)
		if err != nil {
			t.Fatal(err)
		}
		w.judge(t, bare, wrapped)
	}
}

// TestControllingTerminal runs the probe as the leader of a session on a new terminal.
func TestControllingTerminal(t *testing.T) {
	tool := requireTools(t)
	master, name := openTerminal(t)
	defer master.Close()
	file := filepath.Join(openDir(t), "facts")
	run := func(wrapper []string) facts {
		// When its session ends, a terminal hangs up and its open files are of no use any more, so each run opens it again.
		tty, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer tty.Close()
		f, err := launch{setup: states("terminal 0"), wrapper: wrapper, stdio: tty}.run(t, file)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	bare := run(nil)
	if bare.byKey["foreground group"] != "self" || bare.byKey["terminal of 1"] != name {
		t.Fatalf("the probe has no terminal: %q, %q", bare.byKey["foreground group"], bare.byKey["terminal of 1"])
	}
	for _, w := range wrappers(t, tool.plain) {
		w.judge(t, bare, run(w.args))
	}
}

// openTerminal opens a pseudo-terminal and returns its master and the path of its slave, pts(4).
func openTerminal(t *testing.T) (*os.File, string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		testenv.Lack(t, "no pseudo-terminals: %v", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return master, "/dev/pts/" + strconv.Itoa(n)
}

// losses are the changes that Go's runtime makes to the target's state before arenacap's own code runs and that are
// not undone: the signals that are no longer ignored, those that are no longer blocked (in supervise mode; in exec mode
// the runtime restores its own copy of the mask), and whether a closed standard descriptor becomes /dev/null.
type losses struct {
	ignored, blocked []int
	descriptors      bool
}

// build is one build of arenacap, with the changes to the target's state that this build does not undo (losses). A release
// reads the state before Go's runtime starts (launcher/origin), so its losses are empty.
type build struct {
	name, path string
	losses     losses
}

func builds(tool tools) []build {
	all := []build{
		{"plain", tool.plain, losses{
			// These are the signals for which Go's runtime installs a handler. If INT, HUP and the stop signals are ignored at the
			// start, the runtime leaves them ignored (runtime/signal_unix.go, sigInstallGoHandler).
			ignored: slices.Concat(between(3, 8), between(10, 17), between(23, 31), []int{33}, between(35, 64)),
			// These are the signals that Go's runtime unblocks at its start (runtime/signal_unix.go, blockableSig).
			blocked:     slices.Concat(between(1, 8), []int{11}, between(15, 17), []int{23, 27}, between(31, 34)),
			descriptors: true,
		}},
		{"release", tool.release, losses{}},
	}
	if tool.release386 != "" {
		all = append(all, build{"release for 386", tool.release386, losses{}})
	}
	return all
}

// sample returns the release build, or in a full run all builds, for tests with many cases per build.
func sample(tool tools) []build {
	if testenv.Full() {
		return builds(tool)
	}
	return builds(tool)[1:2]
}

func between(first, last int) []int {
	var all []int
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

// TestSignals starts the target with every signal ignored, and with every signal blocked. The test lists the signals whose
// state the target is expected to lose, so that it fails if the target loses the state of another signal, or no longer loses
// one of these.
func TestSignals(t *testing.T) {
	tool := requireTools(t)
	var ignore, block []string
	for n := 1; n <= 64; n++ {
		if n != int(unix.SIGKILL) && n != int(unix.SIGSTOP) {
			ignore = append(ignore, "ignore", strconv.Itoa(n))
			block = append(block, "block", strconv.Itoa(n))
		}
	}
	for _, b := range builds(tool) {
		t.Run(b.name, func(t *testing.T) {
			for _, w := range wrappers(t, b.path) {
				checkLost(t, w, ignore, " action: ignored → default", b.losses.ignored)
				checkLost(t, w, block, " blocked: 1 → 0", nil)
			}
		})
	}
}

// endedIfPending are signals that end a plain build if they are pending: those that Go's runtime unblocks at its start
// (runtime/signal_unix.go, blockableSig), except CHLD and URG, which it ignores.
var endedIfPending = slices.Concat(between(1, 8), []int{11, 15, 16, 27}, between(31, 34))

// TestPendingSignals starts the target with signals blocked and pending. env(1) keeps them pending, and so does a
// release build of arenacap.
func TestPendingSignals(t *testing.T) {
	tool := requireTools(t)
	var blocked uint64
	var block, raise []string
	for _, n := range append(endedIfPending, 10, 12, 13, 14, 17, 18, 23, 28, 35, 64) {
		block, raise = append(block, "block", strconv.Itoa(n)), append(raise, "raise", strconv.Itoa(n))
		blocked |= 1 << (n - 1)
	}
	raise = append(raise, states("raise-thread 12 raise-thread 15")...)
	const thread = 1<<(12-1) | 1<<(15-1)
	for _, b := range builds(tool) {
		for _, w := range [][]string{{b.path, "run", "--arenas", "off", "--"}, supervised(b.path)} {
			t.Run(fmt.Sprint(b.name, w[4:]), func(t *testing.T) {
				t.Parallel()
				if b.losses.blocked != nil {
					for _, n := range endedIfPending {
						if sig, shd, ok := pendingIn(t, []string{"block", strconv.Itoa(n), "raise", strconv.Itoa(n)}, w); ok {
							t.Errorf("%d does not end the launch any more: %x, %x", n, sig, shd)
						}
					}
					return
				}
				sig, shd, ok := pendingIn(t, append(block, raise...), w)
				if supervises := w[len(w)-2] == "--supervise"; !ok || sig|shd != blocked || supervises && (sig != thread || shd != blocked) {
					t.Errorf("pending: %x for the thread, %x for the process; want %x and %x", sig, shd, thread, blocked)
				}
				c := startCatcher(t, states("block 15 queue 15 9 block 40 queue 40 7 queue 40 8"), w, 40)
				for _, want := range []string{"15 -1 9", "40 -1 7"} {
					if got := c.line(t); got != want {
						t.Errorf("it came as %q, want %q", got, want)
					}
				}
			})
		}
	}
}

// pendingIn returns the pending signals under a wrapper, of the thread and of the process; ok is false if nothing
// started.
func pendingIn(t *testing.T, setup, wrapper []string) (sig, shd uint64, ok bool) {
	t.Helper()
	out, err := exec.Command(requireTools(t).setup, slices.Concat(setup, []string{"--"}, wrapper, []string{"/bin/grep", "Pnd", "/proc/self/status"})...).Output()
	if len(out) == 0 && err != nil {
		return 0, 0, false
	}
	if n, err := fmt.Sscanf(string(out), "SigPnd:\t%x\nShdPnd:\t%x\n", &sig, &shd); n != 2 {
		t.Fatalf("%q, %v", out, err)
	}
	return sig, shd, true
}

// TestSlowExec checks that Go's runtime does not preempt a thread during a long exec. The runtime preempts with
// SIGURG, and a target that starts with SIGURG blocked would find that signal pending. strace delays the exec and,
// because of --seccomp-bpf, no other system call.
func TestSlowExec(t *testing.T) {
	t.Parallel()
	tool := requireTools(t)
	testenv.Need(t, "strace")
	for _, b := range builds(tool) {
		for _, w := range wrappers(t, b.path) {
			line := slices.Concat([]string{"-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=execve", "-e", "inject=execve:delay_enter=60000",
				tool.setup, "block", "23", "--"}, w.args, []string{"/bin/grep", "SigPnd", "/proc/self/status"})
			out, err := exec.Command("strace", line...).CombinedOutput()
			if err != nil || string(out) != "SigPnd:\t0000000000000000\n" {
				t.Errorf("%s, %s: %v\n%s", b.name, w.name, err, out)
			}
		}
	}
}

// TestSlowWatch checks that before the target begins, the watch process has left the target's process group, because
// a signal may be sent to the group, and has closed the target's descriptors, because one of them may hold a lock.
// strace delays the system calls that do this, setsid(2) and close_range(2).
func TestSlowWatch(t *testing.T) {
	t.Parallel()
	tool := requireTools(t)
	testenv.Need(t, "strace", "setsid", "flock", "pgrep")
	dir := t.TempDir()
	policy := writeFile(t, filepath.Join(dir, "policy.toml"), "[budget]\nvirtual = \"1TiB\"\n")
	script := writeFile(t, filepath.Join(dir, "target.sh"), "exec 9>&-\nflock -n lock echo the lock is free\npgrep -g 0 -f 'run --policy' || echo alone in the group\n")
	for _, b := range builds(tool) {
		cmd := exec.Command("strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=setsid,close_range", "-e", "inject=setsid,close_range:delay_enter=50000",
			"setsid", "-w", "sh", "-c", `exec 9>lock; flock 9; exec "$@"`, "sh", b.path, "run", "--policy", policy, "--", "sh", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if want := "the lock is free\nalone in the group\n"; err != nil || string(out) != want {
			t.Errorf("%s: %v\n%s", b.name, err, out)
		}
	}
}

func checkLost(t *testing.T, w wrapper, setup []string, change string, want []int) {
	t.Helper()
	file := filepath.Join(openDir(t), "facts")
	bare, err := launch{setup: setup}.run(t, file)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := launch{setup: setup, wrapper: w.args}.run(t, file)
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	var known []string
	for _, n := range want {
		known = append(known, fmt.Sprintf("signal %d%s", n, change))
	}
	w.judge(t, bare, wrapped, known...)
}

// TestThousandLaunches launches often enough (100 times, in a full run 1,000 times) to find an exec from a thread other
// than the first. If any thread could do the exec, about one of six launches would lose the parent-death signal and the
// default timer slack.
func TestThousandLaunches(t *testing.T) {
	tool := requireTools(t)
	launches := 100
	if testenv.Full() {
		launches = 1000
	}
	const workers = 2
	wraps := wrappers(t, tool.plain)
	for worker := range workers {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(openDir(t), "facts")
			l := launch{setup: states("pdeathsig 10 slack 77777")}
			bare, err := l.run(t, file)
			if err != nil {
				t.Fatal(err)
			}
			for n := range launches / workers {
				w := wraps[n%len(wraps)]
				l.wrapper = w.args
				wrapped, err := l.run(t, file)
				if err != nil {
					t.Fatalf("launch %d, %s: %v", n, w.name, err)
				}
				if w.judge(t, bare, wrapped); t.Failed() {
					t.Fatalf("launch %d failed", n)
				}
			}
		})
	}
}
