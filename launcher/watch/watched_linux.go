package watch

// This file handles one target of a watch, from its first turn to its last.

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/watch/budget"
)

// watched is the state of one target.
type watched struct {
	*engine
	cfg          *Config   // the engine's configuration; in the watch of a host, the service's
	log          *eventLog // the engine's log; in the watch of a host, the service's
	member       *member   // the process of a service; nil except in the watch of a host
	index        int       // the target's index in the engine's list "watched"
	scope        *scope
	state        *budget.State
	base         breakdown // the parts of the virtual size at the end of the time `settle`
	baseDue      bool      // the time `settle` has ended, and the parts at its end are not known yet
	next         time.Duration
	due          time.Duration  // time of the next sample
	last         budget.Reading // the last sample; without processes if it failed
	looked       time.Duration  // time of the last sample, or of the start
	peek         time.Duration  // time of the next peek (nextPeek); 0: never
	notified     bool           // the target or the policy's command may have ended
	action       *action
	queue        []budget.Change // breaches that wait for their action
	killReported bool            // SIGKILL was reported
	around       time.Duration   // time of the next scan for descendants
	carrier      bool            // the target is a carrier (package target)
	descendant   *process        // the largest descendant that is not a carrier; nil: none
	told         bool            // a larger descendant was reported
	ended        bool            // the target itself has ended
	finished     bool            // nothing is left to watch
	reported     map[string]bool // see reportOnce
	outcome      Outcome
}

// add adds a target. The time `settle` begins at the start time of the process: a process that arenacap forked executes
// its program at once, and for other processes no better time is known (but see addLaunched).
func (e *engine) add(p *process) *watched {
	if e.began < 0 {
		e.began = e.clock()
	}
	w := e.put(p, &e.cfg, e.log)
	w.due = e.began
	if e.cfg.Mode != "attach" { // an attached target may have started long ago
		w.peek = nextPeek(e.began, e.began, e.cfg.Budget.Interval)
	}
	w.scope.launched = e.cfg.Mode != "attach"
	e.frugal = e.frugal && e.cfg.Budget.Scope == "process" && p.statm >= 0 && p.pidfd >= 0
	return w
}

// put adds a target with its own configuration and log, in a free slot if there is one.
func (e *engine) put(p *process, cfg *Config, log *eventLog) *watched {
	now := e.clock()
	w := &watched{engine: e, cfg: cfg, log: log, due: now, looked: now, outcome: Outcome{PID: p.pid}}
	w.scope = newScope(p, cfg.Budget.Scope, w.own)
	w.scope.list = e.listOnce
	w.state = budget.New(cfg.Limits, cfg.Budget, p.born+cfg.Budget.Settle)
	if last := len(e.free) - 1; last >= 0 {
		w.index, e.free = e.free[last], e.free[:last]
		e.watched[w.index] = w
		return w
	}
	w.index = len(e.watched)
	e.watched = append(e.watched, w)
	return w
}

// addLaunched adds the process of the launch itself, which has just executed the target's program. The process may be
// much older, for example a shell that executed arenacap. Its earlier children do not belong to the target. The watch
// was forked just before the exec, so a child that is older than the watch is one of the earlier children.
func (e *engine) addLaunched(p *process) *watched {
	w := e.add(p)
	w.state.SettleEnds = w.began + e.cfg.Budget.Settle
	if own, err := proc.Here.Stat(os.Getpid()); err == nil {
		w.scope.since = own.Started
	}
	return w
}

// own reports whether a process is this watch or its command or, in the watch of a host, runs arenacap. Such processes
// may be in the target's control group and never count.
func (w *watched) own(pid int) bool {
	return pid == os.Getpid() || w.member.isOurs(pid) || w.action != nil && w.action.command != nil && pid == w.action.command.cmd.Process.Pid
}

// start reports the first events of a target.
func (w *watched) start() {
	w.looked = w.clock()
	w.report(started(*w.cfg))
	if w.noLog != nil && w.member == nil {
		w.report(logFailed(w.noLog.Error()+"; events go to stderr instead", 0))
	}
	for _, why := range w.cfg.Notices {
		w.report(capCannotWork(why))
	}
}

// turn does what is due for one target and sets the time of its next turn.
func (w *watched) turn(now time.Duration) {
	w.next = never
	if w.finished {
		return
	}
	if !w.ended && (w.notified || w.scope.target.pidfd < 0) && w.scope.target.ended() {
		w.leave(now)
	}
	w.notified = false
	w.advanceAction(now)
	w.member.resumeAction(w, now)
	if now >= w.due && !w.gone() {
		w.sample(now)
		w.due = nextSample(w.due, now, w.cfg.Budget.Interval)
	}
	if w.peek != 0 && now >= w.peek {
		w.samplePeak()
		w.reportOnce("kin", w.scope.findChildren())
		w.peek = nextPeek(w.began, now, w.cfg.Budget.Interval)
	}
	if w.gone() && (w.action == nil || w.action.command == nil) {
		w.finish(now)
		return
	}
	w.next = w.nextTurn(now)
}

// commandPoll is the interval of checks for a command's end without a pidfd.
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
		for _, at := range []time.Duration{a.waits, a.kill} {
			if at != 0 {
				next = min(next, at)
			}
		}
		if a.command != nil && !a.command.timedOut {
			next = min(next, a.command.deadline)
		}
		if a.command != nil && a.command.pidfd < 0 {
			next = min(next, now+commandPoll)
		}
	}
	return max(next, now)
}

// gone reports whether nothing is left to watch: the target has ended and so have the other processes of the scope, or the
// watch can no longer report or act.
func (w *watched) gone() bool {
	if !w.ended {
		return false
	}
	if w.silent() || w.finished {
		return true
	}
	w.reportOnce("scope", w.scope.relist())
	return w.scope.remaining() == 0
}

// silent reports whether the watch can neither report nor act after the target's end. This is so if the policy has no action
// and the watch's only log is the target's stderr, because the watch closes this log when the target ends.
func (w *watched) silent() bool {
	return w.detached && w.log.path == "" && !w.cfg.Journal && !w.cfg.acts()
}

// leave handles the end of the target itself.
func (w *watched) leave(now time.Duration) {
	w.ended = true
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, w.scope.target.pidfd, nil) // the pidfd of an ended process stays readable and would wake the loop again and again
	w.outcome.Elapsed = now - w.began
	w.reportOnce("scope", w.scope.relist())
	w.tellLeft(now)
	w.report(exited(w.outcome, w.scope.remaining(), !w.silent()))
	if w.detached && !w.cfg.Journal { // a reader at the other end of stderr may wait for end of file; the journal does not wait
		w.log.closeStderr()
	}
}

// abandon reports the end of a watch whose processes still run.
func (w *watched) abandon(why error) {
	w.outcome.Elapsed = w.clock() - w.began
	text := why.Error()
	if w.action != nil && w.action.kill != 0 {
		text += "; the pending SIGKILL is not sent"
	}
	w.report(watchEnded(w.outcome, len(w.scope.all()), text))
}

// finish releases a target with nothing left to watch.
func (w *watched) finish(now time.Duration) {
	w.finished = true
	if w.cfg.Budget.Scope != "process" {
		w.outcome.Elapsed = now - w.began
	}
	w.scope.release()
}
