package watch

// One target of a watch, from its first turn to its last.

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// watched is one target under the engine's eyes.
type watched struct {
	*engine
	index   int // in engine.watched
	herd    *herd
	state   *state
	base    division // the virtual size when settle ended
	next    time.Duration
	due     time.Duration // the next sample
	peek    time.Duration // when the target's size is read beside the samples; 0 is never
	called  bool          // the kernel told of an end
	action  *action
	waiting []change
	killed  bool
	left    bool // the target itself has ended
	over    bool // nothing is left to watch
	mute    map[string]bool
	outcome Outcome
}

// add takes in a target. Settle counts from its birth: of a process that somebody else started nothing better
// is known, and one that arenacap forked goes on to its program at once.
func (e *engine) add(p *process) *watched {
	if e.began < 0 {
		e.began = e.clock()
	}
	w := &watched{engine: e, index: len(e.watched), due: e.began, outcome: Outcome{PID: p.pid}}
	if e.cfg.Mode != "attach" { // there the start was long ago
		w.peek = nextPeek(e.began, e.began, e.cfg.Budget.Interval)
	}
	w.herd = newHerd(p, e.cfg.Budget.Scope, w.own)
	w.herd.launched = e.cfg.Mode != "attach"
	e.frugal = e.frugal && e.cfg.Budget.Scope == "process" && p.statm >= 0 && p.pidfd >= 0
	w.state = newState(e.cfg.Limits, e.cfg.Budget, p.born+e.cfg.Budget.Settle)
	e.watched = append(e.watched, w)
	return w
}

// addLaunched takes in a target that is the process of the launch itself, whose program begins now. The
// process may be much older: a shell that waited for something and then executed arenacap. What that shell
// forked before is not the target's, and the watch, which was forked moments before the exec, is the line
// between the two.
func (e *engine) addLaunched(p *process) *watched {
	w := e.add(p)
	w.state.settleEnds = w.began + e.cfg.Budget.Settle
	if text, err := os.ReadFile(procRoot + "/self/stat"); err == nil {
		if own, err := proc.ParseStat(text); err == nil {
			w.herd.since = own.Started
		}
	}
	return w
}

// own reports whether a process is the watch itself or its command, which may share a control group with
// the target.
func (w *watched) own(pid int) bool {
	return pid == os.Getpid() || w.action != nil && w.action.command != nil && pid == w.action.command.cmd.Process.Pid
}

// start says what is watched.
func (w *watched) start() {
	w.say(started(w.cfg))
	for _, why := range w.cfg.Notices {
		w.say(capCannotWork(why))
	}
}

// turn does what is due for one target and gives the time of its next turn; ok is false when it is over.
func (w *watched) turn(now time.Duration) (next time.Duration, ok bool) {
	w.next = never
	if w.over {
		return 0, false
	}
	if !w.left && (w.called || w.herd.target.pidfd < 0) && w.herd.target.ended() {
		w.leave(now)
	}
	w.called = false
	w.proceed(now)
	if now >= w.due && !w.gone() {
		w.sample(now)
		w.due = nextSample(w.due, now, w.cfg.Budget.Interval)
	}
	if w.peek != 0 && now >= w.peek {
		w.look()
		w.peek = nextPeek(w.began, now, w.cfg.Budget.Interval)
	}
	if w.gone() && (w.action == nil || w.action.command == nil) {
		w.finish(now)
		return 0, false
	}
	w.next = w.nextTurn(now)
	return w.next, true
}

// commandPoll is how often a command's end is looked for where there are no pidfds.
const commandPoll = 50 * time.Millisecond

func (w *watched) nextTurn(now time.Duration) time.Duration {
	next := w.due
	if w.peek != 0 {
		next = min(next, w.peek)
	}
	if w.gone() { // no sample is due any more
		next = now + w.cfg.Budget.Interval
	}
	if a := w.action; a != nil {
		if a.kill != 0 {
			next = min(next, a.kill)
		}
		if a.command != nil && !a.command.late {
			next = min(next, a.command.deadline)
		}
		if a.command != nil && a.command.pidfd < 0 {
			next = min(next, now+commandPoll)
		}
	}
	return max(next, now)
}

// gone reports whether nothing is left to watch: the target has ended, and with a wider scope what it
// left. A watch that may neither speak nor act any more has nothing to watch for.
func (w *watched) gone() bool {
	if !w.left {
		return false
	}
	silent := w.detached && w.log.path == "" && !w.cfg.Journal && w.cfg.Budget.Action == "report" && len(w.cfg.Budget.Command) == 0
	if silent || w.over {
		return true
	}
	w.complain("scope", w.herd.lookForHeirs())
	return w.herd.remaining() == 0
}

// leave is the end of the target itself.
func (w *watched) leave(now time.Duration) {
	w.left = true
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, w.herd.target.pidfd, nil) // it stays readable
	w.outcome.Elapsed = now - w.began
	w.complain("scope", w.herd.lookForHeirs())
	w.say(exited(w.outcome, w.herd.remaining()))
	if w.detached && !w.cfg.Journal { // nobody waits for the end of the journal's
		w.log.closeStderr()
	}
}

// finish is the end of all that was watched.
func (w *watched) finish(now time.Duration) {
	w.over = true
	if w.cfg.Budget.Scope != "process" {
		w.outcome.Elapsed = now - w.began
	}
	w.herd.release()
}
