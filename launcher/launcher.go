// Package launcher turns a plan and a command line into a running, watched server.
//
// The target is the program that arenacap starts. The watch compares the target's memory with a budget. Other packages
// collect facts and decide: policy plans what the operator wants, machine and target describe the host and the program,
// environ builds the target's environment. Exec and Supervise then act on processes. Exec starts the watch if there is a
// budget and replaces this process by the target. Supervise starts the target as a child and stays its parent; its watch
// runs in this process.
package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"arenacap/launcher/watch"
	"arenacap/policy"
)

// Launch is a target that is ready to run, with all decisions made.
type Launch struct {
	Plan policy.Plan
	Path string   // path of the program to execute, from target.Find
	Args []string // the target's arguments; Args[0] is the name as it was typed
	Env  []string // the target's whole environment

	// Watch is the configuration of the watch without its mode and the target's PID; nil starts no watch.
	Watch *watch.Config
}

// needsWatch reports whether the target may start only with its watch.
func (l Launch) needsWatch() bool { return l.Plan.Policy.Launch.OnWatchFailure == "refuse" }

// noWatch returns the error of a launch that needs its watch but cannot start it.
func noWatch(why error) error {
	return fmt.Errorf(`the watch cannot start: %w; on_watch_failure = "refuse" forbids starting the program without a watch`, why)
}

// StartError says why the target did not start. Name is "" if Err already names the program.
type StartError struct {
	Name string
	Err  error
}

func (e *StartError) Error() string {
	if e.Name == "" {
		return e.Err.Error()
	}
	if errors.Is(e.Err, syscall.E2BIG) {
		return fmt.Sprintf("%q: %v: arguments and environment together exceed the limit of execve(2)", e.Name, e.Err)
	}
	return fmt.Sprintf("%q: %v", e.Name, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// Status is the exit status that env(1) and shells use: 127 for a program that was not found, 126 for one that cannot run.
func (e *StartError) Status() int {
	if errors.Is(e.Err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
