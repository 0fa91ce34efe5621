package watch

import (
	"math"
	"time"
)

// never is a time that does not come, with room to add to it.
const never time.Duration = math.MaxInt64 / 2

// calm is the range of samples from which nothing follows: no vote for a change, no count of arenas, not the end of
// settle. It holds between two samples that are looked at in full. The functions on it run where Go's scheduler must not
// be needed (doze), hence nosplit.
type calm struct {
	on                      bool
	until                   time.Duration // the end of settle
	virtual, data, resident uint64        // bytes, the most that is calm
	nearest                 uint64        // bytes of address space with which any metric could leave the range, see pace
}

// calm is the range after a sample. There is none while a warning or a breach is on or has votes: every sample
// counts then.
func (s *state) calm(r reading) calm {
	c := calm{on: true, until: never, virtual: math.MaxUint64, data: math.MaxUint64, resident: math.MaxUint64, nearest: math.MaxUint64}
	if !s.settled {
		c.until = s.settleEnds
		return c
	}
	for i := range s.meters {
		m := &s.meters[i]
		if v, ok := s.value(m.limit.Metric, r); !m.quiet() || ok && v > m.warning.rise {
			return calm{}
		}
		c.lower(m.limit.Metric, m.warning.rise, s.base)
	}
	return c
}

// quiet reports whether a limit's state can only be changed by values over its warning level.
func (m *meter) quiet() bool {
	return !m.warning.on && !m.breach.on && m.warning.votes() == 0 && m.breach.votes() == 0
}

// lower takes in one limit's level.
func (c *calm) lower(metric string, level, base uint64) {
	switch metric {
	case "growth":
		level += min(base, math.MaxUint64-level)
		c.virtual = min(c.virtual, level)
	case "virtual":
		c.virtual = min(c.virtual, level)
	case "data":
		c.data = min(c.data, level)
	case "resident":
		c.resident = min(c.resident, level)
	}
	c.nearest = min(c.nearest, level)
}

// holds reports whether a sample lies in the range.
//
//go:nosplit
func (c *calm) holds(now time.Duration, s statm) bool {
	return now < c.until && s.size*pageSize <= c.virtual && s.data*pageSize <= c.data && s.resident*pageSize <= c.resident
}

// wait is the time from due to the next sample. The first sample after settle is not left out, since growth counts from
// it, and neither is the one due last before, which may be taken late.
//
//go:nosplit
func (c *calm) wait(due, interval time.Duration, virtual uint64) time.Duration {
	if !c.on {
		return interval
	}
	wait := pace(c.nearest-min(virtual, c.nearest), interval)
	settle := (c.until - due) / interval * interval
	return max(min(wait, settle), interval)
}
