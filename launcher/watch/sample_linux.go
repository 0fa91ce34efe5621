package watch

// One sample of a target: what is read, and what follows from it.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"arenacap/policy"
)

// sample takes one sample and does what follows from it.
func (w *watched) sample(now time.Duration) {
	w.reportGap(now)
	w.retryLog()
	w.reportOnce("scope", w.scope.refresh())
	r, ok := w.read(now)
	if !ok {
		w.notified = true // it may have ended
		return
	}
	w.outcome.addPeaks(r)
	settled := w.state.settled
	changes := w.state.observe(now, r, func() (reading, bool) { return w.read(w.clock()) })
	if w.state.settled && !settled {
		w.base = w.inspect()
		w.member.changed()
	}
	w.lookAround(now)
	w.judgeCap(now)
	for _, c := range changes {
		w.react(c, r, now)
	}
}

// read samples every process that counts. ok is false where none could be read.
func (w *watched) read(now time.Duration) (r reading, ok bool) {
	r.arenasKnown = true
	if !w.ended {
		ok = w.readOne(&r, w.scope.target, now)
	}
	for _, p := range w.scope.others {
		if counts(p.born, now, w.cfg.Budget.Interval) {
			ok = w.readOne(&r, p, now) || ok
		}
	}
	return r, ok
}

// readOne adds one process.
func (w *watched) readOne(r *reading, p *process, now time.Duration) bool {
	s, ok := p.sample()
	if !ok {
		return false
	}
	p.virtual = s.Size.Bytes()
	r.processes++
	r.virtual += s.Size.Bytes()
	r.data += s.Data.Bytes()
	r.resident += s.Resident.Bytes()
	if now >= w.state.settleEnds && w.needsCensus(p) {
		w.countArenas(r, p, s.Size.Bytes())
	} else {
		r.arenasKnown = false
	}
	return true
}

// countArenas adds one process's arenas. A count takes more than a sample, so it is taken only when the size
// moved.
func (w *watched) countArenas(r *reading, p *process, virtual uint64) {
	if p.arenas.due(virtual) {
		w.used()
		count, err := w.probes.count(p.pid)
		if errors.Is(err, errGone) || p.ended() { // it may have been another process's number by then
			r.arenasKnown = false
			return
		}
		p.arenas.take(virtual, count, err)
		if err != nil && (w.budgetsArenas() || w.cfg.Verbose) {
			w.reportOnce("arenas", fmt.Errorf("the arenas of process %d cannot be counted: %w", p.pid, err))
		}
	}
	r.arenas += p.arenas.reserved
	r.arenasKnown = r.arenasKnown && p.arenas.known
}

// needsCensus reports whether the arenas of this process are needed: for a limit those of any, for the cap the
// target's.
func (w *watched) needsCensus(p *process) bool {
	return w.cfg.Cap != 0 && p == w.scope.target || w.budgetsArenas()
}

func (w *watched) budgetsArenas() bool {
	return slices.ContainsFunc(w.cfg.Limits, func(l policy.Limit) bool { return metrics[l.Metric].needsArenas })
}

// samplePeak samples the target between two samples, for its peaks alone.
func (w *watched) samplePeak() {
	if s, ok := w.scope.target.sample(); ok && !w.ended {
		w.outcome.addPeaks(reading{virtual: s.Size.Bytes(), resident: s.Resident.Bytes(), processes: 1})
	}
}

// addPeaks keeps what is larger than before.
func (o *Outcome) addPeaks(r reading) {
	o.PeakVirtual = max(o.PeakVirtual, r.virtual)
	o.PeakResident = max(o.PeakResident, r.resident)
	o.Processes = max(o.Processes, r.processes)
}

// leastGap bounds what is reported where the interval is short: on a busy machine a process waits for a tenth of a second.
const leastGap = 500 * time.Millisecond

// reportGap says that the watch did not look for over three intervals, once in each log: a gap is that of all targets.
func (w *watched) reportGap(now time.Duration) {
	if length := now - w.looked; length > max(3*w.cfg.Budget.Interval, leastGap) && w.looked >= w.log.gapEnd {
		w.report(gap(length, w.cfg.Budget.Interval))
		w.log.gapEnd = now
	}
	w.looked = now
}

// react reports a change and, for a breach, begins the action.
func (w *watched) react(c change, r reading, now time.Duration) {
	w.member.changed()
	switch c.kind {
	case eventRecovered:
		w.report(recovered(c))
	case eventWarning:
		w.member.count(c, w.cfg.Service)
		w.report(exceeded(c, r.processes, w.cfg.Cap, attribute(w.base, w.inspect())))
	case eventBreach:
		w.outcome.Breaches++
		w.member.count(c, w.cfg.Service)
		w.report(exceeded(c, r.processes, w.cfg.Cap, attribute(w.base, w.inspect())))
		w.beginAction(c, now)
	}
}

// maxInspected bounds what an attribution costs: a look into a process takes milliseconds.
const maxInspected = 64

// inspect adds up the parts of the virtual size of the processes that are counted, at most the maxInspected
// largest. It has none where none can be had: another user's processes, or those that have just ended.
func (w *watched) inspect() (b breakdown) {
	w.used()
	var counted []*process
	for _, p := range w.scope.all() {
		if p.virtual != 0 {
			counted = append(counted, p)
		}
	}
	slices.SortStableFunc(counted, func(a, b *process) int { return cmp.Compare(b.virtual, a.virtual) })
	for _, p := range counted[:min(len(counted), maxInspected)] {
		parts, err := w.probes.inspect(p.pid)
		if err != nil || p.ended() { // it may have been another process's number by then
			continue
		}
		b.processes++
		for _, part := range parts {
			b.parts = addPart(b.parts, part)
		}
	}
	return b
}

// judgeCap compares the server's arenas with the plan: once after settle, and again whenever there are
// more than ever before. That the cap is not kept is reported once. Where it is known not to work, being under
// it by chance verifies nothing, and neither does a count that may be too low, or an environment without the cap.
func (w *watched) judgeCap(now time.Duration) {
	p := w.server()
	if p == nil {
		return
	}
	if p != w.scope.target {
		w.countServer(p, now)
	}
	c := p.arenas
	if !c.known || c.arenas <= w.outcome.Arenas {
		return
	}
	w.outcome.Arenas = c.arenas
	if w.cfg.Cap == 0 {
		return
	}
	kept := c.arenas <= w.cfg.Cap
	set, otherwise, missing := w.setOtherwise(p)
	if kept && !otherwise && (c.more > 0 || missing) {
		w.outcome.CapKnown = w.outcome.CapKnown && !w.outcome.CapKept
		return
	}
	broken := w.outcome.CapKnown && !w.outcome.CapKept
	w.outcome.CapKnown, w.outcome.CapKept = true, kept && !otherwise
	switch {
	case kept && otherwise && !broken:
		w.report(w.about(p, capSetOtherwise(set, w.cfg.Cap)))
	case kept && !otherwise && len(w.cfg.Notices) == 0 || !kept && !broken:
		w.report(w.about(p, capJudged(c.arenas, w.cfg.Cap)))
	}
}
