package watch

// This file writes a target's events to the log.

import (
	"path/filepath"
	"time"
)

// reportOnce reports the first error of each kind; the watch continues.
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

// report writes an event if the configuration wants it.
func (w *watched) report(e event) {
	if !w.cfg.wanted(e) {
		return
	}
	w.used()
	w.put(w.line(e, time.Now()))
}

// put writes a line. If earlier lines were lost, it first writes how many; with a nil line it writes only that.
func (w *watched) put(line []byte) {
	if w.log.path != "" {
		w.log.put(line, w.lostLine)
		return
	}
	w.printAbove(func() { w.log.put(line, w.lostLine) })
}

// lostLine reports n lines that could not be written.
func (w *watched) lostLine(n int) []byte { return w.line(linesLost(n), time.Now()) }

// retryLog reports lost lines as soon as the log can be written again.
func (w *watched) retryLog() {
	if w.log.lost > 0 {
		w.used()
		w.put(nil)
	}
}

// line formats an event for this log. In text format, a line for a file begins with the time. A line for the journal
// begins with the priority, and has no time, because the journal adds the time.
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

// FailedLine returns the line of a watch-failed event and the log's path ("": stderr). A forked process that can only
// make system calls needs the line prepared in advance.
func (c Config) FailedLine(reason string) (line []byte, file string) {
	l := &eventLog{fd: -1}
	if c.Log.To != "stderr" {
		l.path = c.Log.To
	}
	return unwatched(c, l).line(watchFailed(reason), time.Now()), l.path
}

// Failed writes a watch-failed event for a target that is not watched: to the log, or to stderr if the log cannot be
// opened. It never blocks.
func (c Config) Failed(reason string) {
	l, err := openLog(c.Log.To)
	if err != nil {
		l = openStderr(2)
	}
	defer l.close()
	unwatched(c, l).report(watchFailed(reason))
}

// unwatched returns a target that can only report.
func unwatched(cfg Config, l *eventLog) *watched {
	return &watched{engine: &engine{}, cfg: &cfg, log: l, scope: newScope(&process{pid: cfg.PID}, "process", nil)}
}
