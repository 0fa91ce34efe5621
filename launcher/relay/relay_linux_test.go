package relay

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { goruntime.LockOSThread() }

// TestMain: as a child this binary catches all signals and prints each until signal 64, which the kernel delivers last
// of the pending ones.
func TestMain(m *testing.M) {
	if os.Getenv("RELAY_CHILD") == "" {
		os.Exit(m.Run())
	}
	r, err := Open()
	if err != nil {
		panic(err)
	}
	println("ready")
	if os.Getenv("RELAY_CHILD") == "busy" {
		go func() {
			for n := 0; ; n++ { // a loop without calls, so that the runtime can stop it only by a signal
			}
		}()
		goruntime.GC() // returns only if the runtime preempts the goroutine that loops
		println("preempted")
	}
	for {
		s := next(r)
		println(int(s.Number), s.Code, s.PID)
		if s.Number == lastSignal {
			os.Exit(0)
		}
	}
}

// next waits for a signal. It ends the child when its parent has failed and closed the pipe: a child that catches all
// signals would otherwise end only by KILL, and each write to the broken pipe would raise another PIPE.
func next(r *Relay) Signal {
	fds := []unix.PollFd{{Fd: int32(r.FD()), Events: unix.POLLIN}, {Fd: 2}}
	for {
		if _, _ = unix.Poll(fds, -1); fds[1].Revents != 0 {
			os.Exit(1)
		}
		if s, ok := r.Take(); ok {
			return s
		}
	}
}

// child is a process that catches all signals.
type child struct {
	pid int
	out *bufio.Scanner // its output
}

func startChild(t *testing.T, mode string) child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RELAY_CHILD="+mode)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	})
	c := child{cmd.Process.Pid, bufio.NewScanner(out)}
	if got := c.next(); got != "ready" {
		t.Fatalf("the child printed %q, want ready", got)
	}
	return c
}

// next returns the child's next line; "" at the end.
func (c child) next() string {
	c.out.Scan()
	return c.out.Text()
}

// rest sends the last signal and returns the child's remaining lines. The line for the last signal is among them.
func (c child) rest(t *testing.T) (lines []string) {
	t.Helper()
	if err := unix.Kill(c.pid, lastSignal); err != nil {
		t.Fatal(err)
	}
	for c.out.Scan() {
		lines = append(lines, c.out.Text())
	}
	return lines
}

func TestEverySignalArrivesWithItsSender(t *testing.T) {
	c := startChild(t, "idle")
	for n := unix.Signal(1); n < lastSignal; n++ {
		if !caught(n) {
			continue
		}
		if err := unix.Kill(c.pid, n); err != nil {
			t.Fatal(err)
		}
		if got, want := c.next(), sprint(int(n), 0, os.Getpid()); got != want {
			t.Errorf("signal %d arrived as %q, want %q", n, got, want)
		}
	}
	c.rest(t)
}

// TestPreemptionIsTheRuntimes: an URG that the child's own runtime sends goes to that runtime only. An URG from another
// process is caught.
func TestPreemptionIsTheRuntimes(t *testing.T) {
	c := startChild(t, "busy")
	if got := c.next(); got != "preempted" {
		t.Fatalf("the child printed %q, want preempted", got)
	}
	if err := unix.Kill(c.pid, unix.SIGURG); err != nil {
		t.Fatal(err)
	}
	if got, want := c.next(), sprint(int(unix.SIGURG), 0, os.Getpid()); got != want {
		t.Errorf("URG arrived as %q, want %q", got, want)
	}
	if got, want := c.rest(t), sprint(lastSignal, 0, os.Getpid()); !slices.Equal(got, []string{want}) {
		t.Errorf("after URG came %q, want %q", got, want)
	}
}

func TestQueuedRealTimeSignalsAllArrive(t *testing.T) {
	c := startChild(t, "idle")
	var want []string
	for i := range 200 {
		n := 40 + i%20
		if err := unix.Kill(c.pid, unix.Signal(n)); err != nil {
			t.Fatal(err)
		}
		want = append(want, sprint(n, 0, os.Getpid()))
	}
	got := c.rest(t)
	// Signals that are pending at the same time arrive in the order of their numbers, not in the order of sending.
	slices.Sort(got)
	slices.Sort(want)
	if want = append(want, sprint(lastSignal, 0, os.Getpid())); !slices.Equal(got, want) {
		t.Errorf("%d of %d arrived:\n%q", len(got), len(want), got)
	}
}

func TestQueuedValueIsSentOn(t *testing.T) {
	c := startChild(t, "idle")
	s := Signal{Number: 40, Code: siQueue}
	binary.NativeEndian.PutUint32(s.info[0:], 40)
	binary.NativeEndian.PutUint32(s.info[8:], ^uint32(0)) // SI_QUEUE
	binary.NativeEndian.PutUint32(s.info[senderOffset:], 4242)
	if err := s.Send(c.pid); err != nil {
		t.Fatal(err)
	}
	if got, want := c.next(), sprint(40, siQueue, 4242); got != want {
		t.Errorf("arrived as %q, want %q", got, want)
	}
	c.rest(t)
}

func sprint(number, code, pid int) string { return fmt.Sprintf("%d %d %d", number, code, pid) }
