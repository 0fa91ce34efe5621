//go:build !arenacap_no_early

package early

// This init function runs ordinary launches and watches, before the libraries are initialised.

import (
	"errors"
	"os"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
)

// init runs on the process's first thread, which must do the exec of the target (launcher.Exec). It returns only if
// package main must handle the command line.
func init() {
	run.BecomeWatch(os.Args)
	line, ok := run.Read(os.Args)
	if !ok {
		return
	}
	if err := line.Launch(nil); !errors.Is(err, run.ErrNoLibrary) {
		say.Report(err)
		os.Exit(say.Status(err))
	}
}
