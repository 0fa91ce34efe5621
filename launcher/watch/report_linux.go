package watch

// Events of a target on their way into the log.

import (
	"path/filepath"
	"time"
)

// reportOnce reports the first error of its kind; the watch goes on with what works.
func (w *watched) reportOnce(what string, err error) {
	if err == nil || w.reported[what] {
		return
	}
	if w.reported == nil {
		w.reported = map[string]bool{}
	}
	w.reported[what] = true
	w.report(watchFailed(err.Error()))
}

// subject is the target as events name it.
func (w *watched) subject() subject {
	name := w.scope.target.name
	if w.cfg.Program != "" {
		name = filepath.Base(w.cfg.Program)
	}
	return subject{w.cfg.Service, name, w.scope.target.pid}
}

// report writes an event, if it is wanted.
func (w *watched) report(e event) {
	if !w.cfg.wanted(e) {
		return
	}
	w.used()
	w.log.put(w.line(e, time.Now()), w.lostLine)
}

// lostLine is the line for those that could not be written.
func (w *watched) lostLine(n int) []byte { return w.line(linesLost(n), time.Now()) }

// retryLog says how many lines were lost as soon as there is room again.
func (w *watched) retryLog() {
	if w.log.lost > 0 {
		w.used()
		w.log.put(nil, w.lostLine)
	}
}

// line is an event as this log has it. A file has no journal that would add the time, and none that would read
// the priority.
func (w *watched) line(e event, at time.Time) []byte {
	line := e.line(w.cfg.Log.Format, at, w.subject())
	switch {
	case w.cfg.Log.Format == "json":
	case w.log.path != "":
		line = append([]byte(timestamp(at)+" "), line...)
	case w.cfg.Journal:
		line = append([]byte(e.priority().Prefix()), line...)
	}
	return line
}

// FailedLine is the event watch-failed as the log has it, and the log's file ("" is stderr), for a process that can
// only make system calls any more.
func FailedLine(cfg Config, pid int, reason string) (line []byte, file string) {
	l := &eventLog{fd: -1}
	if cfg.Log.To != "stderr" {
		l.path = cfg.Log.To
	}
	return unwatched(cfg, pid, l).line(watchFailed(reason), time.Now()), l.path
}

// Failed writes the event watch-failed for a target that is not watched: into the log, or on stderr where
// the log cannot be opened. It never blocks.
func Failed(cfg Config, pid int, reason string) {
	l, err := openLog(cfg.Log.To)
	if err != nil {
		l = openStderr(2)
	}
	defer l.close()
	unwatched(cfg, pid, l).report(watchFailed(reason))
}

// unwatched is a target that only a log is needed for.
func unwatched(cfg Config, pid int, l *eventLog) *watched {
	return &watched{engine: &engine{}, cfg: &cfg, log: l, scope: newScope(&process{pid: pid}, "process", nil)}
}
