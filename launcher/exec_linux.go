// The launch in place: this process becomes the target.

package launcher

import (
	"os"

	"arenacap/launcher/origin"
	"arenacap/launcher/watch"
)

// Exec starts the watch, where the launch has one, and replaces this process by the target. It returns
// only when that failed: a *StartError for the target itself, any other error for arenacap's own part.
//
// It must be called from the process's first thread: the kernel makes the calling thread the only one,
// and the parent-death signal and the timer slack of any other thread are not the ones that the starter
// set (Linux: fs/exec.c, de_thread; kernel/sys.c, PR_SET_PDEATHSIG). Package main launches
// from an init function, which the runtime runs on that thread.
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

// startWatch starts the watch, or says why there is none. Only on_watch_failure = "refuse" makes that an
// error, and only then does the start wait for the watch.
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
	watch.Failed(cfg, cfg.PID, err.Error())
	return nil, nil
}

// exec replaces this process.
//
// Go has mapped more than most limits on address space allow, and any mapping that the runtime wanted under one
// would end this process: so it collects no garbage any more, starts no thread, and nothing is allocated between the
// limit and the exec.
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
