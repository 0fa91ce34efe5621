package watch

// This file has the action at a breach.

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/watch/budget"
)

// action is the action for one breach: the command, then a second reading, then the signals. It never blocks: the engine's
// loop advances it and keeps sampling.
type action struct {
	change  budget.Change
	waits   time.Duration // time until which the watch that the launch started may act first; 0: no wait
	command *command
	kill    time.Duration    // time of the SIGKILL; 0: SIGTERM was not sent
	termed  map[int]*process // the processes that were sent SIGTERM or SIGKILL, by PID
}

// beginAction starts the action for a breach, or queues it behind the current one. After SIGTERM it does nothing,
// because the target is to end.
func (w *watched) beginAction(c budget.Change, now time.Duration) {
	if w.action != nil {
		if w.action.kill == 0 {
			w.queue = append(w.queue, c)
		}
		return
	}
	w.action = &action{change: c}
	if watch := w.member.ownWatch(w); watch != 0 && w.cfg.acts() {
		w.report(acted(c, w.cfg.Budget.Action, "", 0, fmt.Sprintf("the watch that 'arenacap run' started (PID %d) acts first; this watch acts if %s is still over the limit after %s", watch, c.Metric, w.cfg.Budget.Grace), false))
		w.action.waits = w.graceEnds()
		return
	}
	w.startAction(now)
}

// graceEnds returns the time at which a grace period that begins now will end. It reads the clock, because this turn of the
// loop may have begun much earlier, with other targets.
func (w *watched) graceEnds() time.Duration { return w.clock() + max(w.cfg.Budget.Grace, 1) }

// acts reports whether a breach has an action other than a report.
func (c Config) acts() bool { return c.Budget.Action != "report" || len(c.Budget.Command) > 0 }

// afterGrace takes the action, unless the value is under the limit by now. The launcher of the target (arenacap run) may have
// a watch of its own, which acts first.
func (w *watched) afterGrace(now time.Duration) {
	c := w.action.change
	r, _ := w.read(now)
	if v, over := w.state.Over(c, r); !over {
		w.state.Lapse(c.Metric)
		c.Value = v
		w.report(notNeeded(c, w.cfg.Budget.Action))
		w.endAction(now)
		return
	}
	w.action.waits = 0
	w.startAction(now)
}

// startAction starts the command, or acts at once without one. It does nothing if the target no longer fits its
// service.
func (w *watched) startAction(now time.Duration) {
	c := w.action.change
	if !w.member.fits(w) {
		w.endAction(now)
		return
	}
	if len(w.cfg.Budget.Command) == 0 {
		w.act(now)
		return
	}
	cmd, err := startCommand(*w.cfg, placeholders(c, w.subject()), w.log, now)
	if err != nil {
		w.report(acted(c, "command", "", 0, fmt.Sprintf("command %s did not start: %v", w.cfg.Budget.Command[0], err), true))
		w.act(now)
		return
	}
	w.action.command = cmd
	w.listen(cmd.pidfd, w.index)
}

// advanceAction does the next step of the action if it is due.
func (w *watched) advanceAction(now time.Duration) {
	a := w.action
	if a == nil {
		return
	}
	if a.waits != 0 {
		if now >= a.waits && !w.gone() {
			w.afterGrace(now)
		}
	} else if a.command != nil {
		w.awaitCommand(now)
	} else if a.kill != 0 && now >= a.kill {
		w.sendKill(now)
	}
}

func (w *watched) awaitCommand(now time.Duration) {
	a := w.action
	a.command.expire(now)
	if !a.command.finished() {
		return
	}
	words, failed := a.command.end(w.cfg.Budget.Timeout)
	a.command = nil
	w.report(acted(a.change, "command", "", 0, fmt.Sprintf("command %s %s", w.cfg.Budget.Command[0], words), failed))
	w.act(now)
}

// killCommand kills a command that still runs when the watch ends, because afterwards its timeout has no effect.
func (w *watched) killCommand() {
	if w.action != nil && w.action.command != nil {
		c := w.action.command
		c.expire(c.deadline)
		_, _ = c.end(0)
	}
}

// act reads the size again and then takes the action of the policy. It signals processes through their descriptors, so
// that a later process with the same PID never gets the signal.
func (w *watched) act(now time.Duration) {
	b, c := w.cfg.Budget, w.action.change
	r, _ := w.read(now)
	v, over := w.state.Over(c, r)
	acts := b.Action == "signal" || b.Action == "terminate"
	if acts && !over {
		w.state.Lapse(c.Metric)
	}
	switch {
	case !acts, w.gone(), !w.member.fits(w):
	case !over:
		c.Value = v
		w.report(notNeeded(c, b.Action))
	case b.Action == "signal":
		w.sendSignal(c)
	case w.sendTerm(c):
		return // SIGKILL follows
	}
	w.endAction(now)
}

// endAction ends the current action and begins the next one in the queue.
func (w *watched) endAction(now time.Duration) {
	w.action = nil
	w.member.markChanged()
	if len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.beginAction(next, now)
	}
}

// sendSignal takes the action "signal", on the target only.
func (w *watched) sendSignal(c budget.Change) {
	name := w.cfg.Budget.Signal
	sig, err := parseSignal(name)
	if err == nil {
		err = w.scope.target.signal(sig)
	}
	if err != nil {
		w.report(acted(c, "signal", name, 0, fmt.Sprintf("%s could not be sent: %v", name, err), true))
		return
	}
	w.report(acted(c, "signal", name, 1, name+" sent", false))
}

// sendTerm is the first half of "terminate". It signals every process of the scope, including processes that started too
// recently to be part of the measured value.
func (w *watched) sendTerm(c budget.Change) bool {
	w.listing = nil       // list again, so that the signal reaches processes that were forked after the last listing
	_ = w.scope.refresh() // the method "sample" reports the errors of the method "refresh"
	w.action.termed = map[int]*process{}
	sent, err := w.sendAll(syscall.SIGTERM, func(*process) bool { return true })
	if sent == 0 {
		w.report(acted(c, "terminate", "SIGTERM", 0, fmt.Sprintf("SIGTERM could not be sent: %v", err), true))
		return false
	}
	w.outcome.Terminated = true
	w.report(acted(c, "terminate", "SIGTERM", sent, fmt.Sprintf("SIGTERM sent%s; SIGKILL follows after %s", toMany(sent), w.cfg.Budget.Grace), false))
	w.action.kill = w.graceEnds()
	return true
}

// sendKill is the second half of "terminate". It repeats every interval while a process is left, because a process
// may fork between the listing and the signal, and a process in uninterruptible sleep ends late.
func (w *watched) sendKill(now time.Duration) {
	a := w.action
	w.listing = nil // list again, so that the signal reaches processes that were forked after the last listing
	_ = w.scope.refresh()
	sent, err := w.sendAll(syscall.SIGKILL, a.owes)
	if sent > 0 && !w.killReported {
		w.killReported = true
		w.report(acted(a.change, "terminate", "SIGKILL", sent, "SIGKILL sent"+toMany(sent), false))
	}
	if sent == 0 && err != nil {
		w.report(acted(a.change, "terminate", "SIGKILL", 0, fmt.Sprintf("SIGKILL could not be sent: %v", err), true))
	}
	if sent == 0 { // the processes that were sent SIGTERM have ended, or SIGKILL fails
		w.endAction(now)
		return
	}
	a.kill = now + w.cfg.Budget.Interval
}

func toMany(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" to %d processes", n)
}

// owes reports whether to send SIGKILL to a process: it or its parent was signaled before. Other processes of the control
// group may belong to a restart of the service.
func (a *action) owes(p *process) bool {
	return a.termed[p.pid] == p || a.termed[p.parent] != nil
}

// sendAll signals the processes of the scope for which the function "selects" returns true, and counts them. A process
// that has ended meanwhile is not an error.
func (w *watched) sendAll(sig syscall.Signal, selects func(*process) bool) (sent int, failed error) {
	for _, p := range w.scope.all() {
		if !selects(p) {
			continue
		}
		switch err := p.signal(sig); err {
		case nil:
			sent++
			w.action.termed[p.pid] = p
		case unix.ESRCH:
		default:
			failed = err
		}
	}
	return sent, failed
}
