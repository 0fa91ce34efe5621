// Package launcher turns a plan and a command line into a running, watched server.
//
// Everything before it only found facts and decided: package policy has what the operator wants and what
// follows from it, machine and target what is there, environ what the target's environment will be.
// Exec and Supervise are the step that touches processes. Exec starts the watch where there is a budget and then
// replaces this process by the target; Supervise starts the target as a child and stays as its parent.
package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"arenacap/launcher/watch"
	"arenacap/policy"
)

// Launch is a target that is ready to run: nothing is left to decide.
type Launch struct {
	Plan policy.Plan
	Path string   // what is executed: the result of target.Find
	Args []string // the target's arguments; Args[0] is the name as it was typed
	Env  []string // the target's whole environment

	// Watch is what the watch needs to know, but for its mode and the target's PID; nil starts none.
	Watch *watch.Config
}

// needsWatch reports whether the target may not start without its watch.
func (l Launch) needsWatch() bool { return l.Plan.Policy.Launch.OnWatchFailure == "refuse" }

// noWatch is the error of a launch that needs its watch.
func noWatch(why error) error {
	return fmt.Errorf(`the watch cannot start: %w; on_watch_failure = "refuse" forbids a start without it`, why)
}

// StartError says why the target did not start. Name is "" where Err names the program itself.
type StartError struct {
	Name string
	Err  error
}

func (e *StartError) Error() string {
	if e.Name == "" {
		return e.Err.Error()
	}
	if errors.Is(e.Err, syscall.E2BIG) {
		return fmt.Sprintf("%q: %v: arguments and environment together are over the limit of execve(2)", e.Name, e.Err)
	}
	return fmt.Sprintf("%q: %v", e.Name, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// Status is the exit status that env(1) and the shells give: 127 where nothing was found, 126 where what
// was found cannot be run.
func (e *StartError) Status() int {
	if errors.Is(e.Err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
