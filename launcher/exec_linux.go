package launcher

import (
	"fmt"

	"arenacap/launcher/origin"
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
	watch, err := l.startWatch()
	if err != nil {
		return err
	}
	err = l.exec()
	watch.abandon()
	return err
}

// startWatch starts the watch and says why there is none. Only on_watch_failure = "refuse" makes that an
// error, and only then does the start wait for the watch.
func (l Launch) startWatch() (*watchProcess, error) {
	if l.Watch == nil {
		return nil, nil
	}
	refuse := l.Plan.Policy.Launch.OnWatchFailure == "refuse"
	w, err := startWatch(l.Watch, refuse, l.WatchLine)
	switch {
	case err == nil:
		return w, nil
	case refuse:
		return nil, fmt.Errorf(`the watch cannot start: %w; on_watch_failure = "refuse" forbids a start without it`, err)
	}
	l.WatchFailed(err.Error())
	return nil, nil
}

// exec replaces this process. A file that the kernel knows no format for goes to the shell, as with
// execvp(3).
//
// Go has mapped more than most limits on address space allow, and any mapping that the runtime wanted under one
// would end this process: so it collects no garbage any more, starts no thread, and nothing is allocated between the
// limit and the exec.
func (l Launch) exec() error {
	i, err := newImage(l, l.Env)
	if err != nil {
		return err
	}
	if i.limit != nil {
		origin.SetGCPercent(-1)
	}
	return &StartError{l.Args[0], origin.Exec(&i)}
}

// script is the command line of the shell for a file that the kernel knows no format for.
func (l Launch) script() []string { return append([]string{shell, l.Path}, l.Args[1:]...) }

// shell runs a script without "#!" (glibc: posix/execvpe.c, maybe_script_execute; paths.h, _PATH_BSHELL).
const shell = "/bin/sh"
