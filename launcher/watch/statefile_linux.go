package watch

// This file saves the state of the watch of a host in its state file, and restores it at the next start.

import (
	"maps"
	"slices"
	"time"

	"arenacap/launcher/watch/budget"
	"arenacap/launcher/watch/statefile"
)

// save writes the state if it has changed. It reports only the first of consecutive failures.
func (h *host) save() {
	if !h.changed {
		return
	}
	targets := map[string][]statefile.Target{}
	for i := range h.Services {
		if len(h.Services[i].Config.Limits) > 0 {
			targets[h.Services[i].Config.Service] = []statefile.Target{}
		}
	}
	for _, pid := range slices.Sorted(maps.Keys(h.targets)) {
		w := h.targets[pid]
		targets[w.cfg.Service] = append(targets[w.cfg.Service], w.record())
	}
	err := h.state.Write(targets)
	if err != nil && !h.unsaved {
		h.Say("state file %q cannot be written: %v", h.Host.State, err)
	}
	h.unsaved = err != nil
	h.changed = h.unsaved // try again at the next turn
}

func (w *watched) record() statefile.Target {
	t := statefile.Target{PID: w.outcome.PID, Started: int64(w.member.found.Started), Group: w.scope.target.group, Running: w.state.Running(), Acting: append([]string{}, w.member.acted...)}
	if w.state.Settled {
		t.GrowthBase = &w.state.Base
	}
	for _, c := range w.queue {
		t.Acting = append(t.Acting, c.Metric)
	}
	if w.action != nil {
		t.Acting = append(t.Acting, w.action.change.Metric)
	}
	return t
}

// restore gives a target the state that the previous watch saved.
func (h *host) restore(w *watched) {
	was, found := h.state.Former(w.cfg.Service, w.outcome.PID, int64(w.member.found.Started))
	if !found {
		return
	}
	if was.GrowthBase != nil {
		w.state.Resume(true, *was.GrowthBase, was.Running)
	}
	w.member.acted = was.Acting
}

// resumeAction restarts the actions that the end of the previous watch interrupted. Like every action, each reads the size
// again before it sends a signal.
func (m *member) resumeAction(w *watched, now time.Duration) {
	if m == nil || len(m.acted) == 0 || w.gone() {
		return
	}
	metrics := m.acted
	m.acted = nil
	for _, meter := range w.state.Meters {
		for _, metric := range metrics {
			if meter.Limit.Metric == metric && meter.Breached() {
				w.beginAction(budget.Change{Kind: eventBreach, Metric: metric, Limit: meter.Limit.Bytes}, now)
			}
		}
	}
}
