package watch

// This file takes one sample of a target: it reads the processes and reports the changes.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"arenacap/launcher/watch/budget"
	"arenacap/policy"
)

// sample takes one sample, reports the changes and begins actions.
func (w *watched) sample(now time.Duration) {
	w.reportGap(now)
	w.retryLog()
	w.reportOnce("scope", w.scope.refresh())
	r, ok := w.read(now)
	w.last = r
	if !ok {
		w.notified = true // the target may have ended; the next turn checks this
		return
	}
	w.outcome.addPeaks(r)
	settled := w.state.Settled
	changes := w.state.Observe(now, r, func() (budget.Reading, bool) { return w.read(w.clock()) })
	if w.state.Settled && !settled {
		w.baseDue = true
		w.member.markChanged()
	}
	// The watch of a host may find thousands of targets at once, and an inspection takes about 2 ms, so the watch spreads
	// the inspections over several turns.
	if w.baseDue && (w.member == nil || w.clock()-now < max(w.cfg.Budget.Interval, leastGap)) {
		w.baseDue, w.base = false, w.inspect()
	}
	w.lookAround(now)
	w.judgeCap(now)
	for _, c := range changes {
		w.react(c, r, now)
	}
}

// read samples the target and the other processes of the scope that are old enough (see the function "counts"). ok is
// false if none could be read.
func (w *watched) read(now time.Duration) (r budget.Reading, ok bool) {
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

// readOne adds one process to the reading.
func (w *watched) readOne(r *budget.Reading, p *process, now time.Duration) bool {
	s, ok := p.sample()
	if !ok {
		return false
	}
	p.virtual = s.Size.Bytes()
	r.Add(s)
	if now >= w.state.SettleEnds && w.needsCensus(p) {
		w.countArenas(r, p, s.Size.Bytes())
	} else {
		r.AddArenas(0, false)
	}
	return true
}

// countArenas adds one process's arenas. Counting costs more than a sample, so it counts again only if the size has
// changed (census.due).
func (w *watched) countArenas(r *budget.Reading, p *process, virtual uint64) {
	if p.arenas.due(virtual) {
		w.used()
		count, err := w.probes.count(p.pid)
		if errors.Is(err, errGone) || p.ended() { // another process may have had the PID by then
			r.AddArenas(0, false)
			return
		}
		p.arenas.take(virtual, count, err)
		if unchecked := w.needsArenasOf(p); err != nil && unchecked != "" && (w.budgetsArenas() || w.cfg.Verbose) {
			w.reportOnce(unchecked, fmt.Errorf("%s not checked, the rest of the watch goes on: the arenas of process %d cannot be counted: %w", unchecked, p.pid, err))
		}
	}
	r.AddArenas(p.arenas.reserved, p.arenas.known)
}

// needsArenasOf says, with the verb, which checks need the count of the process's arenas: that of a limit on arenas, and for
// the server that of the cap. "" means none.
func (w *watched) needsArenasOf(p *process) string {
	limit, cap := w.budgetsArenas(), w.cfg.Cap != 0 && p == w.server()
	switch {
	case limit && cap:
		return "the limit on arenas and the cap are"
	case limit:
		return "the limit on arenas is"
	case cap:
		return "the cap is"
	}
	return ""
}

// needsCensus reports whether a sample counts the arenas of this process. A limit on arenas needs the count of every
// process, a cap only the target's; if another process is the server, countServer counts its arenas.
func (w *watched) needsCensus(p *process) bool {
	return w.cfg.Cap != 0 && p == w.scope.target || w.budgetsArenas()
}

func (w *watched) budgetsArenas() bool {
	return slices.ContainsFunc(w.cfg.Limits, func(l policy.Limit) bool {
		needsArenas, _ := budget.Metric(l.Metric)
		return needsArenas
	})
}

// samplePeak reads the target between two samples, only to update the peaks.
func (w *watched) samplePeak() {
	if s, ok := w.scope.target.sample(); ok && !w.ended {
		var r budget.Reading
		r.Add(s)
		w.outcome.addPeaks(r)
	}
}

// addPeaks raises each peak to the value in r if that is higher.
func (o *Outcome) addPeaks(r budget.Reading) {
	o.PeakVirtual = max(o.PeakVirtual, r.Virtual)
	o.PeakResident = max(o.PeakResident, r.Resident)
	o.Processes = max(o.Processes, r.Processes)
}

// leastGap is the shortest gap that is reported: several times the 100 ms that a process may wait for a CPU on a busy
// machine.
const leastGap = 500 * time.Millisecond

// reportGap reports a time of over three intervals without a sample, once in each log, because a gap affects all targets.
func (w *watched) reportGap(now time.Duration) {
	if length := now - w.looked; length > max(3*w.cfg.Budget.Interval, leastGap) && w.looked >= w.log.gapEnd {
		w.report(gap(length, w.cfg.Budget.Interval))
		w.log.gapEnd = now
	}
	w.looked = now
}

// react reports a change and, for a breach, begins the action.
func (w *watched) react(c budget.Change, r budget.Reading, now time.Duration) {
	w.member.markChanged()
	switch c.Kind {
	case eventRecovered:
		w.report(recovered(c))
	case eventWarning:
		w.member.count(c, w.cfg.Service)
		w.reportExceeded(c, r.Processes)
	case eventBreach:
		w.outcome.Breaches++
		w.member.count(c, w.cfg.Service)
		w.reportExceeded(c, r.Processes)
		w.beginAction(c, now)
	}
}

// reportExceeded reports a warning or a breach, with the attribution.
func (w *watched) reportExceeded(c budget.Change, processes int) {
	now := w.inspect()
	of := advised{pid: cmp.Or(now.largest, w.scope.target.pid), cap: w.cfg.Cap}
	if of.cap == 0 {
		of.cap = w.capInForce(of.pid)
	}
	w.report(exceeded(c, processes, of, attribute(c.Metric, w.base, now)))
}

// capInForce is the cap that the environment of a counted process sets; 0: none, or unknown.
func (w *watched) capInForce(pid int) int {
	for _, p := range w.scope.all() {
		if p.pid == pid {
			set, _, _ := w.setOtherwise(p)
			return set
		}
	}
	return 0
}

// maxInspected is the largest number of processes that one event inspects to say where the memory is: each takes
// milliseconds.
const maxInspected = 64

// inspect adds up the parts of the counted processes, at most the maxInspected largest. It leaves out processes that it
// cannot inspect: processes of another user, and processes that have just ended.
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
		if err != nil || p.ended() { // another process may have had the PID by then
			continue
		}
		b.processes++
		b.largest = cmp.Or(b.largest, p.pid)
		for _, part := range parts {
			b.parts = addPart(b.parts, part)
		}
	}
	return b
}

// judgeCap compares the number of the server's arenas with the cap: once after the settle time, and again at each new
// maximum. As long as the cap is not kept, it reports this only once. It does not report the cap as verified if a
// notice says that the cap cannot work, if the count may be too low, or if the environment does not set the cap,
// because the number of arenas may then be low by chance.
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
		w.report(w.addProcess(p, capSetOtherwise(set, w.cfg.Cap)))
	case kept && !otherwise && len(w.cfg.Notices) == 0 || !kept && !broken:
		w.report(w.addProcess(p, capJudged(p.pid, c.arenas, w.cfg.Cap)))
	}
}
