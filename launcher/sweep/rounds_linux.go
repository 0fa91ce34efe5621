package sweep

// This file runs the rounds of an experiment: chooses the next run, decides when to stop, and estimates the time left.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"arenacap/launcher/sweep/stats"
)

// Progress is the state of the experiment when a run starts: the cap and round of this run, and how many runs are done and
// left.
type Progress struct {
	Cap    string // cap of the run that starts
	Round  int    // number of the round; 0 and below are warm-up rounds
	Done   int    // finished and skipped runs, including those of earlier calls of Measure
	Total  int    // number of runs of the whole experiment; 0 if not known, because Until determines the number of rounds
	Left   time.Duration
	LeftOK bool
	AtMost bool // Left is an upper bound, not an estimate
}

// ErrNotKept ends a measurement in which a cap had no effect.
var ErrNotKept = errors.New("the comparison would be meaningless")

// giveUp is the number of failed runs after which a candidate is not run again, if none of its runs succeeded.
const giveUp = 3

// Measure runs the experiment and returns the prior runs and the new ones. It calls the function "tell" before each
// run, and the function "add" after each run that it keeps; warm-up runs are not kept. When the context ends, Measure
// stops and drops the current run and returns the context's error. It also returns an error if "add" fails, if Ready
// succeeds before the server starts, if no cap works (see hopeless), or, without Force, if a cap has no effect.
//
// Call Measure on a thread that lives as long as arenacap: the kernel kills a program when the thread that started it
// ends (PR_SET_PDEATHSIG).
func (x *Experiment) Measure(ctx context.Context, prior []Run, add func(Run) error, tell func(Progress)) ([]Run, error) {
	reap, release := adopt(x.AtOnce)
	defer release()
	m := &measurement{x: x, runs: prior, add: add, tell: tell, reap: reap, began: time.Now(), done: len(prior)}
	if m.complete() { // no run is missing, so no warm-up is needed
		return m.runs, nil
	}
	err := x.checkNotReady(ctx, strangerTime)
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

// measurement is one call of Measure. The runs of earlier calls, which this call continues, are in the field "runs"
// too.
type measurement struct {
	x     *Experiment
	runs  []Run
	add   func(Run) error
	tell  func(Progress)
	reap  func()
	began time.Time
	made  []Run         // runs of this measurement, including warm-up runs
	done  int           // finished runs, and those that were skipped
	took  time.Duration // total time of the runs in the field "made", including their start and stop
}

// more reports whether another round has to begin.
func (m *measurement) more(round int) bool {
	return !m.late() && (round <= m.x.Rounds || !m.settled())
}

// settled reports whether rounds beyond x.Rounds are unnecessary: the goal x.Until is 0 (not set) or reached, or no candidate
// runs again.
func (m *measurement) settled() bool {
	allGaveUp := !slices.ContainsFunc(m.x.Candidates, func(c Candidate) bool { return !m.gaveUp(c) })
	return m.x.Until == 0 || allGaveUp || m.x.Narrow(m.runs)
}

// Missing returns how many runs of the first x.Rounds rounds are still to be made: those that are not in the parameter
// "runs", except the runs of a candidate that has been given up.
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

// complete reports whether no run remains.
func (m *measurement) complete() bool { return m.x.Missing(m.runs) == 0 && m.settled() }

func (m *measurement) late() bool { return m.x.MaxTime > 0 && time.Since(m.began) >= m.x.MaxTime }

func (m *measurement) round(ctx context.Context, round int) error {
	if err := ctx.Err(); err != nil { // checked here too, because a round in which no run starts does not check it later
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
		if m.late() {
			return nil
		}
		if err := m.runOnce(ctx, c, round); err != nil {
			return err
		}
	}
	return nil
}

// runOnce makes one run and, unless it is a warm-up, keeps it.
func (m *measurement) runOnce(ctx context.Context, c Candidate, round int) error {
	m.tell(m.progress(c.Name, round))
	begin := time.Now()
	r := m.x.once(ctx, c)
	m.reap()
	if err := ctx.Err(); err != nil {
		return err
	}
	r.Round = round
	m.took += time.Since(begin)
	m.done++
	if r.NotKept != "" && !m.x.Force {
		return fmt.Errorf("cap %s: %s, so %w", c.Name, r.NotKept, ErrNotKept)
	}
	m.made = append(m.made, r)
	if round < 1 {
		return nil
	}
	m.runs = append(m.runs, r)
	return m.add(r)
}

func (m *measurement) has(cap string, round int) bool {
	return slices.ContainsFunc(m.runs, Run{Cap: cap, Round: round}.same)
}

// gaveUp reports whether a candidate is not run again (see giveUp).
func (m *measurement) gaveUp(c Candidate) bool {
	good, failed := c.Good(m.runs)
	return len(good) == 0 && failed >= giveUp
}

// hopeless is called after the first round of this call. It returns an error if no cap works: its run in that round failed,
// or, if that round did not run it, all of its earlier runs failed and there is at least one.
func (m *measurement) hopeless() error {
	if len(m.made) == 0 {
		return nil
	}
	for _, c := range m.x.Candidates {
		runs := m.made
		if !slices.ContainsFunc(runs, func(r Run) bool { return r.Cap == c.Name }) {
			runs = m.runs
		}
		if good, failed := c.Good(runs); len(good) > 0 || failed == 0 {
			return nil
		}
	}
	first := m.made[0]
	text := fmt.Sprintf("the first run failed under every cap; under cap %q: %s", first.Cap, first.Error)
	if first.Tail != "" {
		text += "\n" + first.Tail
	}
	return errors.New(text)
}

// progress describes the next run. It estimates the time left from the mean time of the runs so far; with Until, the
// time left is at most the rest of MaxTime.
func (m *measurement) progress(cap string, round int) Progress {
	x := m.x
	p := Progress{Cap: cap, Round: round, Done: m.done}
	if x.Until > 0 {
		p.Left, p.LeftOK, p.AtMost = max(0, x.MaxTime-time.Since(m.began)), x.MaxTime > 0, true
		return p
	}
	p.Total = (x.Warmup + x.Rounds) * len(x.Candidates)
	if n := len(m.made); n > 0 {
		p.Left, p.LeftOK = time.Duration(p.Total-p.Done)*(m.took/time.Duration(n)), true
	}
	if x.MaxTime > 0 {
		p.Left = max(0, min(p.Left, x.MaxTime-time.Since(m.began)))
	}
	return p
}

// order is the random order of the candidates in one round.
func order(seed uint64, round, candidates int) []int {
	return rand.New(rand.NewPCG(seed, uint64(round))).Perm(candidates)
}

// Narrow reports whether the intervals of all candidates that have successful runs are as narrow as Until requires. It
// is false if no run succeeded.
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
