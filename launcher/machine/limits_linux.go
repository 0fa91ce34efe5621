// This file reads the CPU quota and the memory limit of the control groups, and the host's memory.

package machine

import (
	"errors"
	"fmt"

	"arenacap/launcher/proc/cgroup"
	"arenacap/policy"
)

// groups holds the control groups of the first thread, which will exec, and the mounts of control groups.
type groups struct {
	of     cgroup.Memberships
	mounts []cgroup.Mount
	err    error
}

const (
	groupFile = "/proc/self/cgroup"
	mountFile = "/proc/self/mountinfo"
)

func (h host) groups() (g groups) {
	text, err := h.Read(groupFile)
	if err != nil {
		return groups{err: err}
	}
	if g.of, err = cgroup.ParseMemberships(text); err != nil {
		return groups{err: in(groupFile, err)}
	}
	if text, err = h.Read(mountFile); err != nil {
		return groups{err: err}
	}
	g.mounts, err = cgroup.ParseMountinfo(text)
	g.err = in(mountFile, err)
	return g
}

// find returns the group whose limits apply for a controller, or the zero Group if no hierarchy has the controller. If
// no mount shows the group itself, it also returns an error that names the group; then only the folders of groups above
// it, if any, exist.
func (h host) find(g groups, controller string) (cgroup.Group, error) {
	if g.err != nil {
		return cgroup.Group{}, g.err
	}
	m, ok := g.of.Limiting(controller)
	if !ok {
		return cgroup.Group{}, nil
	}
	group := m.Find(h.Root, g.mounts)
	if !group.Own || group.Missing {
		return group, fmt.Errorf("no mount shows the %s group %q of cgroup v%d", controller, m.Path, m.Version)
	}
	return group, nil
}

// quota is the smallest CPU quota, in CPUs. It is computed by one division of integers, so whole numbers are exact.
func (h host) quota(g groups) policy.Reading[float64] {
	group, hidden := h.find(g, "cpu")
	best, errs := group.CPU(h.Root)
	bad := append([]error{hidden}, errs...)
	if best.Den == 0 {
		return policy.Reading[float64]{Why: reasons(bad...)}
	}
	return policy.Reading[float64]{N: float64(best.Num) / float64(best.Den), From: best.From + notCounted(bad)}
}

const meminfoFrom = "/proc/meminfo: MemTotal"

// memory is the smallest memory limit, or the host's memory if that is less.
func (h host) memory(g groups, lib Host) policy.Reading[uint64] {
	group, hidden := h.find(g, "memory")
	best, errs := group.Memory(h.Root)
	bad := append([]error{hidden}, errs...)
	total, err := total(lib)
	switch {
	case best.Den != 0 && (total == 0 || best.Num < total):
		return policy.Reading[uint64]{N: best.Num, From: best.From + notCounted(bad)}
	case total != 0:
		return policy.Reading[uint64]{N: total, From: meminfoFrom + notCounted(bad)}
	}
	return policy.Reading[uint64]{Why: reasons(append([]error{err}, bad...)...)}
}

// total is the host's memory in bytes.
func total(lib Host) (uint64, error) {
	if lib == nil {
		return 0, errors.New(not)
	}
	bytes, err := lib.Memory()
	if err == nil && bytes == 0 {
		err = errors.New("gopsutil found no MemTotal in /proc/meminfo")
	}
	return bytes, err
}

// notCounted formats the errors about groups that could not be read, to append them to the source of a limit.
func notCounted(bad []error) string {
	if why := reasons(bad...); why != "" {
		return "; not counted: " + why
	}
	return ""
}
