package service

// The tests in this file look for services among many real processes, among many that start and end, and with many
// services in the policy. They count the read calls.

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
	"arenacap/policy"
)

// forest starts n processes that are called prefix0, prefix1 and so on (launcher/inspect/testdata/forest.c).
func forest(t *testing.T, n int, prefix string) (end func()) {
	t.Helper()
	testenv.Need(t, "gcc")
	program := t.TempDir() + "/forest"
	if text, err := exec.Command("gcc", "-pthread", "-o", program, "../inspect/testdata/forest.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, text)
	}
	cmd := exec.Command(program, strconv.Itoa(n), "1", "0", prefix)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil || err1 != nil || err2 != nil {
		t.Fatal(err, err1, err2)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ok\n" {
		t.Fatalf("the forest says %q, %v", line, err)
	}
	end = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	t.Cleanup(end)
	return end
}

// restless starts and ends processes, about 1,000 a second, until the test ends.
func restless(t *testing.T) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "while :; do (:); done")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// looker looks at this host with the rules of ten services, and counts what it reads.
type looker struct {
	t      *testing.T
	finder *Finder
	now    time.Duration
}

func newLooker(t *testing.T, prefix string) *looker {
	t.Helper()
	runtime.LockOSThread() // /proc/thread-self/io counts the read calls of one thread
	t.Cleanup(runtime.UnlockOSThread)
	var matches []policy.Match
	for i := range 10 {
		matches = append(matches, policy.Match{Name: prefix + strconv.Itoa(i)})
	}
	finder := NewFinder(proc.Here, mustRules(t, proc.Here, servicesOf(matches...)))
	if finder.blind {
		testenv.Lack(t, "/proc/loadavg is not the kernel's")
	}
	const century = 100 * 365 * 24 * time.Hour // since boot, so every process is so old that Look reads it only about once a minute (see mostPause)
	return &looker{t: t, finder: finder, now: century}
}

// look advances the time by a millisecond, calls Look and returns the number of members. It fails the test if Look
// made more than a few read calls for each PID that the kernel assigned since the call before the previous one.
func (l *looker) look() int {
	l.t.Helper()
	since, before := l.finder.since, l.reads()
	l.now += time.Millisecond
	members, err := l.finder.Look(l.now, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	const most = 8 // read calls for a new process: two each for status, stat and the command line, and two because the next call of Look reads some of these files again
	if assigned := l.finder.last - since; since > 0 && assigned >= 0 {
		if reads := l.reads() - before; reads > 20+most*assigned {
			l.t.Errorf("%d reads for %d new PIDs", reads, assigned)
		}
	}
	return len(members)
}

// reads is the number of read(2) calls of this thread: "syscr: 10" (proc_pid_io(5)).
func (l *looker) reads() (n int) {
	text, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		testenv.Lack(l.t, "the kernel does not count reads: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "syscr: ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

// prefixOf returns a prefix for the names of processes that only this test has. A process name has at most 15 bytes
// (comm, proc(5)); the prefix and the number after it have at most 14.
func prefixOf(kind string) string { return fmt.Sprintf("%s%d-", kind, os.Getpid()) }

// Once Look has read all processes of a host, its next calls make only a few read calls for each new process, however
// many processes there are.
func TestManyNeighbours(t *testing.T) {
	n, prefix := 300, prefixOf("m")
	if testenv.Full() {
		n = 20_000
	}
	end := forest(t, n, prefix)
	l := newLooker(t, prefix)
	for i := range 10 {
		if got := l.look(); got != 10 {
			t.Fatalf("look %d: %d members, want 10", i, got)
		}
	}
	end()
	if got := l.look(); got != 0 {
		t.Errorf("%d members after their end", got)
	}
}

// While another program starts and ends processes all the time, the service is found, and the Finder does not keep
// ended processes.
func TestRestlessNeighbour(t *testing.T) {
	most, prefix := 300, prefixOf("r")
	if testenv.Full() {
		most = 10_000
	}
	l := newLooker(t, prefix)
	l.look()
	restless(t)
	for first := l.finder.last; l.finder.last >= first && l.finder.last < first+most; time.Sleep(time.Millisecond) {
		if got := l.look(); got != 0 {
			t.Fatalf("%d members, want none", got)
		}
	}
	end := forest(t, 10, prefix)
	if got := l.look(); got != 10 {
		t.Errorf("%d members, want 10", got)
	}
	end()
	if got := l.look(); got != 0 {
		t.Errorf("%d members after their end", got)
	}
	l.remembersOnlyRunning()
}

// remembersOnlyRunning fails the test unless the Finder, after it has read every process again, remembers about as
// many processes as run. It tries several times, because other tests may end many processes at once.
func (l *looker) remembersOnlyRunning() {
	l.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		l.now += 2 * mostPause
		if _, err := l.finder.Look(l.now, nil); err != nil {
			l.t.Fatal(err)
		}
		pids, err := proc.Here.Numbers("/proc")
		known := len(l.finder.seen)
		if err == nil && known <= len(pids)+50 {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%d processes are remembered, and %d run, %v", known, len(pids), err)
		}
	}
}

// With thousands of services in the policy each process is assigned to its own service, and /etc/passwd is read once.
func TestThousandsOfServices(t *testing.T) {
	f := newFake(t)
	f.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	var matches []policy.Match
	for i := range 5000 {
		matches = append(matches, policy.Match{Name: "s" + strconv.Itoa(i), User: "root"})
	}
	var want string
	for i, service := range []int{0, 1234, 4999} {
		f.process(20+i, fakeProcess{name: "s" + strconv.Itoa(service)})
		want += fmt.Sprintf("%d:%d ", 20+i, service)
	}
	f.process(30, fakeProcess{name: "s5000"})
	l := &looker{t: t}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := l.reads()
	finder := f.finder(matches...)
	if got := look(t, finder, time.Minute); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if reads := l.reads() - before; reads > 50 {
		t.Errorf("%d reads for four processes", reads)
	}
}
