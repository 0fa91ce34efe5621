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

// usageError is a mistake on the command line.
type usageError struct {
	command string // "" is the tool itself
	message string
}

// Usage is a mistake in the use of a command; "" is the tool itself.
func Usage(command, message string) error { return &usageError{command, message} }

func (e *usageError) Error() string { return e.message }

// tryHelp is the line that follows a mistake on the command line.
func (e *usageError) tryHelp() string {
	if e.command == "" {
		return "Try 'arenacap --help'."
	}
	return "Try 'arenacap " + e.command + " --help'."
}

// statusError is an error whose status was decided, whatever it is.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// Launch marks an error of a command that launches: whatever it was, the target did not run.
func Launch(err error) error { return statusError{err, statusOwn} }

// Ended is a target that ran: its status, and nothing to say.
func Ended(status int) error { return statusError{errors.New(""), status} }

// No is the answer no: a status, and nothing more to say.
var No = Ended(statusNo)

// Status is the one place where errors become exit statuses.
func Status(err error) int {
	var start *launcher.StartError
	var decided statusError
	var usage *usageError
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &decided):
		return decided.status
	case errors.As(err, &start):
		return start.Status()
	case errors.As(err, &usage):
		return statusUsage
	}
	return statusNo
}
