package main

// Which watch watches a process.

import (
	"strconv"

	"arenacap/launcher/proc"
	"arenacap/launcher/service"
	"arenacap/launcher/watch"
)

// watchers is the watches that run on this host.
type watchers struct {
	own    map[int]int // those of launches, by the process that each watches
	host   int         // the watch of the host's services, 0 is none
	byHost map[int]int64
}

// findWatchers looks for them. Where processes are hidden so are their watches.
func findWatchers() (w watchers) {
	w.own, _ = service.Watches(proc.Here)
	w.host, w.byHost = watch.WatchedByHost(watch.StateFile)
	return w
}

// of is the PID of a process's watch, 0 where there is none: its own before that of the host.
func (w watchers) of(pid int) int {
	if own := w.own[pid]; own != 0 {
		return own
	}
	started, listed := w.byHost[pid]
	if !listed {
		return 0
	}
	text, _ := proc.Here.Read("/proc/" + strconv.Itoa(pid) + "/stat")
	if stat, err := proc.ParseStat(text); err != nil || int64(stat.Started) != started {
		return 0 // another process has its PID now
	}
	return w.host
}

// words is the same for people, "" where there is none.
func (w watchers) words(pid int) string {
	switch by := w.of(pid); by {
	case 0:
		return ""
	case w.host:
		return "by PID " + strconv.Itoa(by) + ", with the services of this host"
	default:
		return "by PID " + strconv.Itoa(by) + ", a watch of its own"
	}
}
