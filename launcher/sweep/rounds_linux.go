package sweep

// The rounds of an experiment: which run is next, when it is over, and how long that will take.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"arenacap/launcher/sweep/stats"
)

// Progress is what is about to run.
type Progress struct {
	Cap    string
	Round  int // 0 and below are rounds that do not count
	Done   int // runs of this call and earlier ones
	Total  int // 0 is not known: until the intervals are narrow
	Left   time.Duration
	LeftOK bool
	AtMost bool // Left is a bound, not an estimate
}

// ErrNotKept ends a measurement in which a cap did not count.
var ErrNotKept = errors.New("the sweep would compare what is the same")

// giveUp is how many first runs of a candidate must fail before it is not run any more.
const giveUp = 3

// Measure runs the experiment and gives its runs, those that it was given included. Each run is handed to add as soon as
// it ended, and tell hears of each one before it starts. When the context ends, the run that is under way is stopped and
// dropped, and the error is the context's. Other errors: of add, when Ready succeeds before a server was started, when
// the first run of every candidate failed, and without Force when a cap did not count.
//
// It must be called from one thread that lives as long as the process: programs are killed when the thread that
// started them ends (PR_SET_PDEATHSIG).
func (x *Experiment) Measure(ctx context.Context, prior []Run, add func(Run) error, tell func(Progress)) ([]Run, error) {
	reap, release := adopt(x.AtOnce)
	defer release()
	m := &measurement{x: x, runs: prior, add: add, tell: tell, reap: reap, began: time.Now(), done: len(prior)}
	if m.complete() { // nothing to warm up for
		return m.runs, nil
	}
	err := x.alone(ctx, strangerTime)
	if reap(); err != nil {
		return m.runs, err
	}
	for round := 1 - x.Warmup; m.more(round); round++ {
		err := m.round(ctx, round)
		if err == nil && round == 1-x.Warmup {
			err = m.hopeless()
		}
		if err != nil {
			return m.runs, err
		}
	}
	return m.runs, nil
}

// measurement is an experiment that is under way.
type measurement struct {
	x      *Experiment
	runs   []Run
	add    func(Run) error
	tell   func(Progress)
	reap   func()
	began  time.Time
	worked bool          // a run of this call did well
	failed *Run          // the first of this call that did not
	done   int           // runs, and those that were left out
	took   time.Duration // by the runs of this call, with start and stop
	timed  int           // how many they are
}

// more reports whether another round is to be begun.
func (m *measurement) more(round int) bool {
	return round <= 1 || !m.late() && (round <= m.x.Rounds || !m.settled())
}

// settled reports whether more rounds than were asked for can tell nothing new.
func (m *measurement) settled() bool {
	allGaveUp := !slices.ContainsFunc(m.x.Candidates, func(c Candidate) bool { return !m.gaveUp(c) })
	return m.x.Until == 0 || allGaveUp || m.x.Narrow(m.runs)
}

// Missing is the number of runs that are still to be made where some are there.
func (x *Experiment) Missing(runs []Run) (n int) {
	m := measurement{x: x, runs: runs}
	for _, c := range x.Candidates {
		for round := 1; round <= x.Rounds && !m.gaveUp(c); round++ {
			if !m.has(c.Name, round) {
				n++
			}
		}
	}
	return n
}

// complete reports whether the runs that were there already are all that was asked for.
func (m *measurement) complete() bool { return m.x.Missing(m.runs) == 0 && m.settled() }

func (m *measurement) late() bool { return m.x.MaxTime > 0 && time.Since(m.began) >= m.x.MaxTime }

func (m *measurement) round(ctx context.Context, round int) error {
	if err := ctx.Err(); err != nil { // there may be nothing to run, and so nobody else who looks
		return err
	}
	for _, i := range order(m.x.Seed, round, len(m.x.Candidates)) {
		c := m.x.Candidates[i]
		if m.has(c.Name, round) {
			continue
		}
		if m.gaveUp(c) {
			m.done++
			continue
		}
		if round > 0 && m.late() {
			return nil
		}
		if err := m.one(ctx, c, round); err != nil {
			return err
		}
	}
	return nil
}

// one makes one run and keeps it, unless it does not count.
func (m *measurement) one(ctx context.Context, c Candidate, round int) error {
	m.tell(m.progress(c.Name, round))
	begin := time.Now()
	r := m.x.once(ctx, c)
	m.reap()
	if err := ctx.Err(); err != nil {
		return err
	}
	r.Round = round
	m.took += time.Since(begin)
	m.timed++
	m.done++
	if r.NotKept != "" && !m.x.Force {
		return fmt.Errorf("cap %s: %s, so %w", c.Name, r.NotKept, ErrNotKept)
	}
	if r.Error == "" {
		m.worked = true
	} else if m.failed == nil {
		m.failed = &r
	}
	if round < 1 {
		return nil
	}
	m.runs = append(m.runs, r)
	return m.add(r)
}

func (m *measurement) has(cap string, round int) bool {
	return slices.ContainsFunc(m.runs, Run{Cap: cap, Round: round}.same)
}

// gaveUp reports whether a candidate failed so often from its first run on that it is not tried again.
func (m *measurement) gaveUp(c Candidate) bool {
	good, failed := c.Good(m.runs)
	return len(good) == 0 && failed >= giveUp
}

// hopeless is the error when no run of this call did well.
func (m *measurement) hopeless() error {
	switch {
	case m.failed == nil || m.worked:
		return nil
	case m.failed.Tail == "":
		return fmt.Errorf("the first run failed under every cap; under %q: %s", m.failed.Cap, m.failed.Error)
	}
	return fmt.Errorf("the first run failed under every cap; under %q: %s\n%s", m.failed.Cap, m.failed.Error, m.failed.Tail)
}

// progress tells what comes next and how long the rest takes by what runs took so far.
func (m *measurement) progress(cap string, round int) Progress {
	x := m.x
	p := Progress{Cap: cap, Round: round, Done: m.done}
	if x.Until > 0 {
		p.Left, p.LeftOK, p.AtMost = max(0, x.MaxTime-time.Since(m.began)), x.MaxTime > 0, true
		return p
	}
	p.Total = (x.Warmup + x.Rounds) * len(x.Candidates)
	if p.LeftOK = m.timed > 0; p.LeftOK {
		p.Left = time.Duration(p.Total-p.Done) * (m.took / time.Duration(m.timed))
	}
	if x.MaxTime > 0 {
		p.Left = max(0, min(p.Left, x.MaxTime-time.Since(m.began)))
	}
	return p
}

// order is the order of the candidates in one round.
func order(seed uint64, round, candidates int) []int {
	return rand.New(rand.NewPCG(seed, uint64(round))).Perm(candidates)
}

// Narrow reports whether the interval of each candidate that has any runs is as narrow as Until asks for.
func (x *Experiment) Narrow(runs []Run) bool {
	any := false
	for _, c := range x.Candidates {
		good, _ := c.Good(runs)
		for _, m := range x.Metrics {
			if len(good) > 0 && stats.Of(m.Values(good)).Width() > x.Until {
				return false
			}
		}
		any = any || len(good) > 0
	}
	return any
}
