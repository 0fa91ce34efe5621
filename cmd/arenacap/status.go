package main

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

// launchError marks an error of a command that launches: whatever it was, the target did not run.
type launchError struct{ error }

func (e launchError) Unwrap() error { return e.error }

// noError is the answer no: a status, and nothing more to say.
type noError struct{}

func (noError) Error() string { return "" }

// status is the one place where errors become exit statuses.
func status(err error) int {
	var start *launcher.StartError
	var launch launchError
	var usage *usageError
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
