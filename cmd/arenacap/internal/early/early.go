// Package early launches before most of the program is initialised.
//
// An init function here runs before those of the libraries that a launch has no use for, because Go initialises
// packages in the order of their import paths, always the first of those whose imports are ready ("Package
// initialization", go.dev/ref/spec; in force since Go 1.21), and "arenacap/…" comes before "github.com/…". So this
// package must import, by whatever way, nothing but the standard library, golang.org/x, the TOML parser and what
// of ours keeps to the same (TestEarly). Each start would otherwise spend 0.8 ms more, in a release 0.5, of 3: urfave/cli
// and what a launch asks of it, gopsutil (0.25 ms: it reads /proc/stat), blackfriday (0.3, plain builds only),
// charts, go-humanize, net/netip.
//
// The runtime calls init functions on the process's first thread, from which the exec of the target must come
// (launcher.Exec).
package early

import (
	"errors"
	"os"
	"strings"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/watch"
)

// init launches where the command line is an ordinary one of run, and becomes the watch where this process is one.
// Everything else is left to package main: then nothing was said or done.
func init() {
	if len(os.Args) == 1 && strings.HasPrefix(os.Args[0], watch.ProcessName) {
		watch.Detached(run.Judge)
	}
	if line, ok := run.Read(os.Args); ok {
		launch(line)
	}
}

// launch returns only where the plan needs a library that is not initialised yet.
func launch(line run.Line) {
	err := line.Launch(nil)
	if errors.Is(err, run.ErrNoLibrary) {
		return
	}
	say.Report(err)
	os.Exit(say.Status(err))
}
