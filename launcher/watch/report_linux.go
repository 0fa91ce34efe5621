package watch

// Events of a target on their way into the log.

import (
	"fmt"
	"path/filepath"
	"time"
)

// complain tells once what does not work; the watch goes on with the rest.
func (w *watched) complain(what string, err error) {
	if err == nil || w.mute[what] {
		return
	}
	if w.mute == nil {
		w.mute = map[string]bool{}
	}
	w.mute[what] = true
	w.say(watchFailed(err.Error()))
}

func (w *watched) who() speaker {
	name := w.herd.target.name
	if w.cfg.Program != "" {
		name = filepath.Base(w.cfg.Program)
	}
	return speaker{w.cfg.Service, name, w.herd.target.pid}
}

// say writes an event, if it is wanted.
func (w *watched) say(e event) {
	if !w.cfg.wanted(e.kind) {
		return
	}
	w.used()
	at := time.Now()
	w.log.put(w.line(e, at), func(n int) []byte {
		return w.line(watchFailed(fmt.Sprintf("%d events could not be written here", n)), at)
	})
}

// line is an event as this log has it. A file has no journal that would add the time, and none that would read
// the priority.
func (w *watched) line(e event, at time.Time) []byte {
	line := e.line(w.cfg.Log.Format, at, w.who())
	switch {
	case w.cfg.Log.Format == "json":
	case w.log.path != "":
		line = append([]byte(timestamp(at)+" "), line...)
	case w.cfg.Journal:
		line = append([]byte(e.priority().Prefix()), line...)
	}
	return line
}
