package service

// This file reads every process of a host once, with its unit and its control group.

import (
	"path"
	"slices"
	"strings"

	"arenacap/launcher/proc"
)

// Member is one process of a host. The method All returns no kernel threads and no processes of arenacap itself, because
// these belong to no service.
type Member struct {
	Process
	Name  string // the name that ps shows; may contain any bytes
	Group string // the path of its control group; "" if it cannot be read
}

// All reads every process of the host.
func (rs *Rules) All(root proc.Root) (members []Member, err error) {
	pids, err := root.Numbers("/proc")
	var buffer []byte
	for _, pid := range pids {
		p, err := readProcess(root, &buffer, pid)
		if err != nil || p.Kernel || strings.HasPrefix(p.Name, "arenacap") && p.runsArenacap() { // the test of the name comes first, because reading the programs of all processes takes long
			continue
		}
		m := Member{Process: Process{PID: pid, Parent: p.Parent, Started: p.Started, Unit: p.unit()}, Name: p.Name, Group: p.group}
		m.Service, m.Also = rs.belongs(p)
		members = append(members, m)
	}
	return members, err
}

// Scope selects what counts for a service under the scope of its budget: its processes; with "tree" also their descendants;
// with "cgroup" every process of their unit or, without a unit, of their control groups.
func Scope(all []Member, service int, scope string) (counted []Member) {
	if scope == "process" {
		return slices.DeleteFunc(slices.Clone(all), func(m Member) bool { return m.Service != service })
	}
	in := map[int]bool{}
	units, groups := map[string]bool{}, map[string]bool{}
	for _, m := range all {
		if in[m.PID] = m.Service == service; !in[m.PID] {
			continue
		}
		if m.Unit != "" {
			units[m.Unit] = true
		} else if m.Group != "/" { // the root group contains the whole host
			groups[m.Group] = true
		}
	}
	descends := descent(all, in)
	for _, m := range all {
		if in[m.PID] || scope == "tree" && descends(m.PID) || scope == "cgroup" && (units[m.Unit] || within(m.Group, groups)) {
			counted = append(counted, m)
		}
	}
	return counted
}

// descent returns a function that reports whether a process descends from one in roots.
func descent(all []Member, roots map[int]bool) func(pid int) bool {
	parents := map[int]int{}
	for _, m := range all {
		parents[m.PID] = m.Parent
	}
	return func(pid int) bool {
		for range len(all) { // the limit is for cycles, which a PID that was reused during the scan could make
			parent, known := parents[pid]
			if !known || roots[parent] {
				return known
			}
			pid = parent
		}
		return false
	}
}

// within reports whether a group or a group above it is one of groups.
func within(group string, groups map[string]bool) bool {
	for ; strings.TrimPrefix(group, "/") != ""; group = path.Dir(group) {
		if groups[group] {
			return true
		}
	}
	return false
}
