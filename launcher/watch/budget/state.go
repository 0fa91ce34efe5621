// Package budget decides which samples of a process make a warning, a breach or a recovery. It does no I/O: metric.go
// computes the value of each metric from the sizes of a sample, and state.go has the state of each limit.
package budget

import (
	"slices"
	"time"

	"arenacap/policy"
)

// The kinds of a Change, which are names of events too.
const (
	Warning   = "warning"
	Breach    = "breach"
	Recovered = "recovered"
)

// Change is a state change of one limit.
type Change struct {
	Kind      string // Warning, Breach or Recovered
	Metric    string
	Value     uint64
	Limit     uint64
	Votes, Of int    // Votes of the last Of samples called for the change; Of is less than the policy's until so many were taken
	Ended     string // for Recovered: what has ended, Warning or Breach
}

// RecoverPercent: a breach ends when the value is under this percentage of the limit, a warning when the value is under
// this percentage of the warning level.
const RecoverPercent = 95

// State is the state of one target's budget: times and samples in, changes out.
type State struct {
	SettleEnds time.Duration // time at which the settle time ends, on the same clock as the times passed to Observe
	Settled    bool
	Base       uint64 // VmSize at the end of the settle time, the zero point of growth
	Meters     []Meter
}

// Meter is one limit. A warning needs as many samples as a breach, so that a short spike causes neither.
type Meter struct {
	Limit           policy.Limit
	warning, breach trigger
}

// Warned reports whether a warning has not ended.
func (m *Meter) Warned() bool { return m.warning.on }

// Breached reports whether a breach has not ended.
func (m *Meter) Breached() bool { return m.breach.on }

// New returns the state of a budget that has seen no sample.
func New(limits []policy.Limit, b policy.Budget, settleEnds time.Duration) *State {
	s := &State{SettleEnds: settleEnds}
	for _, l := range limits {
		level := percentOf(l.Bytes, b.WarnAt)
		s.Meters = append(s.Meters, Meter{
			Limit:   l,
			warning: newTrigger(max(level, 1)-1, percentOf(level, RecoverPercent), b.Breach),
			breach:  newTrigger(l.Bytes, percentOf(l.Bytes, RecoverPercent), b.Breach),
		})
	}
	return s
}

// percentOf is n percent of bytes, rounded up, without overflow.
func percentOf(bytes uint64, n int) uint64 {
	return bytes/100*uint64(n) + (bytes%100*uint64(n)+99)/100
}

// Observe takes one sample; it ignores samples before the end of the settle time. It declares a breach only if a second
// reading is over the limit too, so that no breach rests on a single sample. The parameter "again" is a function that takes the
// second reading at once.
func (s *State) Observe(now time.Duration, r Reading, again func() (Reading, bool)) []Change {
	if now < s.SettleEnds {
		return nil
	}
	if !s.Settled {
		s.Settled, s.Base = true, r.Virtual
	}
	confirm := s.confirmation(again)
	var changes []Change
	for i := range s.Meters {
		m := &s.Meters[i]
		if v, ok := r.Value(m.Limit.Metric, s.Base); ok {
			changes = m.step(changes, v, confirm)
		}
	}
	return changes
}

// Running lists the metrics with an active warning and those with an active breach.
func (s *State) Running() Running {
	r := Running{Warnings: []string{}, Breaches: []string{}} // never null in JSON
	for _, m := range s.Meters {
		if m.warning.on {
			r.Warnings = append(r.Warnings, m.Limit.Metric)
		}
		if m.breach.on {
			r.Breaches = append(r.Breaches, m.Limit.Metric)
		}
	}
	return r
}

// Running lists a target's active warnings and breaches, by metric.
type Running struct {
	Warnings []string `json:"warnings"`
	Breaches []string `json:"breaches"`
}

// Resume restores a state that was saved earlier.
func (s *State) Resume(settled bool, base uint64, r Running) {
	s.Settled, s.Base = settled, base
	for i := range s.Meters {
		m := &s.Meters[i]
		m.warning.on = slices.Contains(r.Warnings, m.Limit.Metric)
		m.breach.on = slices.Contains(r.Breaches, m.Limit.Metric)
	}
}

// confirmation returns a function that gives a metric's value from a second reading. All limits share this reading, so the
// parameter "again" is called at most once.
func (s *State) confirmation(again func() (Reading, bool)) func(metric string) (uint64, bool) {
	var second Reading
	var asked, ok bool
	return func(metric string) (uint64, bool) {
		if !asked {
			asked = true
			second, ok = again()
		}
		if !ok {
			return 0, false
		}
		return second.Value(metric, s.Base)
	}
}

// step feeds a value to one limit. During a breach it reports no warning. The end of a breach ends the warning too; a value
// that stays over the warning level then starts a new one.
func (m *Meter) step(changes []Change, v uint64, confirm func(string) (uint64, bool)) []Change {
	turned := m.warning.observe(v)
	warning := m.change(&m.warning, v) // before the flip, which clears the votes
	if turned {
		m.warning.flip()
	}
	if m.breach.observe(v) {
		c := m.change(&m.breach, v)
		c.Kind, c.Ended = Recovered, Breach
		if m.breach.on {
			m.breach.flip()
			if m.warning.on {
				m.warning.flip()
			}
			return append(changes, c)
		}
		if second, ok := confirm(m.Limit.Metric); ok && second > m.Limit.Bytes {
			c.Kind, c.Value, c.Ended = Breach, second, ""
			m.breach.flip()
			return append(changes, c)
		}
		m.breach.withdraw()
	}
	if !turned || m.breach.on {
		return changes
	}
	warning.Kind = Warning
	if !m.warning.on {
		warning.Kind, warning.Ended = Recovered, Warning
	}
	return append(changes, warning)
}

// change returns a change with the value v and the trigger's votes; the caller sets its kind.
func (m *Meter) change(t *trigger, v uint64) Change {
	return Change{Metric: m.Limit.Metric, Value: v, Limit: m.Limit.Bytes, Votes: t.votes(), Of: len(t.ring)}
}

// Lapse ends the breach of a metric whose action was not needed, so that the next n of m samples over the limit start a new
// one. Otherwise a value between 95 % (RecoverPercent) and 100 % of the limit would keep the breach active and prevent
// every later action.
func (s *State) Lapse(metric string) {
	for i := range s.Meters {
		if m := &s.Meters[i]; m.Limit.Metric == metric && m.breach.on {
			m.breach.flip()
		}
	}
}

// Over reports whether a metric is over its limit in this reading.
func (s *State) Over(c Change, r Reading) (v uint64, over bool) {
	v, ok := r.Value(c.Metric, s.Base)
	return v, ok && v > c.Limit
}

// trigger turns on when n of the last samples are above the value of the field "rise", and off when n of the last
// samples are below the value of the field "fall". The field "of" is the number of last samples that count. While the
// trigger is off, each sample above "rise" is a vote; while it is on, each sample below "fall" is a vote. Each change
// clears the votes, so that a sample counts for one change only.
type trigger struct {
	rise, fall uint64
	n, of      int
	on         bool
	ring       []bool // the votes of the last samples, at most as many as the field "of"
	next       int    // index of the oldest vote once the ring is full
}

func newTrigger(rise, fall uint64, w policy.Window) trigger {
	return trigger{rise: rise, fall: fall, n: w.N, of: w.Of, ring: make([]bool, 0, w.Of)}
}

// observe takes one value and reports whether there are enough votes for a change.
func (t *trigger) observe(v uint64) bool {
	vote := v > t.rise
	if t.on {
		vote = v < t.fall
	}
	if len(t.ring) < t.of {
		t.ring = append(t.ring, vote)
	} else {
		t.ring[t.next] = vote
		t.next = (t.next + 1) % t.of
	}
	return t.votes() >= t.n
}

func (t *trigger) votes() (n int) {
	for _, vote := range t.ring {
		if vote {
			n++
		}
	}
	return n
}

// flip changes the state and clears the votes.
func (t *trigger) flip() { t.on, t.ring, t.next = !t.on, t.ring[:0], 0 }

// withdraw takes the vote of the latest sample back.
func (t *trigger) withdraw() {
	last := len(t.ring) - 1
	if len(t.ring) == t.of {
		last = (t.next + t.of - 1) % t.of
	}
	t.ring[last] = false
}
