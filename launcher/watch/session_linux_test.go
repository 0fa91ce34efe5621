package watch

// A session is an engine that watches real processes. The test reads its events.

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"arenacap/launcher/arena"
	"arenacap/launcher/testenv"
	"arenacap/policy"
)

var noProbes = probes{
	count:   func(int) (arena.Census, error) { return arena.Census{}, errors.ErrUnsupported },
	inspect: func(int) ([]part, error) { return nil, errors.ErrUnsupported },
}

func testConfig(limits string) Config {
	c := Config{Service: "authserver", Budget: policy.Builtin().Budget, Log: policy.Log{Format: "json", To: "stderr"}}
	c.Budget.Interval, c.Budget.Settle = 2*time.Millisecond, 0
	c.Limits = testenv.Limits(limits)
	return c
}

// told is an event, decoded from its JSON line.
type told struct {
	Time                                   time.Time
	Event, Metric, Action, Signal, Message string
	Value                                  uint64 `json:"value_bytes"`
	Limit                                  uint64 `json:"limit_bytes"`
	PID                                    int
	Failed                                 bool
	Processes                              int
	Arenas                                 *int
	Remaining                              int `json:"processes_remaining"`
	Attribution                            *attribution
	Other                                  int `json:"other_pid"`
}

func (e told) String() string {
	s := e.Event
	for _, word := range []string{e.Metric, e.Action, e.Signal} {
		if word != "" && e.Event != eventStarted {
			s += " " + word
		}
	}
	if e.Failed {
		s += " failed"
	}
	return s
}

// session is a running engine that passes its events to the test.
type session struct {
	t       *testing.T
	e       *engine
	events  chan told
	settled chan struct{} // closed when the first sample was taken
	done    chan struct{}
	end     context.CancelFunc
	out     []Outcome
}

// watchIt runs an engine over children. Its events are JSON lines that the test reads.
func watchIt(t *testing.T, cfg Config, adjust func(*engine), pids ...int) *session {
	t.Helper()
	e, err := newEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &session{t: t, e: e, events: make(chan told, 1000), settled: make(chan struct{}), done: make(chan struct{}), end: cancel}
	e.probes = noProbes
	first := true
	e.probes.inspect = func(int) ([]part, error) {
		if first {
			first = false
			close(s.settled)
		}
		return []part{{Kind: "arenas", Count: 3, Virtual: 128 << 20}}, nil
	}
	if e.log.path == "" {
		e.log = &eventLog{fd: 2, write: s.hear}
	}
	if adjust != nil {
		adjust(e)
	}
	targets, failed := AttachAll(pids)
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	for i := 3; i < len(targets); i += 2 { // the watch opens these targets for each sample, as if it had too few descriptors
		targets[i].process.openEachTime()
	}
	go func() {
		defer close(s.done)
		defer e.close()
		s.out, _ = e.run(ctx, targets)
	}()
	t.Cleanup(func() {
		cancel()
		s.wait()
	})
	return s
}

func (s *session) hear(_ int, line []byte) error {
	var e told
	if err := json.Unmarshal(line, &e); err != nil {
		s.t.Errorf("%q: %v", line, err)
	}
	if e.Event != eventGap { // gaps occur on a busy machine
		s.events <- e
	}
	return nil
}

// want waits for the next event.
func (s *session) want(text string) told {
	s.t.Helper()
	select {
	case e := <-s.events:
		if e.String() != text {
			s.t.Fatalf("the event is %q (%s), want %q", e, e.Message, text)
		}
		return e
	case <-time.After(patience):
		s.t.Fatalf("no event %q came", text)
	}
	return told{}
}

// ready waits for the end of the settle time, when the base of growth is read.
func (s *session) ready() {
	s.t.Helper()
	s.want("started")
	s.closed(s.settled, "the first sample")
}

func (s *session) wait() []Outcome {
	s.t.Helper()
	s.closed(s.done, "the end of the watch")
	return s.out
}

func (s *session) closed(c chan struct{}, what string) {
	s.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		s.t.Fatalf("%s did not come", what)
	}
}

const MiB = 1 << 20

func (s *session) next() told {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(patience):
		s.t.Fatal("no event came")
	}
	return told{}
}

// silent waits for more samples than a breach takes, and fails the test if an event comes.
func (s *session) silent() {
	s.t.Helper()
	select {
	case e := <-s.events:
		s.t.Fatalf("an event %q came", e)
	case <-time.After(20 * s.e.cfg.Budget.Interval):
	}
}
