package watch

// This file has the state of a budget, which decides which samples make a warning, a breach or a recovery. It does no
// I/O.

import (
	"slices"
	"time"

	"arenacap/launcher/watch/statefile"
	"arenacap/policy"
)

// change is a state change of one limit.
type change struct {
	kind      string // eventWarning, eventBreach or eventRecovered
	metric    string
	value     uint64
	limit     uint64
	votes, of int    // how many of the last "of" samples were votes for the change
	ended     string // what eventRecovered ends: eventWarning or eventBreach
}

// recoverPercent: a breach ends when the value is under this percentage of the limit.
const recoverPercent = 95

// state is the state of one target's budget: times and samples in, changes out.
type state struct {
	settleEnds time.Duration // time at which settle ends, on the same clock as the times passed to observe
	settled    bool
	base       uint64 // VmSize at the end of settle, the zero point of growth
	meters     []meter
}

// meter is one limit. A warning needs as many samples as a breach, so that a short spike causes neither.
type meter struct {
	limit           policy.Limit
	warning, breach trigger
}

func newState(limits []policy.Limit, b policy.Budget, settleEnds time.Duration) *state {
	s := &state{settleEnds: settleEnds}
	for _, l := range limits {
		level := percentOf(l.Bytes, b.WarnAt)
		s.meters = append(s.meters, meter{
			limit:   l,
			warning: newTrigger(max(level, 1)-1, percentOf(level, recoverPercent), b.Breach),
			breach:  newTrigger(l.Bytes, percentOf(l.Bytes, recoverPercent), b.Breach),
		})
	}
	return s
}

// percentOf is n percent of bytes, rounded up, without overflow.
func percentOf(bytes uint64, n int) uint64 {
	return bytes/100*uint64(n) + (bytes%100*uint64(n)+99)/100
}

// observe takes one sample; it ignores samples before the end of settle. It declares a breach only if a second reading,
// which again takes at once, is over the limit too, so that no breach rests on a single sample.
func (s *state) observe(now time.Duration, r Reading, again func() (Reading, bool)) []change {
	if now < s.settleEnds {
		return nil
	}
	if !s.settled {
		s.settled, s.base = true, r.virtual
	}
	confirm := s.confirmation(again)
	var changes []change
	for i := range s.meters {
		m := &s.meters[i]
		if v, ok := r.Value(m.limit.Metric, s.base); ok {
			changes = m.step(changes, v, confirm)
		}
	}
	return changes
}

// running lists the metrics with an active warning and those with an active breach.
func (s *state) running() statefile.Running {
	r := statefile.Running{Warnings: []string{}, Breaches: []string{}} // never null in JSON
	for _, m := range s.meters {
		if m.warning.on {
			r.Warnings = append(r.Warnings, m.limit.Metric)
		}
		if m.breach.on {
			r.Breaches = append(r.Breaches, m.limit.Metric)
		}
	}
	return r
}

// resume restores a state that was saved earlier.
func (s *state) resume(settled bool, base uint64, r statefile.Running) {
	s.settled, s.base = settled, base
	for i := range s.meters {
		m := &s.meters[i]
		m.warning.on = slices.Contains(r.Warnings, m.limit.Metric)
		m.breach.on = slices.Contains(r.Breaches, m.limit.Metric)
	}
}

// confirmation returns a function that gives a metric's value from a second reading. All limits share this reading: again is
// called at most once.
func (s *state) confirmation(again func() (Reading, bool)) func(metric string) (uint64, bool) {
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
		return second.Value(metric, s.base)
	}
}

// step feeds a value to one limit. During a breach it reports no warning. The end of a breach ends the warning too; a value
// that stays over the warning level then starts a new one.
func (m *meter) step(changes []change, v uint64, confirm func(string) (uint64, bool)) []change {
	turned := m.warning.observe(v)
	if turned {
		m.warning.flip()
	}
	if m.breach.observe(v) {
		c := change{kind: eventRecovered, metric: m.limit.Metric, value: v, limit: m.limit.Bytes, votes: m.breach.votes(), of: m.breach.taken(), ended: eventBreach}
		if m.breach.on {
			m.breach.flip()
			if m.warning.on {
				m.warning.flip()
			}
			return append(changes, c)
		}
		if second, ok := confirm(m.limit.Metric); ok && second > m.limit.Bytes {
			c.kind, c.value, c.ended = eventBreach, second, ""
			m.breach.flip()
			return append(changes, c)
		}
		m.breach.withdraw()
	}
	if !turned || m.breach.on {
		return changes
	}
	c := change{kind: eventWarning, metric: m.limit.Metric, value: v, limit: m.limit.Bytes, votes: m.warning.n, of: m.warning.of}
	if !m.warning.on {
		c.kind, c.ended = eventRecovered, eventWarning
	}
	return append(changes, c)
}

// lapse ends the breach of a metric whose action was not needed, so that the next n of m samples over the limit start a new
// one. Otherwise a value between 95 and 100 % of the limit would keep the breach active and prevent every later action.
func (s *state) lapse(metric string) {
	for i := range s.meters {
		if m := &s.meters[i]; m.limit.Metric == metric && m.breach.on {
			m.breach.flip()
		}
	}
}

// over reports whether a metric is over its limit in this reading.
func (s *state) over(c change, r Reading) (v uint64, over bool) {
	v, ok := r.Value(c.metric, s.base)
	return v, ok && v > c.limit
}

// trigger turns on when n of the last "of" samples are over rise, and off when n of them are under fall. Each change
// clears the votes, so that a sample counts for one change only.
type trigger struct {
	rise, fall uint64
	n, of      int
	on         bool
	ring       []bool // the votes of the last samples, at most "of"
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

// taken is the number of samples in the ring.
func (t *trigger) taken() int { return len(t.ring) }

// flip changes the state and clears the votes.
func (t *trigger) flip() { t.on, t.ring, t.next = !t.on, t.ring[:0], 0 }

// withdraw removes the latest vote.
func (t *trigger) withdraw() {
	last := len(t.ring) - 1
	if len(t.ring) == t.of {
		last = (t.next + t.of - 1) % t.of
	}
	t.ring[last] = false
}
