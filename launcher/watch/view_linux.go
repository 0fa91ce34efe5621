package watch

// This file computes what a watch shows at a terminal: the state of each limit.

import (
	"cmp"
	"fmt"
	"time"

	"arenacap/launcher/watch/budget"
	"arenacap/launcher/watch/view"
)

// showEvery is the time between two calls of Screen.Show.
const showEvery = time.Second

// showTo makes the engine show its rows on the screen, which may be nil.
func (e *engine) showTo(screen view.Screen) {
	if screen != nil {
		e.screen, e.shows = screen, 0
	}
}

// show calls Screen.Show if that is due.
func (e *engine) show(now time.Duration, rows func() []view.Row) {
	if now >= e.shows {
		e.screen.Show(rows())
		e.shows = nextSample(e.shows, now, showEvery)
	}
}

// printAbove calls the function "write", which prints a line to stderr. If there is a screen, the line appears above
// it, and the screen is shown again at once.
func (e *engine) printAbove(write func()) {
	if e.screen == nil {
		write()
		return
	}
	e.screen.Above(write)
	e.shows = min(e.shows, e.clock())
}

// rows has a row for each limit of each target, in the order of the targets.
func (e *engine) rows() (rows []view.Row) {
	for _, w := range e.watched {
		of := w.subject()
		name := fmt.Sprintf("%s[%d]", oneLine(cmp.Or(of.service, of.name)), of.pid)
		rows = append(rows, emptyRows(name, w.cfg)...)
		w.addTo(rows[len(rows)-len(w.cfg.Limits):])
	}
	return rows
}

// rows has a row for each limit of each service, in the order of the policy.
func (h *host) rows() (rows []view.Row) {
	first := make([]int, len(h.Services))
	for i := range h.Services {
		first[i] = len(rows)
		rows = append(rows, emptyRows(oneLine(h.Services[i].Config.Service), &h.Services[i].Config)...)
	}
	for _, w := range h.targets {
		at := first[w.member.found.Service]
		w.addTo(rows[at : at+len(w.cfg.Limits)])
	}
	return rows
}

func emptyRows(name string, cfg *Config) (rows []view.Row) {
	for _, l := range cfg.Limits {
		rows = append(rows, view.Row{Name: name, Metric: l.Metric, Limit: l.Bytes})
	}
	return rows
}

// addTo adds a target to the rows of its limits.
func (w *watched) addTo(rows []view.Row) {
	if w.finished {
		return
	}
	for i := range rows {
		row, m := &rows[i], &w.state.Meters[i]
		row.Processes += w.last.Processes
		row.State = max(row.State, w.stateOf(m))
		v, ok := w.last.Value(m.Limit.Metric, w.state.Base)
		if ok && w.last.Processes > 0 && (w.state.Settled || m.Limit.Metric != "growth") { // growth has no base before the end of the settle time
			row.Value, row.Known = max(row.Value, v), true
		}
	}
}

// stateOf is the state of one limit of a running target.
func (w *watched) stateOf(m *budget.Meter) view.State {
	switch {
	case w.action != nil && w.action.kill != 0:
		return view.Terminating
	case m.Breached():
		return view.Breach
	case m.Warned():
		return view.Warning
	case !w.state.Settled:
		return view.Settling
	}
	return view.OK
}
