package say

// This file has the errors that carry an exit status, and Status, which extracts it.

import (
	"errors"

	"arenacap/launcher"
)

// These are the exit statuses. The command run uses those of env(1), timeout(1) and shells. Other commands use 0 for
// success, 1 for a negative answer or a failure, and 2 for wrong usage.
const (
	statusOK    = 0
	statusNo    = 1
	statusUsage = 2
	statusOwn   = 125 // arenacap itself failed before the target ran
)

// usageError is a mistake on the command line.
type usageError struct {
	command string // the name of the command, such as "plan"; "" for a command line without one
	message string
}

// Usage returns the error for a mistake on the command line. The argument "command" is the name of the command, such as
// "plan"; it is "" if the mistake is outside any command, for example an unknown command.
func Usage(command, message string) error { return &usageError{command, message} }

func (e *usageError) Error() string { return e.message }

// tryHelp returns the line that Report prints below the error message. It says how to get help.
func (e *usageError) tryHelp() string {
	if e.command == "" {
		return "Try 'arenacap --help'."
	}
	return "Try 'arenacap " + e.command + " --help'."
}

// statusError is an error with a fixed status.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// Launch gives an error the status 125: the target did not run.
func Launch(err error) error { return statusError{err, statusOwn} }

// Ended carries the status of a target that ran; it has no message.
func Ended(status int) error { return statusError{errors.New(""), status} }

// No is the status of a negative answer; it has no message.
var No = Ended(statusNo)

// Status is the exit status for an error.
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
