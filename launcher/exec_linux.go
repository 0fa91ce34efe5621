package launcher

import (
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
)

// Exec starts the watch, where the launch has one, and replaces this process by the target. It returns
// only when that failed: a *StartError for the target itself, any other error for arenacap's own part.
//
// It must be called from the process's first thread: the kernel makes the calling thread the only one,
// and the parent-death signal and the timer slack of any other thread are not the ones that the starter
// set (Linux: fs/exec.c, de_thread; kernel/sys.c, PR_SET_PDEATHSIG). Package main locks its first
// goroutine to that thread.
func Exec(l Launch) error {
	origin.Recall()
	watch, err := l.startWatch()
	if err != nil {
		return err
	}
	restore, err := l.setLimit()
	if err == nil {
		origin.Restore()
		err = l.exec()
		restore()
	}
	signal.Ignore(syscall.SIGPIPE) // the watch may be gone already
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
	w, err := startWatch(l.Watch, refuse)
	switch {
	case err == nil:
		return w, nil
	case refuse:
		return nil, fmt.Errorf(`the watch cannot start: %w; on_watch_failure = "refuse" forbids a start without it`, err)
	}
	l.WatchFailed(err.Error())
	return nil, nil
}

// setLimit puts RLIMIT_AS on this process, for the target to inherit. Like softlimit -a it sets the soft
// limit only, at most the hard one. What this process already maps does not matter: execve starts afresh.
func (l Launch) setLimit() (restore func(), err error) {
	if l.Plan.HardLimit == 0 {
		return func() {}, nil
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &before); err != nil {
		return nil, fmt.Errorf("hard = true needs RLIMIT_AS, and it cannot be read: %w", err)
	}
	after := before
	after.Cur = min(l.Plan.HardLimit, before.Max)
	if err := unix.Setrlimit(unix.RLIMIT_AS, &after); err != nil {
		return nil, fmt.Errorf("hard = true needs RLIMIT_AS of %d bytes, and it cannot be set: %w", after.Cur, err)
	}
	return func() { _ = unix.Setrlimit(unix.RLIMIT_AS, &before) }, nil
}

// exec replaces this process. A file that the kernel knows no format for goes to the shell, as with
// execvp(3).
func (l Launch) exec() error {
	err := syscall.Exec(l.Path, l.Args, l.Env)
	if errors.Is(err, syscall.ENOEXEC) {
		err = syscall.Exec(shell, l.script(), l.Env)
	}
	return &StartError{l.Args[0], err}
}

// script is the command line of the shell for a file that the kernel knows no format for.
func (l Launch) script() []string { return append([]string{shell, l.Path}, l.Args[1:]...) }

// shell runs a script without "#!" (glibc: posix/execvpe.c, maybe_script_execute; paths.h, _PATH_BSHELL).
const shell = "/bin/sh"
