package watch

import (
	"testing"
	"time"
)

// settle counts from the start time of an attached process. For the process of a launch it counts from now, however
// old the process is.
func TestSettleOfALaunch(t *testing.T) {
	p := mustHold(t, startChild(t).pid())
	p.born -= time.Hour
	cfg := testConfig("virtual=1")
	cfg.Budget.Settle = 30 * time.Minute
	e, err := newEngine(cfg)
	must(t, err)
	if w := e.add(p); w.state.SettleEnds != p.born+cfg.Budget.Settle {
		t.Errorf("attached: settle ends %s after the process's start", w.state.SettleEnds-p.born)
	}
	if w := e.addLaunched(p); w.state.SettleEnds != w.began+cfg.Budget.Settle || w.scope.since <= p.born {
		t.Errorf("launched: settle ends %s after the start, and children count that are %s younger", w.state.SettleEnds-w.began, w.scope.since-p.born)
	}
}

func TestManyTargets(t *testing.T) {
	a, b := startChild(t), startChild(t)
	s := watchIt(t, testConfig("virtual=9223372036854775807"), func(e *engine) { e.probes = noProbes }, a.pid(), b.pid())
	s.want("started")
	s.want("started")
	_ = a.in.Close()
	if e := s.want("exited"); e.PID != a.pid() {
		t.Errorf("process %d ended, want %d", e.PID, a.pid())
	}
	_ = b.in.Close()
	if e := s.want("exited"); e.PID != b.pid() {
		t.Errorf("process %d ended, want %d", e.PID, b.pid())
	}
	if out := s.wait(); len(out) != 2 || out[0].PID != a.pid() || out[1].PID != b.pid() {
		t.Errorf("%+v", out)
	}
}

func TestTheEndOfTheContextEndsTheWatch(t *testing.T) {
	c := startChild(t)
	cfg := testConfig("virtual=9223372036854775807")
	cfg.Budget.Interval = time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	s.end()
	s.wait()
	c.ask(t, "ignore SIGHUP", "ok")
}
