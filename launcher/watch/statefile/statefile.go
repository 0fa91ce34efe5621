// Package statefile reads and writes the state file of the watch of a host, which has the counters of each service
// and the state of each target. The exporter reads the file, and so does the next watch when it starts.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
	"arenacap/launcher/watch/budget"
)

// Path is the default path of the state file.
const Path = "/run/arenacap/watch.json"

// version changes when a reader of the old format would misread the new one.
const version = 1

// Record is the content of the file.
type Record struct {
	Version  int                 `json:"version"`
	PID      int                 `json:"pid"`        // PID of the watch
	Started  int64               `json:"started_ns"` // start of the watch, in nanoseconds since boot
	Boot     string              `json:"boot_id"`
	Services map[string]*Service `json:"services"`
}

// Service is the part of the file about one service.
type Service struct {
	Warnings map[string]uint64 `json:"warnings"` // number of warnings, by metric
	Breaches map[string]uint64 `json:"breaches"`
	Targets  []Target          `json:"targets"`
}

// Target is one target: a process, the root of a tree, or a member of a control group.
type Target struct {
	PID        int            `json:"pid"`
	Started    int64          `json:"started_ns"`        // nanoseconds since boot
	Group      string         `json:"group,omitempty"`   // scope "cgroup": the folder of the control group
	GrowthBase *uint64        `json:"growth_base_bytes"` // the zero point of growth; null before the end of the settle time
	Running    budget.Running `json:"running"`
	Acting     []string       `json:"acting"` // metrics with an unfinished action
}

// read reads and validates a state file.
func read(path string) (r Record, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Record{}, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return Record{}, err
	}
	if r.Version != version {
		return Record{}, fmt.Errorf("the version is %d, expected %d", r.Version, version)
	}
	for name, s := range r.Services {
		if s == nil {
			return Record{}, fmt.Errorf("service %q is null", name)
		}
	}
	return r, nil
}

// readRunning reads a state file. ok is false unless the watch that writes it runs. readRunning does not compare the boot
// ID, because in a container a sandboxed service may see another boot ID than the watch: systemd-nspawn mounts a file of its
// own over /proc/sys/kernel/random/boot_id, and ProtectKernelTunables= hides that mount.
func readRunning(path string) (r Record, ok bool, err error) {
	if r, err = read(path); err != nil {
		return Record{}, false, err
	}
	stat, err := proc.Here.Stat(r.PID)
	return r, err == nil && int64(stat.Started) == r.Started, nil
}

// Watched returns, from a state file, the PID of the watch of a host (0: none runs) and its targets with the other
// processes of their control groups: PID to start time in nanoseconds since boot.
func Watched(path string) (watch int, targets map[int]int64) {
	r, ok, _ := readRunning(path)
	if !ok {
		return 0, nil
	}
	targets = map[int]int64{}
	for _, s := range r.Services {
		for _, t := range s.Targets {
			targets[t.PID] = t.Started
			if t.Group == "" {
				continue
			}
			pids, _ := cgroup.Processes(t.Group) // no PIDs if the group was removed
			for _, pid := range pids {
				if stat, err := proc.Here.Stat(pid); err == nil && pid != t.PID {
					targets[pid] = int64(stat.Started)
				}
			}
		}
	}
	return r.PID, targets
}

// Counters are the values of one service that package metrics reads from a state file.
type Counters struct {
	Warnings, Breaches map[string]uint64 // numbers of warnings and breaches, by metric
	GrowthBases        map[int]uint64    // zero point of growth by PID, in bytes, of the targets that run
}

// Read returns the counters of each service: none if there is no state file, or if its watch does not run.
func Read(path string) (map[string]Counters, error) {
	r, ok, err := readRunning(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state file %q of the watch: %w", path, err)
	}
	all := map[string]Counters{}
	if !ok {
		return all, nil
	}
	for name, s := range r.Services {
		bases := map[int]uint64{}
		for _, t := range s.Targets {
			if stat, err := proc.Here.Stat(t.PID); err == nil && int64(stat.Started) == t.Started && t.GrowthBase != nil {
				bases[t.PID] = *t.GrowthBase
			}
		}
		all[name] = Counters{s.Warnings, s.Breaches, bases}
	}
	return all, nil
}
