package watch

// What is done at a breach.

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// action is what follows one breach: the command, then a second reading, then the signals. It never waits:
// the engine's loop continues it, and samples meanwhile.
type action struct {
	change  change
	command *command
	kill    time.Duration // when SIGKILL follows; 0 is not yet
}

// beginAction starts the action of a breach, or queues it behind the one under way.
func (w *watched) beginAction(c change, now time.Duration) {
	if w.action != nil {
		if w.action.kill == 0 {
			w.queue = append(w.queue, c)
		}
		return
	}
	w.action = &action{change: c}
	if len(w.cfg.Budget.Command) == 0 {
		w.act(now)
		return
	}
	cmd, err := startCommand(w.cfg, placeholders(c, w.subject()), w.log, now)
	if err != nil {
		w.report(acted(c, "command", "", 0, fmt.Sprintf("command %s did not start: %v", w.cfg.Budget.Command[0], err), true))
		w.act(now)
		return
	}
	w.action.command = cmd
	w.listen(cmd.pidfd, w.index)
}

// advanceAction continues the action as far as it can go now.
func (w *watched) advanceAction(now time.Duration) {
	a := w.action
	if a == nil {
		return
	}
	if a.command != nil {
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

// killCommand ends a command that is still running when the watch ends, as its timeout would be lost.
func (w *watched) killCommand() {
	if w.action != nil && w.action.command != nil {
		c := w.action.command
		c.expire(c.deadline)
		_, _ = c.end(0)
	}
}

// act reads again and then does what the policy says, to the processes that are held and no other.
func (w *watched) act(now time.Duration) {
	b, c := w.cfg.Budget, w.action.change
	r, _ := w.read(now)
	v, over := w.state.over(c, r)
	acts := b.Action == "signal" || b.Action == "terminate"
	if acts && !over {
		w.state.lapse(c.metric)
	}
	switch {
	case !acts, w.gone():
	case !over:
		c.value = v
		w.report(notNeeded(c, b.Action))
	case b.Action == "signal":
		w.sendSignal(c)
	case w.sendTerm(c, now):
		return // SIGKILL follows
	}
	w.endAction(now)
}

// endAction begins the next one.
func (w *watched) endAction(now time.Duration) {
	w.action = nil
	if len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.beginAction(next, now)
	}
}

// sendSignal is the action "signal", to the target alone.
func (w *watched) sendSignal(c change) {
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

// sendTerm is the first half of "terminate", to every process that is counted, the young ones too.
func (w *watched) sendTerm(c change, now time.Duration) bool {
	_ = w.scope.refresh() // a failure was reported when the sample was taken
	sent, err := w.sendAll(syscall.SIGTERM)
	if sent == 0 {
		w.report(acted(c, "terminate", "SIGTERM", 0, fmt.Sprintf("SIGTERM could not be sent: %v", err), true))
		return false
	}
	w.outcome.Terminated = true
	w.action.kill = now + max(w.cfg.Budget.Grace, 1)
	w.report(acted(c, "terminate", "SIGTERM", sent, fmt.Sprintf("SIGTERM sent%s; SIGKILL follows after %s", toMany(sent), w.cfg.Budget.Grace), false))
	return true
}

// sendKill is the second half. It comes again with each interval while a process is left: one may fork
// between the listing and the signal, and one in an uninterruptible sleep dies late.
func (w *watched) sendKill(now time.Duration) {
	a := w.action
	_ = w.scope.refresh()
	sent, err := w.sendAll(syscall.SIGKILL)
	if sent > 0 && !w.killReported {
		w.killReported = true
		w.report(acted(a.change, "terminate", "SIGKILL", sent, "SIGKILL sent"+toMany(sent), false))
	}
	if sent == 0 && err != nil {
		w.report(acted(a.change, "terminate", "SIGKILL", 0, fmt.Sprintf("SIGKILL could not be sent: %v", err), true))
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

// sendAll signals every process of the scope and counts those that got it. One that has ended meanwhile is no
// failure.
func (w *watched) sendAll(sig syscall.Signal) (sent int, failed error) {
	for _, p := range w.scope.all() {
		switch err := p.signal(sig); err {
		case nil:
			sent++
		case unix.ESRCH:
		default:
			failed = err
		}
	}
	return sent, failed
}
