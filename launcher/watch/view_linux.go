package watch

// What a watch shows to a person at a terminal: the state of each limit.

import (
	"cmp"
	"fmt"
	"time"
)

// View shows a running watch at a terminal. The watch calls it on its own thread, so it must not block.
type View interface {
	// Show replaces what is shown. The watch calls it once a second, and after lines that it wrote through Above.
	Show(rows []Row)
	// Above calls write, which prints a line to stderr, so that the line stays readable above what is shown.
	Above(write func())
}

// Row is one limit of a service or, in a watch of PIDs, of a process.
type Row struct {
	Name      string // printable
	Processes int    // how many count
	Metric    string
	Value     uint64 // bytes, valid only with Known; of a service with several targets, the largest value
	Known     bool
	Limit     uint64 // bytes
	State     State  // the most urgent of all targets
}

// State is the state of a limit.
type State int

// The states, by urgency.
const (
	StateAbsent   State = iota // no process runs
	StateSettling              // [budget] settle has not passed
	StateOK
	StateWarning
	StateBreach
	StateTerminating // SIGTERM was sent, and SIGKILL follows
)

func (s State) String() string {
	return [...]string{"not running", "settling", "ok", "warning", "breach", "terminating"}[s]
}

// showEvery is the time between two calls of View.Show.
const showEvery = time.Second

// showTo makes the engine show its rows to view, which may be nil.
func (e *engine) showTo(view View) {
	if view != nil {
		e.view, e.shows = view, 0
	}
}

// show calls View.Show if that is due.
func (e *engine) show(now time.Duration, rows func() []Row) {
	if now >= e.shows {
		e.view.Show(rows())
		e.shows = nextSample(e.shows, now, showEvery)
	}
}

// above writes a line to stderr.
func (e *engine) above(write func()) {
	if e.view == nil {
		write()
		return
	}
	e.view.Above(write)
	e.shows = min(e.shows, e.clock())
}

// rows has a row for each limit of each target, in the order of the targets.
func (e *engine) rows() (rows []Row) {
	for _, w := range e.watched {
		of := w.subject()
		name := fmt.Sprintf("%s[%d]", oneLine(cmp.Or(of.service, of.name)), of.pid)
		rows = append(rows, emptyRows(name, w.cfg)...)
		w.addTo(rows[len(rows)-len(w.cfg.Limits):])
	}
	return rows
}

// rows has a row for each limit of each service, in the order of the policy.
func (h *host) rows() (rows []Row) {
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

func emptyRows(name string, cfg *Config) (rows []Row) {
	for _, l := range cfg.Limits {
		rows = append(rows, Row{Name: name, Metric: l.Metric, Limit: l.Bytes})
	}
	return rows
}

// addTo adds a target to the rows of its limits.
func (w *watched) addTo(rows []Row) {
	if w.finished {
		return
	}
	for i := range rows {
		row, m := &rows[i], &w.state.meters[i]
		row.Processes += w.last.processes
		row.State = max(row.State, w.stateOf(m))
		v, ok := w.last.Value(m.limit.Metric, w.state.base)
		if ok && w.last.processes > 0 && (w.state.settled || m.limit.Metric != "growth") { // no base before
			row.Value, row.Known = max(row.Value, v), true
		}
	}
}

// stateOf is the state of one limit of a running target.
func (w *watched) stateOf(m *meter) State {
	switch {
	case w.action != nil && w.action.kill != 0:
		return StateTerminating
	case m.breach.on:
		return StateBreach
	case m.warning.on:
		return StateWarning
	case !w.state.settled:
		return StateSettling
	}
	return StateOK
}
