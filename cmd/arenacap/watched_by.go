package main

// This file finds out which watch watches a process.

import (
	"cmp"
	"strconv"

	"arenacap/launcher/proc"
	"arenacap/launcher/service"
	"arenacap/launcher/watch/statefile"
)

// watchers are the watches on this host.
type watchers struct {
	own    map[int]int   // PID of the watch that "arenacap run" started, by the PID of its target
	host   int           // PID of "arenacap watch --services", 0 for none
	byHost map[int]int64 // start times of the processes that "watch --services" watches, in ns since boot, by PID
}

// findWatchers lists the watches. It does not find the watch of a hidden process (hidepid).
func findWatchers() (w watchers) {
	w.own, _ = service.Watches(proc.Here)
	w.host, w.byHost = statefile.Watched(statefile.Path)
	return w
}

// of returns the PID of the watch that watches a process; 0 if there is none. If the process has its own watch and the watch
// of the host's services lists it too, the result is its own watch.
func (w watchers) of(pid int) int {
	if own := cmp.Or(w.own[pid], service.SupervisorOf(proc.Here, pid)); own != 0 {
		return own
	}
	started, listed := w.byHost[pid]
	if !listed {
		return 0
	}
	if stat, err := proc.Here.Stat(pid); err != nil || int64(stat.Started) != started {
		return 0 // the PID was reused
	}
	return w.host
}

// words describes the watch of a process, "" for none.
func (w watchers) words(pid int) string {
	switch by := w.of(pid); by {
	case 0:
		return ""
	case w.host:
		return "by PID " + strconv.Itoa(by) + ", which watches the services of this host"
	default:
		return "by PID " + strconv.Itoa(by) + ", its own watch"
	}
}
