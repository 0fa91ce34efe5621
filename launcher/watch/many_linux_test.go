package watch

import (
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sleepers starts n small processes that end with the test.
func sleepers(t *testing.T, n int) (pids []int) {
	t.Helper()
	for range n {
		cmd := exec.Command("sleep", "100000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		must(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		pids = append(pids, cmd.Process.Pid)
	}
	return pids
}

// Among hundreds of targets, two breach their budget and recover, three end, and there is no other event. For every
// second target from the fourth on, the watch opens statm for each sample (see watchIt).
func TestAmongHundreds(t *testing.T) {
	kept, opened := startChild(t), startChild(t)
	pids := append(sleepers(t, 300), kept.pid(), opened.pid())
	settled := make(chan struct{}, 1000)
	s := watchIt(t, testConfig("growth=1073741824"), func(e *engine) {
		e.probes.inspect = func(int) ([]part, error) {
			settled <- struct{}{}
			return nil, nil
		}
	}, pids...)
	for range pids {
		s.want("started")
	}
	for range pids { // the base of growth is the first sample
		s.closed(settled, "a first sample")
	}
	for _, c := range []*child{kept, opened} {
		c.ask(t, "map 2147483648", "ok")
		if e := s.want("breach growth"); e.PID != c.pid() {
			t.Errorf("process %d breached, want %d", e.PID, c.pid())
		}
		c.ask(t, "unmap", "ok")
		if e := s.want("recovered growth"); e.PID != c.pid() {
			t.Errorf("process %d recovered, want %d", e.PID, c.pid())
		}
	}
	for _, pid := range []int{pids[0], pids[123], opened.pid()} {
		must(t, unix.Kill(pid, unix.SIGKILL))
		if e := s.want("exited"); e.PID != pid {
			t.Errorf("process %d ended, want %d", e.PID, pid)
		}
	}
	s.end()
	out := s.wait()
	s.silent()
	breaches := 0
	for i, o := range out {
		breaches += o.Breaches
		if o.PID != pids[i] || o.PeakVirtual == 0 {
			t.Errorf("%+v, want process %d and a peak", o, pids[i])
		}
	}
	if breaches != 2 {
		t.Errorf("%d breaches, want 2", breaches)
	}
}

// Many targets with scope "tree" share one listing of the host's processes per turn, and each finds its own
// descendant.
func TestOneListingForManyTrees(t *testing.T) {
	cfg := testConfig("virtual=9223372036854775807")
	cfg.Budget.Scope = "tree"
	e, err := newEngine(cfg)
	must(t, err)
	defer e.close()
	e.probes, e.log = noProbes, &eventLog{fd: -1}
	listings := 0
	for range 3 {
		c := startChild(t)
		mustFork(t, c, "fork")
		w := e.add(mustHold(t, c.pid()))
		list := w.scope.list
		w.scope.list = func() ([]int, error) {
			if e.listing == nil {
				listings++
			}
			return list()
		}
	}
	for range 2 {
		for _, w := range e.watched {
			w.due, w.next = 0, 0
		}
		e.turns(e.clock())
	}
	if listings != 2 {
		t.Errorf("%d listings in two turns", listings)
	}
	for _, w := range e.watched {
		if len(w.scope.others) != 1 {
			t.Errorf("%d descendants, want 1", len(w.scope.others))
		}
	}
}

// If epoll does not report the end of a target, a failed sample reveals it.
func TestAnEndThatIsNotTold(t *testing.T) {
	c := startChild(t)
	e, err := newEngine(testConfig("virtual=9223372036854775807"))
	must(t, err)
	defer e.close()
	exited := 0
	e.log = &eventLog{fd: 2, write: func(int, []byte) error { exited++; return nil }}
	w := e.add(mustHold(t, c.pid())) // nothing in this test adds the process's pidfd to epoll
	w.turn(w.due)
	must(t, unix.Kill(c.pid(), unix.SIGKILL))
	awaitEnd(t, w.scope.target)
	for range 3 {
		w.turn(w.due)
	}
	if !w.finished || exited != 1 {
		t.Errorf("finished is %t, and %d events exited were reported", w.finished, exited)
	}
}
