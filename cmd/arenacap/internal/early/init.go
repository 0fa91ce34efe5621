//go:build !arenacap_no_early

package early

// All that the package does.

import (
	"errors"
	"os"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
)

// init runs on the process's first thread, from which the exec of the target must come (launcher.Exec). It returns
// where there is something for package main to do.
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
