package say

// Errors that carry an exit status, and the one place that turns them into it.

import (
	"errors"

	"arenacap/launcher"
)

// Exit statuses. Those of run are the ones of env(1), timeout(1) and the shells; commands that launch
// nothing say 0 for fine, 1 for "the answer is no" and 2 for wrong use.
const (
	statusOK    = 0
	statusNo    = 1
	statusUsage = 2
	statusOwn   = 125 // arenacap itself failed before the target ran
)

// UsageError is a mistake on the command line.
type UsageError struct {
	command string // "" is the tool itself
	message string
}

// Usage is a mistake in the use of a command; "" is the tool itself.
func Usage(command, message string) error { return &UsageError{command, message} }

func (e *UsageError) Error() string { return e.message }

// tryHelp is the line that follows a mistake on the command line.
func (e *UsageError) tryHelp() string {
	if e.command == "" {
		return "Try 'arenacap --help'."
	}
	return "Try 'arenacap " + e.command + " --help'."
}

// Launch marks an error of a command that launches: whatever it was, the target did not run.
func Launch(err error) error { return launchError{err} }

type launchError struct{ error }

func (e launchError) Unwrap() error { return e.error }

// Ended is a target that ran: its status, and nothing to say.
func Ended(status int) error { return endedError{status} }

type endedError struct{ status int }

func (endedError) Error() string { return "" }

// No is the answer no: a status, and nothing more to say.
var No error = endedError{statusNo}

// Status is the one place where errors become exit statuses.
func Status(err error) int {
	var start *launcher.StartError
	var launch launchError
	var usage *UsageError
	var ended endedError
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &ended):
		return ended.status
	case errors.As(err, &start):
		return start.Status()
	case errors.As(err, &launch):
		return statusOwn
	case errors.As(err, &usage):
		return statusUsage
	}
	return statusNo
}
