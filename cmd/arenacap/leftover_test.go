package main

// These tests check that many launches (100, in a full run 10,000) leave nothing behind, and that a watch does not act
// on a reused PID.

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// The tests of this file need a process that inherits all orphans and runs no other tests: this binary, started again,
// with its role in the environment.
func init() {
	role := map[string]func(*lab) error{"launches": (*lab).launches, "reuse": (*lab).reuse}[os.Getenv("ARENACAP_TEST_ROLE")]
	if role == nil {
		return
	}
	l := &lab{arenacap: os.Getenv("ARENACAP_TEST_BINARY"), tools: os.Getenv("ARENACAP_TEST_TOOLS"), dir: os.Getenv("ARENACAP_TEST_DIR")}
	if err := role(l); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// lab is the process that inherits all orphans. Its fields are paths: the program arenacap, the folder of the other
// programs, and the folder for the files of the test.
type lab struct{ arenacap, tools, dir string }

// inLab runs the test binary as another process in the named role (see init). If that process fails, inLab fails the
// test with the process's output. It also fails the test if a file is left.
func inLab(t *testing.T, role string, wrapper ...string) {
	t.Helper()
	tool := requireTools(t)
	buildC(t, "catcher")
	dir := t.TempDir()
	line := append(wrapper, os.Args[0])
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "ARENACAP_TEST_ROLE="+role, "ARENACAP_TEST_BINARY="+tool.checked, "ARENACAP_TEST_TOOLS="+tool.dir, "ARENACAP_TEST_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("files are left in %s: %v", dir, left)
	}
}

// TestNothingIsLeft launches again and again, in every way of lab.kinds, and checks that no process, zombie, descriptor
// or file remains, and that another process, the canary, got no signal.
func TestNothingIsLeft(t *testing.T) { inLab(t, "launches") }

// TestReusedPID gives the target's PID to another process just before the watch acts on it.
func TestReusedPID(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "unshare")
	if err := exec.Command("unshare", "-pf", "--mount-proc", "true").Run(); err != nil {
		testenv.Lack(t, "no PID namespace here: %v", err)
	}
	inLab(t, "reuse", "unshare", "-pf", "--mount-proc", "--kill-child")
}

// policy writes a policy file and returns the arguments that use it.
func (l *lab) policy(name, text string) []string {
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return []string{l.arenacap, "run", "--policy", path}
}

// kind is one way to launch.
type kind struct {
	name string
	line []string
	want string // a status, or the name of a signal
	// meddle is the signal that the test sends to the watch while the target runs; 0 for none. The target then reads until
	// its stdin ends.
	meddle unix.Signal
}

func (l *lab) kinds() []kind {
	const budget = "[arenas]\ncap = 3\n[budget]\nvirtual = \"1TiB\"\ninterval = \"10ms\"\nsettle = \"0s\"\n"
	process := l.policy("process.toml", budget)
	tree := l.policy("tree.toml", budget+"scope = \"tree\"\n")
	run := func(policy []string, flags ...string) func(line ...string) []string {
		return func(line ...string) []string { return slices.Concat(policy, flags, []string{"--"}, line) }
	}
	exec, supervise := run(process), run(process, "--supervise")
	return []kind{
		{name: "exec", line: exec("/bin/sh", "-c", "exit 3"), want: "3"},
		{name: "supervise", line: supervise("/bin/sh", "-c", "exit 4"), want: "4"},
		{name: "dies at once", line: exec("/bin/false"), want: "1"},
		{name: "supervised, dies at once", line: supervise("/bin/false"), want: "1"},
		{name: "execs again", line: exec("/bin/sh", "-c", `exec /bin/sh -c "exec /bin/true"`), want: "0"},
		{name: "forks twice", line: run(tree)("/bin/sh", "-c", `(/bin/sh -c "exec /bin/sleep 0.01" &)`), want: "0"},
		{name: "supervised, forks twice", line: run(tree, "--supervise", "--wait-orphans")("/bin/sh", "-c", `(/bin/sh -c "exec /bin/sleep 0.01" &)`), want: "0"},
		{name: "killed", line: exec("/bin/sh", "-c", "kill -KILL $$"), want: "KILL"},
		{name: "supervised, killed", line: supervise("/bin/sh", "-c", "kill -KILL $$"), want: "137"},
		{name: "cannot run", line: exec("/etc/passwd"), want: "126"},
		{name: "the watch is killed", line: exec("/bin/cat"), want: "0", meddle: unix.SIGKILL},
		{name: "the watch is stopped", line: exec("/bin/cat"), want: "0", meddle: unix.SIGSTOP},
		{name: "no watch", line: []string{l.arenacap, "run", "--", "/bin/true"}, want: "0"},
	}
}

func (l *lab) launches() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	count := 100
	if testenv.Full() {
		count = 10000
	}
	canary, said, err := l.startCanary()
	if err != nil {
		return err
	}
	kinds := l.kinds()
	before := countOpen()
	for n := range count {
		k := kinds[n%len(kinds)]
		if err := l.launch(k); err != nil {
			return fmt.Errorf("launch %d, %s: %w", n, k.name, err)
		}
		if n%100 == 99 || n == count-1 {
			if err := onlyChild(canary); err != nil {
				return fmt.Errorf("after %d launches: %w", n+1, err)
			}
		}
	}
	if after := countOpen(); after != before {
		return fmt.Errorf("%d descriptors are open, %d were", after, before)
	}
	if err := unharmed(canary, said); err != nil {
		return err
	}
	for _, name := range []string{"process.toml", "tree.toml"} {
		_ = os.Remove(filepath.Join(l.dir, name))
	}
	return nil
}

// countOpen counts this process's descriptors.
func countOpen() int {
	names, _ := os.ReadDir("/proc/self/fd")
	return len(names)
}

// launch starts one target, waits for its end, and compares its status with the one that this kind of target must have.
func (l *lab) launch(k kind) error {
	var in [2]int
	if err := unix.Pipe2(in[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(in[1])
	pid, err := syscall.ForkExec(k.line[0], k.line, &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{uintptr(in[0]), 1, 1}})
	unix.Close(in[0])
	if err != nil {
		return err
	}
	watch := 0
	if k.meddle != 0 {
		// watchOf finds the watch by its name. The watch takes this name only after it has become a child of this process.
		for deadline := time.Now().Add(patience); watch == 0; watch = watchOf(pid) {
			if time.Now().After(deadline) {
				return errors.New("there is no watch")
			}
		}
		_ = unix.Kill(watch, k.meddle)
		unix.Close(in[1])
		in[1] = -1
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
		return err
	}
	if got := ending(ws); got != k.want {
		return fmt.Errorf("ended with %s, expected %s", got, k.want)
	}
	if k.meddle == unix.SIGSTOP { // only this test can continue the stopped watch
		return unix.Kill(watch, unix.SIGCONT)
	}
	return nil
}

// onlyChild reaps ended children until the canary, which still runs, is the only child.
func onlyChild(canary int) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		switch {
		case err != nil:
			return err
		case pid == canary:
			return errors.New("the canary has ended")
		case pid > 0:
			continue
		}
		if text, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); strings.TrimSpace(string(text)) == strconv.Itoa(canary) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	out, _ := exec.Command("ps", "-o", "pid,ppid,stat,args", "--ppid", strconv.Itoa(os.Getpid())).Output()
	return fmt.Errorf("processes are left:\n%s", out)
}

// startCanary starts catcher.c, which reports every signal that it gets.
func (l *lab) startCanary() (pid int, said *bufio.Reader, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer w.Close()
	catcher := filepath.Join(l.tools, "catcher")
	if pid, err = syscall.ForkExec(catcher, []string{catcher, "10"}, &syscall.ProcAttr{Files: []uintptr{0, w.Fd(), 2}}); err != nil {
		return 0, nil, err
	}
	said = bufio.NewReader(r)
	_, err = said.ReadString('\n')
	return pid, said, err
}

// unharmed ends a canary with SIGUSR1 and fails if the canary got another signal before.
func unharmed(pid int, said *bufio.Reader) error {
	if err := unix.Kill(pid, unix.SIGUSR1); err != nil {
		return err
	}
	line, _ := said.ReadString('\n')
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		return err
	}
	if line != "10 0 0\n" {
		return fmt.Errorf("another process got a signal: %q", line)
	}
	return nil
}

// errTaken means that a thread of this process's Go runtime got the PID first.
var errTaken = errors.New("the PID went to another task")

// reuse runs as PID 1 of a PID namespace, where no other process takes PIDs.
func (l *lab) reuse() error {
	for _, setup := range []string{
		"",
		"lacks " + call(unix.SYS_PIDFD_OPEN),
		"lacks " + call(unix.SYS_PIDFD_OPEN) + " lacks " + call(unix.SYS_PIDFD_SEND_SIGNAL),
	} {
		for _, action := range []string{"action = \"terminate\"\ngrace = \"10ms\"\n", "action = \"signal\"\nsignal = \"SIGHUP\"\n"} {
			err := errTaken
			for try := 0; try < 20 && err == errTaken; try++ {
				err = l.reuseOnce(states(setup), action)
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", setup, action, err)
			}
		}
	}
	return nil
}

// reuseOnce kills the target and gives its PID to the canary while the watch waits for the policy's command, which runs
// before the action. The action must not reach the canary.
func (l *lab) reuseOnce(setup []string, action string) error {
	out, in := filepath.Join(l.dir, "out"), filepath.Join(l.dir, "in")
	for _, fifo := range []string{out, in} {
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			return err
		}
		defer os.Remove(fifo)
	}
	run := l.policy("reuse.toml", strict+action+"command = [\"/bin/sh\", \"-c\", \"echo >"+out+"; read x <"+in+"\"]\n[log]\nto = \""+filepath.Join(l.dir, "log")+"\"\n")
	defer os.Remove(filepath.Join(l.dir, "reuse.toml"))
	defer os.Remove(filepath.Join(l.dir, "log"))
	line := slices.Concat([]string{filepath.Join(l.tools, "setup")}, setup, []string{"--"}, run, []string{"--", "/bin/sleep", "1000"})
	target, err := syscall.ForkExec(line[0], line, &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{0, 1, 2}})
	if err != nil {
		return err
	}
	if _, err := os.ReadFile(out); err != nil { // the read of this FIFO returns at the breach, when the command writes to it
		return err
	}
	watch := watchOf(target)
	if err := unix.Kill(target, unix.SIGKILL); err != nil {
		return err
	}
	if _, err := syscall.Wait4(target, nil, 0, nil); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(target-1)), 0); err != nil {
		return err
	}
	canary, said, err := l.startCanary()
	if err != nil {
		return err
	}
	if err := os.WriteFile(in, []byte("go on\n"), 0); err != nil {
		return err
	}
	if _, err := syscall.Wait4(watch, nil, 0, nil); err != nil {
		return fmt.Errorf("the watch, %d: %w", watch, err)
	}
	if err := unharmed(canary, said); err != nil || canary == target {
		return err
	}
	return errTaken
}
