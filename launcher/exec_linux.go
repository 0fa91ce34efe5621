// This file launches the target by exec: this process becomes the target.

package launcher

import (
	"os"

	"arenacap/launcher/origin"
)

// Exec starts the watch, if the launch has one, and replaces this process by the target. It returns only on failure: with
// a *StartError if the target cannot start, with any other error if arenacap itself failed.
//
// It must be called from the process's first thread: the thread that calls execve survives, and only the first one has
// the parent-death signal and the default timer slack that arenacap was started with (Linux: fs/exec.c, de_thread;
// kernel/fork.c, copy_process). Package early launches from an init function, which the runtime runs on that thread; in
// other launches package main keeps the main goroutine on it.
func Exec(l Launch) error {
	origin.Recall()
	beside, err := l.startWatch()
	if err != nil {
		return err
	}
	err = l.exec()
	beside.abandon()
	return err
}

// startWatch starts the watch, or reports why it cannot. Only with on_watch_failure = "refuse" does it wait for the watch
// and return an error.
func (l Launch) startWatch() (*detached, error) {
	if l.Watch == nil {
		return nil, nil
	}
	cfg := *l.Watch
	cfg.Mode, cfg.PID = "exec", os.Getpid()
	d, err := detach(cfg, l.needsWatch())
	switch {
	case err == nil:
		return d, nil
	case l.needsWatch():
		return nil, noWatch(err)
	}
	cfg.Failed(err.Error())
	return nil, nil
}

// exec replaces this process by the target.
//
// A Go program maps more address space than most limits allow, and dies if it needs another mapping under such a limit. So
// the garbage collector is off, no thread starts, and nothing is allocated between setrlimit and execve.
func (l Launch) exec() error {
	p, err := newProgram(l, l.Env)
	if err != nil {
		return err
	}
	if p.limit != nil {
		origin.SetGCPercent(-1)
	}
	return &StartError{l.Args[0], origin.Exec(&p)}
}
