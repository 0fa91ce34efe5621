package watch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
)

func mustHold(t testing.TB, pid int) *process {
	t.Helper()
	p, err := hold(pid, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.release)
	return p
}

// holdFolder holds a process by its /proc folder, as on a kernel without pidfds.
func holdFolder(t *testing.T, pid int) *process {
	t.Helper()
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{pid: pid, pidfd: -1, dir: dir, statm: -1}
	if err := p.openAll(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.release)
	return p
}

// holders are the two ways in which the watch holds a process: by a pidfd, and by a descriptor of its /proc folder. The
// tests that call eachHolder run with both.
var holders = map[string]func(*testing.T, int) *process{
	"pidfd":  func(t *testing.T, pid int) *process { return mustHold(t, pid) },
	"folder": holdFolder,
}

func eachHolder(t *testing.T, test func(*testing.T, func(*testing.T, int) *process)) {
	for name, holder := range holders {
		t.Run(name, func(t *testing.T) { test(t, holder) })
	}
}

// A sample has the same sizes as /proc/PID/status.
func TestSampleIsWhatStatusSays(t *testing.T) {
	eachHolder(t, func(t *testing.T, holder func(*testing.T, int) *process) {
		c := startChild(t)
		p := holder(t, c.pid())
		for _, command := range []string{"map 104857600", "unmap", "touch 8388608"} {
			c.ask(t, command, "ok")
			// A Go process may map more by itself between the two readings.
			for tries := 0; ; tries++ {
				s, ok := p.sample()
				status := statusOf(t, c.pid())
				if ok && s.Size.Bytes() == status["VmSize"]<<10 && s.Data.Bytes() == (status["VmData"]+status["VmStk"])<<10 && s.Resident.Bytes() == status["VmRSS"]<<10 {
					break
				}
				if tries == 100 {
					t.Fatalf("%s: sample %+v, status %v", command, s, status)
				}
			}
		}
	})
}

func statusOf(t *testing.T, pid int) map[string]uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	kB := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if n, ok := strings.CutSuffix(strings.TrimSpace(value), " kB"); ok {
			kB[name], _ = strconv.ParseUint(n, 10, 64)
		}
	}
	return kB
}

func TestHoldFindsNobody(t *testing.T) {
	gone := startChild(t)
	gone.kill(t)
	_, err := hold(gone.pid(), -1)
	if !errors.Is(err, unix.ESRCH) || !strings.Contains(err.Error(), strconv.Itoa(gone.pid())) {
		t.Errorf("an ended process: %v", err)
	}
	if _, err := hold(1<<30, -1); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a PID that no process has: %v", err)
	}
	threads, err := os.ReadDir("/proc/self/task") // a Go process has several threads
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, _ := strconv.Atoi(thread.Name())
		if tid == os.Getpid() {
			continue
		}
		if _, err := hold(tid, -1); err == nil || !strings.Contains(err.Error(), "thread") {
			t.Errorf("a thread: %v", err)
		}
	}
}

// Attach refuses a process without memory, because a watch of it would never report anything.
func TestAttachFindsNoMemory(t *testing.T) {
	c := startChild(t)
	p := mustHold(t, c.pid())
	must(t, p.signal(syscall.SIGKILL))
	awaitEnd(t, p)
	if _, err := Attach(c.pid()); !errors.Is(err, unix.ESRCH) || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("a zombie: %v", err)
	}
	kthreadd, err := hold(2, -1) // kthreadd, the parent of all kernel threads, is PID 2 outside of containers
	if err == nil {
		defer kthreadd.release()
	}
	if err != nil || kthreadd.name != "kthreadd" {
		t.Skip("kernel threads are not visible here")
	}
	if _, err := Attach(2); err == nil || !strings.Contains(err.Error(), "process 2 (kthreadd) has no memory of its own to watch") {
		t.Errorf("a kernel thread: %v", err)
	}
}

// In a new PID namespace with the /proc of the host, a process that attaches to PID 1 of its namespace would sample
// PID 1 of the host.
func TestTheProcOfAnotherNamespace(t *testing.T) {
	testenv.NeedRoot(t) // only root may create a PID namespace
	c := newChild()
	c.ask(t, fmt.Sprintf("attach %d", c.pid()), "<nil>")
	c.kill(t)
	inside := &child{cmd: exec.Command("/proc/self/exe")}
	inside.cmd.Env = []string{childVariable + "=1"}
	inside.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	inside.start()
	defer inside.kill(t)
	got := inside.mustAsk("attach 1")
	if want := fmt.Sprintf("where this process has PID %d instead of 1;", inside.pid()); !strings.Contains(got, want) {
		t.Errorf("Attach returns %q, want %q in it", got, want)
	}
}

func TestAZombieHasEnded(t *testing.T) {
	eachHolder(t, func(t *testing.T, holder func(*testing.T, int) *process) {
		c := startChild(t)
		p := holder(t, c.pid())
		if p.ended() {
			t.Fatal("a running process has ended")
		}
		if err := p.signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		var info unix.Siginfo // wait until the child is a zombie, without reaping it
		if err := unix.Waitid(unix.P_PID, c.pid(), &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			t.Fatal(err)
		}
		if s, ok := p.sample(); ok || !p.ended() {
			t.Errorf("a zombie gives %+v, %t, and has ended: %t", s, ok, p.ended())
		}
		c.kill(t)
		if s, ok := p.sample(); ok || !p.ended() {
			t.Errorf("a reaped process gives %+v, %t, and has ended: %t", s, ok, p.ended())
		}
		if err := p.signal(syscall.SIGTERM); !errors.Is(err, unix.ESRCH) {
			t.Errorf("signalling a reaped process: %v", err)
		}
	})
}

// A process that gets the PID of an ended one must not be taken for it.
func TestAReusedPIDIsSomeoneElse(t *testing.T) {
	eachHolder(t, func(t *testing.T, holder func(*testing.T, int) *process) {
		first := startChild(t)
		p := holder(t, first.pid())
		first.kill(t)
		second := reuse(t, first.pid())
		if !p.ended() {
			t.Error("the first process has not ended")
		}
		if s, ok := p.sample(); ok {
			t.Errorf("the sample has the sizes of the second process: %+v", s)
		}
		if err := p.signal(syscall.SIGKILL); !errors.Is(err, unix.ESRCH) {
			t.Errorf("signal: %v, want ESRCH", err)
		}
		second.ask(t, "ignore SIGHUP", "ok") // the answer shows that it got no signal
	})
}

// reuse starts a child that has the given PID.
func reuse(t *testing.T, pid int) *child {
	t.Helper()
	for range 1000 {
		err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0)
		if err != nil {
			testenv.Lack(t, "%v", err)
		}
		c := newChild()
		t.Cleanup(func() {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		})
		if c.pid() == pid {
			return c
		}
		c.kill(t)
	}
	t.Skip("other processes of this machine got the PID in every attempt")
	return nil
}

// A process that execs another program, such as a wrapper script, is still the target.
func TestTheDescriptorSurvivesExec(t *testing.T) {
	eachHolder(t, func(t *testing.T, holder func(*testing.T, int) *process) {
		c := &child{cmd: exec.Command("/bin/sh", "-c", "read line; echo $line; exec cat")}
		c.start()
		t.Cleanup(func() { c.kill(t) })
		p := holder(t, c.pid())
		before, ok := p.sample()
		if !ok || before.Size == 0 {
			t.Fatalf("before: %+v, %t", before, ok)
		}
		c.ask(t, "first", "first")
		c.ask(t, "second", "second") // the answer comes from cat
		after, ok := p.sample()
		if !ok || after.Size == 0 || p.ended() {
			t.Fatalf("after: %+v, %t", after, ok)
		}
		if s, err := p.stat(); err != nil || s.Name != "cat" {
			t.Errorf("the name after exec is %q, %v", s.Name, err)
		}
	})
}

// A process continues after its first thread has ended, although statm of the process then shows zeros.
func TestTheFirstThreadHasEnded(t *testing.T) {
	testenv.Need(t, "gcc")
	source := `
#include <pthread.h>
#include <stdio.h>
static void *run(void *first) {
	pthread_join(*(pthread_t *)first, 0);
	char c;
	while (scanf(" %c", &c) == 1) { puts("here"); fflush(stdout); }
	return 0;
}
int main(void) {
	static pthread_t first; first = pthread_self();
	pthread_t t;
	pthread_create(&t, 0, run, &first);
	pthread_exit(0);
}`
	program := filepath.Join(t.TempDir(), "headless")
	build := exec.Command("gcc", "-pthread", "-x", "c", "-", "-o", program)
	build.Stdin = strings.NewReader(source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	eachHolder(t, func(t *testing.T, holder func(*testing.T, int) *process) {
		c := &child{cmd: exec.Command(program)}
		c.start()
		t.Cleanup(func() { c.kill(t) })
		c.ask(t, "x", "here") // the answer comes from the other thread, after it has joined the first one
		p := holder(t, c.pid())
		for range 2 {
			if s, ok := p.sample(); !ok || s.Size == 0 || p.ended() {
				t.Errorf("sample %+v, %t; ended %t", s, ok, p.ended())
			}
		}
		_ = c.in.Close()
		_ = c.cmd.Wait()
		if !p.ended() {
			t.Error("it has not ended")
		}
	})
}

// The start time of a child lies between the times before and after its start, to within one tick of /proc.
func TestBorn(t *testing.T) {
	before := sinceBoot()
	p := mustHold(t, startChild(t).pid())
	if p.born < before-proc.Tick || p.born > sinceBoot()+proc.Tick {
		t.Errorf("born at %s, started between %s and now, %s", p.born, before, sinceBoot())
	}
}

// turns returns a target whose every turn takes a sample.
func turns(t testing.TB) *watched {
	t.Helper()
	cfg := testConfig("virtual=9223372036854775807 growth=9223372036854775807")
	e := &engine{cfg: cfg, log: &eventLog{fd: -1}, clock: sinceBoot, probes: noProbes, wake: -1}
	w := e.add(mustHold(t, startChild(t).pid()))
	w.turn(sinceBoot())
	return w
}

// A sample allocates nothing, so a long watch leaves no garbage.
func TestASampleAllocatesNothing(t *testing.T) {
	w := turns(t)
	if n := testing.AllocsPerRun(100, func() { w.turn(w.due) }); n != 0 {
		t.Errorf("a sample allocates %.0f times", n)
	}
}

// BenchmarkSample measures one sample with all decisions about it. It has to take at most 8 µs and to allocate
// nothing.
func BenchmarkSample(b *testing.B) {
	w := turns(b)
	b.ReportAllocs()
	for b.Loop() {
		w.turn(w.due)
	}
}

func BenchmarkFindDescendants(b *testing.B) {
	h := newScope(mustHold(b, startChild(b).pid()), "tree", func(int) bool { return false })
	for b.Loop() {
		if err := h.refresh(); err != nil {
			b.Fatal(err)
		}
	}
}

// A process that systemd itself started does not count as left behind by the target.
func TestProcessOfTheManager(t *testing.T) {
	testenv.Need(t, "sh", "cat")
	for script, want := range map[string]bool{
		"SYSTEMD_EXEC_PID=$$ exec cat": true, "SYSTEMD_EXEC_PID=1 exec cat": false, "exec cat": false,
		`printf '(sd-pam)' >/proc/$$/comm; export SYSTEMD_EXEC_PID=1; echo; read x; read y`: true,
	} {
		cmd := exec.Command("sh", "-c", script)
		stdin, err := cmd.StdinPipe()
		must(t, err)
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		_, err = stdin.Write([]byte("\n"))
		must(t, err)
		_, err = stdout.Read(make([]byte, 1)) // its output shows that the program runs
		must(t, err)
		if got := mustHold(t, cmd.Process.Pid).byManager(); got != want {
			t.Errorf("%s: %t, want %t", script, got, want)
		}
		must(t, stdin.Close())
		_ = cmd.Wait()
	}
}
