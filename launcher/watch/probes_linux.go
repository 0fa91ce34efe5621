package watch

// This file has the probes that use package arena.

import (
	"errors"

	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
)

// kernelProbes read real processes; tests use others.
var kernelProbes = probes{count: countArenas, inspect: inspectParts}

func countArenas(pid int) (arena.Census, error) {
	c, err := arena.Count(pid)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, arena.ErrNoMemory) {
		err = errGone
	}
	return c, err
}

// inspectParts adds up the parts by kind, so that events contain no file names of the target.
func inspectParts(pid int) ([]part, error) {
	p, err := arena.Inspect(pid)
	if err != nil {
		return nil, err
	}
	var parts []part
	for _, from := range p.Parts {
		parts = addPart(parts, part{from.Kind, from.Count, int64(from.Virtual), int64(from.Data), int64(from.Resident)})
	}
	return parts, nil
}
