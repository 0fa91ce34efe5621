package main

// These tests check statuses, signals and process groups with --supervise.

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// buildC compiles a program of testdata/probe once for all tests.
func buildC(t *testing.T, name string) string {
	t.Helper()
	dir := requireTools(t).dir
	builtC.Lock()
	defer builtC.Unlock()
	out := filepath.Join(dir, name)
	if _, err := os.Stat(out); err == nil {
		return out
	}
	if err := compile(out, nil, "gcc", "-O1", "-Wall", "-o", "OUT", "testdata/probe/"+name+".c"); err != nil {
		t.Fatal(err)
	}
	return out
}

var builtC sync.Mutex

// supervised is the arenacap command that supervises a program without changing cap and environment.
func supervised(arenacap string, flags ...string) []string {
	return slices.Concat([]string{arenacap, "run", "--arenas", "off", "--supervise"}, flags, []string{"--"})
}

// ended runs a command line in the states that the program setup.c prepares, and returns the wait status of the command.
func ended(t *testing.T, setup []string, line ...string) syscall.WaitStatus {
	t.Helper()
	cmd := exec.Command(requireTools(t).setup, slices.Concat(setup, []string{"--"}, line)...)
	cmd.Dir = t.TempDir() // a core file may be written here
	_ = cmd.Run()
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// TestSupervisedStatuses checks that arenacap returns the same status as tini and dumb-init, and that with --reraise
// arenacap ends as timeout does.
func TestSupervisedStatuses(t *testing.T) {
	testenv.Need(t, "tini", "dumb-init", "timeout")
	tool := requireTools(t)
	plain := t.TempDir() + "/plain"
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	sh := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	for _, c := range []struct {
		name string
		line []string
		own  bool // dumb-init has a status of its own in this case, which is not compared with tini's
	}{
		{name: "0", line: sh("exit 0")},
		{name: "1", line: sh("exit 1")},
		{name: "42", line: sh("exit 42")},
		{name: "124", line: sh("exit 124")},
		{name: "255", line: sh("exit 255")},
		{name: "HUP", line: sh("kill -HUP $$")},
		{name: "TERM", line: sh("kill -TERM $$")},
		{name: "INT", line: sh("kill -INT $$")},
		{name: "KILL", line: sh("kill -KILL $$")},
		{name: "SEGV", line: sh("kill -SEGV $$")},
		{name: "ABRT", line: sh("kill -ABRT $$")},
		{name: "PIPE", line: sh("kill -PIPE $$")},
		{name: "URG is nothing", line: sh("kill -URG $$; exit 3")},
		{name: "real-time 40", line: sh("kill -40 $$")},
		{name: "real-time 64", line: sh("kill -64 $$")},
		{name: "after a child", line: sh("sh -c 'exit 9'; exit $?")},
		{name: "not found", line: []string{"/no/such"}, own: true},
		{name: "not executable", line: []string{plain}, own: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			setup := states("rlimit 4 max max") // no limit on core files (RLIMIT_CORE), which only root may raise
			if unix.Getrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) != nil || os.Geteuid() != 0 {
				setup = nil
			}
			want := ended(t, nil, append([]string{"/usr/bin/tini", "-s", "--"}, c.line...)...)
			if init := ended(t, nil, append([]string{"/usr/bin/dumb-init", "--"}, c.line...)...); !c.own && init != want {
				t.Errorf("tini %v and dumb-init %v do not agree", want, init)
			}
			if got := ended(t, setup, append(supervised(tool.checked), c.line...)...); got != want {
				t.Errorf("arenacap ends with %#x, tini with %#x", got, want)
			}
			want = ended(t, nil, append([]string{"/usr/bin/timeout", "60"}, c.line...)...)
			got := ended(t, setup, append(supervised(tool.checked, "--reraise"), c.line...)...)
			if got != want {
				t.Errorf("arenacap --reraise ends with %#x, timeout with %#x", got, want)
			}
			if got.CoreDump() {
				t.Error("a second core was written")
			}
		})
	}
}

// catcher is a wrapper that runs catcher.c. Its lines are the signals that the program got.
type catcher struct {
	cmd  *exec.Cmd
	said *bufio.Reader
}

// uncatchable is the last signal of a catcher that must not end by itself. A catcher ends when it has caught its last signal,
// and no process can catch SIGKILL.
const uncatchable = unix.SIGKILL

func startCatcher(t *testing.T, setup, wrapper []string, last unix.Signal) *catcher {
	t.Helper()
	line := slices.Concat(setup, []string{"--"}, wrapper, []string{buildC(t, "catcher"), fmt.Sprint(int(last))})
	c := &catcher{cmd: exec.Command(requireTools(t).setup, line...)}
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	c.said = bufio.NewReader(out)
	if got := c.line(t); got != "ready" {
		t.Fatalf("%v: %q", wrapper, got)
	}
	return c
}

// startSettled is like startCatcher, and waits until every thread of arenacap except the first one blocks all signals. Until
// a new thread blocks them, the thread may receive a signal, and arenacap may then forward this signal before an earlier one
// (Relay.Settle).
func startSettled(t *testing.T, wrapper []string, last unix.Signal) *catcher {
	t.Helper()
	for {
		c := startCatcher(t, nil, wrapper, last)
		for range 100 {
			if settled(c.cmd.Process.Pid) {
				return c
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func settled(pid int) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	return !slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		_, blocked, _ := strings.Cut(string(text), "SigBlk:\t")
		return err == nil && file != fmt.Sprintf("/proc/%d/task/%[1]d/status", pid) && !strings.HasPrefix(blocked, "f")
	})
}

func (c *catcher) line(t *testing.T) string {
	t.Helper()
	line, err := c.said.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %v", c.cmd.Args, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// rest returns the remaining lines of the catcher, up to its end.
func (c *catcher) rest(t *testing.T) []string {
	t.Helper()
	text, err := io.ReadAll(c.said)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func (c *catcher) send(t *testing.T, signals ...unix.Signal) {
	t.Helper()
	for _, n := range signals {
		if err := unix.Kill(c.cmd.Process.Pid, n); err != nil {
			t.Fatal(err)
		}
	}
}

// others returns the signals that a wrapper can forward one by one and in order: all except those that cannot be caught,
// those that the C library uses, those that any thread of Go receives, and the stop signals of a terminal, on which
// dumb-init stops itself.
func others() (all []unix.Signal) {
	for n := unix.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, 32, 33, unix.SIGURG, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		default:
			all = append(all, n)
		}
	}
	return all
}

// TestSupervisedSignals sends every signal that can be caught, except 32 and 33, and checks that each arrives before it
// sends the next, also those that were ignored or blocked at the start.
func TestSupervisedSignals(t *testing.T) {
	tool := requireTools(t)
	var ignore, block []string
	for _, n := range others() {
		ignore = append(ignore, "ignore", fmt.Sprint(int(n)))
		block = append(block, "block", fmt.Sprint(int(n)))
	}
	for _, b := range builds(tool) {
		for name, setup := range map[string][]string{"nothing special": nil, "ignored": ignore, "blocked": block} {
			t.Run(b.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				for _, flags := range [][]string{nil, {"--kill-group"}} {
					c := startCatcher(t, setup, supervised(b.path, flags...), uncatchable)
					for _, n := range append(others(), unix.SIGURG, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU) {
						c.send(t, n)
						if got, want := c.line(t), fmt.Sprintf("%d 0 0", n); got != want {
							t.Fatalf("%v: sent %d, got %q", flags, n, got)
						}
					}
				}
			})
		}
	}
}

// TestSignalsAreThoseOfTini sends to tini and to arenacap the signals that tini forwards, and compares what arrives at the
// program behind them. It does the same with dumb-init.
func TestSignalsAreThoseOfTini(t *testing.T) {
	testenv.Need(t, "tini", "dumb-init")
	tool := requireTools(t)
	// tini does not forward the signals by which the kernel reports faults of tini itself, such as SIGSEGV; dumb-init does
	// not support real-time signals.
	var forTini, forInit []unix.Signal
	for _, n := range others() {
		switch n {
		case unix.SIGFPE, unix.SIGILL, unix.SIGSEGV, unix.SIGBUS, unix.SIGABRT, unix.SIGTRAP, unix.SIGSYS, unix.SIGCHLD, unix.SIGTERM:
		default:
			forTini = append(forTini, n)
			if n < 32 {
				forInit = append(forInit, n)
			}
		}
	}
	for _, c := range []struct {
		name    string
		wrapper []string
		signals []unix.Signal
	}{
		{"tini", []string{"/usr/bin/tini", "-s", "--"}, forTini},
		{"dumb-init", []string{"/usr/bin/dumb-init", "--single-child", "--"}, forInit},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := arrivals(t, c.wrapper, c.signals)
			if len(want) != len(c.signals)+1 {
				t.Fatalf("%d of %d arrived behind %s", len(want), len(c.signals)+1, c.name)
			}
			if got := arrivals(t, supervised(tool.checked), c.signals); !slices.Equal(got, want) {
				t.Errorf("arenacap:\n%q\n%s:\n%q", got, c.name, want)
			}
			// Sent at once, the same signals arrive in the order of the kernel, the lowest number first. Under tini the
			// signal that arrives first depends on whether tini or the program behind it runs first.
			got := burst(t, startSettled(t, supervised(tool.checked), unix.SIGTERM), c.signals)
			if !slices.Equal(got, want[:len(c.signals)]) {
				t.Errorf("at once, arenacap:\n%q", got)
			}
			if want := burst(t, startCatcher(t, nil, c.wrapper, unix.SIGTERM), c.signals); !sameElements(got, want) {
				t.Errorf("at once, arenacap:\n%q\n%s:\n%q", got, c.name, want)
			}
		})
	}
}

// arrivals sends signals to a wrapper one by one, and returns those that the program behind it got, in order.
func arrivals(t *testing.T, wrapper []string, signals []unix.Signal) (got []string) {
	t.Helper()
	c := startCatcher(t, nil, wrapper, unix.SIGTERM)
	for _, n := range append(slices.Clone(signals), unix.SIGTERM) {
		c.send(t, n)
		got = append(got, c.line(t))
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("%v: %v", wrapper, err)
	}
	return got
}

func sameElements(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// burst sends all the signals while the wrapper is stopped, so that they are pending together.
func burst(t *testing.T, c *catcher, signals []unix.Signal) (got []string) {
	t.Helper()
	c.send(t, unix.SIGSTOP)
	if _, err := unix.Wait4(c.cmd.Process.Pid, nil, unix.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range slices.Backward(signals) {
		if n != unix.SIGCONT {
			c.send(t, n)
		}
	}
	c.send(t, unix.SIGCONT)
	for range signals {
		got = append(got, c.line(t))
	}
	return got
}

// TestQueuedSignals: real-time signals are queued and not merged, and keep their order and their values.
func TestQueuedSignals(t *testing.T) {
	c := startSettled(t, supervised(requireTools(t).checked), 64)
	const each = 50
	want := map[int][]string{}
	for value := range each {
		for n := 34; n < 64; n += 7 {
			queue(t, c.cmd.Process.Pid, n, value)
			want[n] = append(want[n], fmt.Sprintf("%d %d %d", n, -1, value))
		}
	}
	c.send(t, 64) // the kernel delivers it last
	got := map[int][]string{}
	for _, line := range c.rest(t) {
		var n int
		_, _ = fmt.Sscan(line, &n)
		got[n] = append(got[n], line)
	}
	for n := range want {
		if !slices.Equal(got[n], want[n]) {
			t.Errorf("signal %d: %q", n, got[n])
		}
	}
}

// queue sends a signal with a value, as sigqueue(3) does.
func queue(t *testing.T, pid, n, value int) {
	t.Helper()
	info := struct {
		signo, errno, code, _ int32
		pid, uid              int32
		value                 int64
		_                     [96]byte
	}{signo: int32(n), code: -1, pid: int32(os.Getpid()), uid: int32(os.Getuid()), value: int64(value)}
	for {
		_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(n), uintptr(unsafe.Pointer(&info)))
		if errno == unix.EAGAIN { // RLIMIT_SIGPENDING
			continue
		}
		if errno != 0 {
			t.Fatal(errno)
		}
		return
	}
}

// TestKillGroup checks that only with --kill-group the children of the target get a forwarded signal too.
func TestKillGroup(t *testing.T) {
	tool := requireTools(t)
	// The shell is the target. It waits for the end of its child catcher.c, because the kernel kills catcher.c when the
	// shell ends (PR_SET_PDEATHSIG).
	const script = `trap 'echo target; wait; exit' USR1; "$0" 10 & echo $!; wait`
	for _, c := range []struct{ flags, want []string }{
		{[]string{"--kill-group"}, []string{"10 0 0", "target"}},
		{nil, []string{"target"}},
	} {
		cmd := exec.Command(tool.checked, append(supervised(tool.checked, c.flags...)[1:], "/bin/sh", "-c", script, buildC(t, "catcher"))...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		var first []string
		for len(first) < 2 && said.Scan() {
			first = append(first, said.Text())
		}
		slices.Sort(first)
		grandchild, _ := strconv.Atoi(first[0])
		if grandchild == 0 || first[1] != "ready" {
			t.Fatalf("it said %q", first)
		}
		if err := cmd.Process.Signal(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		var got []string
		for len(got) < len(c.want) && said.Scan() {
			got = append(got, said.Text())
		}
		if err := unix.Kill(grandchild, unix.SIGKILL); len(c.flags) == 0 && err != nil {
			t.Errorf("%v: the grandchild is gone: %v", c.flags, err)
		}
		if said.Scan() {
			got = append(got, said.Text())
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.flags, got, c.want)
		}
		_ = cmd.Wait()
	}
}

// TestGroupGetsValues checks that with --kill-group each process of the target's group gets the value that was sent
// with the signal (sigqueue(3)).
func TestGroupGetsValues(t *testing.T) {
	c := startCatcher(t, nil, slices.Concat(supervised(requireTools(t).checked, "--kill-group"),
		[]string{"/bin/sh", "-c", `"$0" 9 & exec "$0" 9`}), uncatchable)
	if second := c.line(t); second != "ready" {
		t.Fatal(second)
	}
	for value := range 3 {
		queue(t, c.cmd.Process.Pid, 40, value)
		for range 2 {
			if got, want := c.line(t), fmt.Sprintf("40 -1 %d", value); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	c.send(t, unix.SIGUSR1) // kill(2) sends no value
	if got := c.line(t); got != "10 0 0" {
		t.Error(got)
	}
}

// TestGroupEndsWithTarget: processes that the target leaves in its group get TERM, as under dumb-init, and arenacap
// waits for them if it waits for orphans.
func TestGroupEndsWithTarget(t *testing.T) {
	testenv.Need(t, "dumb-init")
	tool := requireTools(t)
	for _, c := range []struct {
		name    string
		wrapper []string
		ends    bool // TERM ends the orphan
		before  bool // the orphan ends before the wrapper
	}{
		{"group", supervised(tool.checked, "--kill-group"), true, false},
		{"group and orphans", supervised(tool.checked, "--kill-group", "--wait-orphans"), true, true},
		{"dumb-init", []string{"/usr/bin/dumb-init", "--"}, true, false},
		{"neither", supervised(tool.checked), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(c.wrapper[0], append(c.wrapper[1:], "/bin/sh", "-c", `"$0" & read x; exit 3`, buildC(t, "orphan"))...)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			orphan, said := startOrphan(t, cmd)
			in.Close()
			if state, err := cmd.Process.Wait(); err != nil || state.ExitCode() != 3 {
				t.Errorf("%v, %v", state, err)
			}
			if c.before && unix.Kill(orphan, 0) != unix.ESRCH {
				t.Error("the orphan was not waited for")
			}
			if !c.ends {
				if err := unix.Kill(orphan, unix.SIGKILL); err != nil {
					t.Error(err)
				}
			}
			last := ""
			for said.Scan() {
				last = said.Text()
			}
			if (last == "TERM") != c.ends {
				t.Errorf("the orphan said %q last", last)
			}
		})
	}
}

// TestSupervisorLetsGo: arenacap keeps no copy of the target's descriptors except stderr, so the reader of a pipe gets
// end of file when the target closes the pipe. arenacap also leaves its working folder, so that the folder can be
// unmounted.
func TestSupervisorLetsGo(t *testing.T) {
	tool := requireTools(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(tool.checked, append(supervised(tool.checked)[1:], "/bin/sh", "-c", "exec 3>&- >&-; read x; exit 0")...)
	cmd.ExtraFiles, cmd.Dir = []*os.File{w}, t.TempDir()
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for _, end := range []io.Reader{r, out} {
		if text, err := io.ReadAll(end); len(text) > 0 || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	}
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", cmd.Process.Pid)); dir != "/" {
		t.Errorf("arenacap is in %q, %v", dir, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
