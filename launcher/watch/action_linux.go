package watch

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// action is what follows one breach: the command, then a second look, then the act itself. It never waits:
// the engine's loop moves it on, and samples meanwhile.
type action struct {
	change  change
	command *command
	kill    time.Duration // when SIGKILL follows; 0 is not yet
}

// begin starts the action of a breach, or keeps it for when the one under way is done.
func (w *watched) begin(c change, now time.Duration) {
	if w.action != nil {
		if w.action.kill == 0 {
			w.waiting = append(w.waiting, c)
		}
		return
	}
	w.action = &action{change: c}
	if len(w.cfg.Budget.Command) == 0 {
		w.act(now)
		return
	}
	cmd, err := startCommand(w.cfg, placeholders(c, w.who()), w.log, now)
	if err != nil {
		w.say(acted(c, "command", "", 0, fmt.Sprintf("command %s did not start: %v", w.cfg.Budget.Command[0], err), true))
		w.act(now)
		return
	}
	w.action.command = cmd
	w.listen(cmd.pidfd, w.index)
}

// proceed moves the action on as far as it can go now.
func (w *watched) proceed(now time.Duration) {
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
	w.say(acted(a.change, "command", "", 0, fmt.Sprintf("command %s %s", w.cfg.Budget.Command[0], words), failed))
	w.act(now)
}

// abandonCommand ends a command that is still running when the watch is told to end: nobody would see to
// its timeout.
func (w *watched) abandonCommand() {
	if w.action != nil && w.action.command != nil {
		c := w.action.command
		c.expire(c.deadline)
		_, _ = c.end(0)
	}
}

// act ends an action: it reads again and then does what the policy says, to no one but the processes that are held.
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
		w.say(notNeeded(c, b.Action))
	case b.Action == "signal":
		w.sendSignal(c)
	case w.sendTerm(c, now):
		return // SIGKILL follows
	}
	w.done(now)
}

// done ends the action and begins the next one.
func (w *watched) done(now time.Duration) {
	w.action = nil
	if len(w.waiting) > 0 {
		next := w.waiting[0]
		w.waiting = w.waiting[1:]
		w.begin(next, now)
	}
}

// sendSignal is the action "signal", to the target alone.
func (w *watched) sendSignal(c change) {
	name := w.cfg.Budget.Signal
	sig, err := parseSignal(name)
	if err == nil {
		err = w.herd.target.signal(sig)
	}
	if err != nil {
		w.say(acted(c, "signal", name, 0, fmt.Sprintf("%s could not be sent: %v", name, err), true))
		return
	}
	w.say(acted(c, "signal", name, 1, name+" sent", false))
}

// sendTerm is the first half of "terminate", to every process that is counted, the young ones too.
func (w *watched) sendTerm(c change, now time.Duration) bool {
	_ = w.herd.refresh() // a failure was told when the sample was taken
	sent, err := w.sendAll(syscall.SIGTERM)
	if sent == 0 {
		w.say(acted(c, "terminate", "SIGTERM", 0, fmt.Sprintf("SIGTERM could not be sent: %v", err), true))
		return false
	}
	w.outcome.Terminated = true
	w.action.kill = now + max(w.cfg.Budget.Grace, 1)
	w.say(acted(c, "terminate", "SIGTERM", sent, fmt.Sprintf("SIGTERM sent%s; SIGKILL follows after %s", toMany(sent), w.cfg.Budget.Grace), false))
	return true
}

// sendKill is the second half. It comes again with each interval while anyone is left: a process may fork
// between the listing and the signal, and one in the kernel's hands dies late.
func (w *watched) sendKill(now time.Duration) {
	a := w.action
	_ = w.herd.refresh()
	sent, err := w.sendAll(syscall.SIGKILL)
	if sent > 0 && !w.killed {
		w.killed = true
		w.say(acted(a.change, "terminate", "SIGKILL", sent, "SIGKILL sent"+toMany(sent), false))
	}
	if sent == 0 && err != nil {
		w.say(acted(a.change, "terminate", "SIGKILL", 0, fmt.Sprintf("SIGKILL could not be sent: %v", err), true))
		w.done(now)
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

// sendAll signals every process of the herd and counts those that got it. Who has ended meanwhile is no
// failure.
func (w *watched) sendAll(sig syscall.Signal) (sent int, failed error) {
	for _, p := range w.herd.all() {
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
