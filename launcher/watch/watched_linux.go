package watch

// One target of a watch, from its first turn to its last.

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// watched is the state of one target.
type watched struct {
	*engine
	cfg          *Config   // the engine's, or that of the target's service
	log          *eventLog // likewise
	member       *member   // in the watch of a host, else nil
	index        int       // in engine.watched
	scope        *scope
	state        *state
	base         breakdown // the virtual size when settle ended
	next         time.Duration
	due          time.Duration // the next sample
	looked       time.Duration // the last one, or the start
	peek         time.Duration // when the target's size is read beside the samples; 0 is never
	notified     bool          // the target or the command may have ended
	action       *action
	queue        []change        // breaches whose action follows
	killReported bool            // that SIGKILL was sent
	around       time.Duration   // when descendants are looked at next
	carrier      bool            // the target only starts other programs
	descendant   *process        // the largest that is no carrier, nil is none
	told         bool            // that a descendant holds more than the target
	ended        bool            // the target itself has ended
	finished     bool            // nothing is left to watch
	reported     map[string]bool // see reportOnce
	outcome      Outcome
}

// add takes in a target. Settle counts from its birth: nothing better is known of a process that arenacap did not start, and
// one that arenacap forked executes its program at once.
func (e *engine) add(p *process) *watched {
	if e.began < 0 {
		e.began = e.clock()
	}
	w := e.put(p, &e.cfg, e.log)
	w.due = e.began
	if e.cfg.Mode != "attach" { // there the start was long ago
		w.peek = nextPeek(e.began, e.began, e.cfg.Budget.Interval)
	}
	w.scope.launched = e.cfg.Mode != "attach"
	e.frugal = e.frugal && e.cfg.Budget.Scope == "process" && p.statm >= 0 && p.pidfd >= 0
	return w
}

// put takes in a target with a configuration and a log of its own, in the place of one that is finished where there is one.
func (e *engine) put(p *process, cfg *Config, log *eventLog) *watched {
	now := e.clock()
	w := &watched{engine: e, cfg: cfg, log: log, due: now, looked: now, outcome: Outcome{PID: p.pid}}
	w.scope = newScope(p, cfg.Budget.Scope, w.own)
	w.state = newState(cfg.Limits, cfg.Budget, p.born+cfg.Budget.Settle)
	if last := len(e.free) - 1; last >= 0 {
		w.index, e.free = e.free[last], e.free[:last]
		e.watched[w.index] = w
		return w
	}
	w.index = len(e.watched)
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
			w.scope.since = own.Started
		}
	}
	return w
}

// own reports whether a process is a watch or its command, which may be in the target's control group.
func (w *watched) own(pid int) bool {
	return pid == os.Getpid() || w.member.isOurs(pid) || w.action != nil && w.action.command != nil && pid == w.action.command.cmd.Process.Pid
}

// start reports what is watched.
func (w *watched) start() {
	w.looked = w.clock()
	w.report(started(*w.cfg))
	if w.noLog != nil && w.member == nil {
		w.report(logFailed(w.noLog.Error()+"; stderr takes its place", 0))
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

// gone reports whether nothing is left to watch: the target has ended, and with a wider scope the processes that it
// left. A watch that can neither report nor act any more is not needed either.
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

// silent reports whether a watch has nothing to report to and nothing to do once its target has ended, whose stderr it
// closes then.
func (w *watched) silent() bool {
	return w.detached && w.log.path == "" && !w.cfg.Journal && w.cfg.Budget.Action == "report" && len(w.cfg.Budget.Command) == 0
}

// leave is the end of the target itself.
func (w *watched) leave(now time.Duration) {
	w.ended = true
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, w.scope.target.pidfd, nil) // it stays readable
	w.outcome.Elapsed = now - w.began
	w.reportOnce("scope", w.scope.relist())
	w.tellLeft(now)
	w.report(exited(w.outcome, w.scope.remaining(), !w.silent()))
	if w.detached && !w.cfg.Journal { // the end of the journal's is not waited for
		w.log.closeStderr()
	}
}

// abandon is the end of the watch while processes are left.
func (w *watched) abandon(why error) {
	w.outcome.Elapsed = w.clock() - w.began
	text := why.Error()
	if w.action != nil && w.action.kill != 0 {
		text += " and no SIGKILL follows"
	}
	w.report(watchEnded(w.outcome, len(w.scope.all()), text))
}

// finish is the end of all that was watched.
func (w *watched) finish(now time.Duration) {
	w.finished = true
	if w.cfg.Budget.Scope != "process" {
		w.outcome.Elapsed = now - w.began
	}
	w.scope.release()
}
