// This file reads cgroup.procs, which lists the processes of a group.

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Processes returns the PIDs of the group of a folder and of all groups below it.
func Processes(folder string) (pids []int, err error) {
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return ignoreGone(err)
		}
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return ignoreGone(err)
		}
		more, err := parseProcs(text)
		pids = append(pids, more...)
		return err
	})
	return pids, err
}

// ignoreGone ignores the error of a group that was removed meanwhile (ENODEV if its file is open), and
// of a threaded group, whose processes are listed in a group above it (EOPNOTSUPP, cgroups(7)).
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EOPNOTSUPP) {
		return nil
	}
	return err
}

// parseProcs parses cgroup.procs: one PID per line, unsorted, possibly repeated. A 0, a process outside
// this PID namespace (cgroups(7)), is skipped, because it cannot be addressed.
func parseProcs(text []byte) (pids []int, err error) {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		pid, err := strconv.ParseUint(line, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("cgroup.procs: %q is not a PID", line)
		}
		if pid != 0 {
			pids = append(pids, int(pid))
		}
	}
	return pids, nil
}
