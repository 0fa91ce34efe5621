// Package cgroup reads control groups: the groups of a process (cgroup.go), their folders (mountinfo.go, group.go), the
// processes of a group (procs.go) and its limits (limit.go), whose files differ between version 1 (v1.go) and version 2
// (v2.go). Parsers are pure functions; functions that read files take the root of the machine, only Processes takes a
// folder.
//
// Known limitations: a group above the cgroup namespace or above every mount is not visible, so its limits are unknown.
// Version 1 has an exception: the file memory.stat of a group has the smallest memory limit of the group and all groups
// above it. memory.high only throttles, so it does not count as a limit.
package cgroup

import (
	"fmt"
	"slices"
	"strings"
)

// Membership is the group of a process in one hierarchy.
type Membership struct {
	Version     int    // version of control groups, 1 or 2
	Controllers string // controllers or name of a version 1 hierarchy, separated by commas: "cpu,cpuacct", "name=systemd"
	Path        string // path of the group, relative to the reader's cgroup namespace
}

// Memberships are the groups of one process, one in each hierarchy.
type Memberships []Membership

// ParseMemberships parses /proc/PID/cgroup, one line per hierarchy (cgroups(7)):
//
//	hierarchy-ID:controller-list:cgroup-path
//	4:memory:/a        of version 1
//	3:cpu,cpuacct:/a   of version 1, with two controllers
//	1:name=systemd:/a  of version 1, with a name and no controller
//	0::/a              the hierarchy of version 2
//
// The path is not escaped, because a group's name cannot contain a newline. In a cgroup namespace it may begin with "/..".
// In version 2 the path of a zombie whose group was removed ends in " (deleted)" (cgroup-v2.rst, "Processes").
// ParseMemberships keeps this suffix: the name of an existing group may end in " (deleted)", and the path without the suffix
// may be that of a new group.
func ParseMemberships(text []byte) (Memberships, error) {
	var list Memberships
	for line := range strings.Lines(string(text)) {
		id, rest, ok1 := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, ok2 := strings.Cut(rest, ":")
		m := Membership{Version: 1, Controllers: controllers, Path: path}
		if id == "0" {
			m = Membership{Version: 2, Path: path}
		}
		if !ok1 || !ok2 || !strings.HasPrefix(path, "/") || m.Version == 1 && controllers == "" {
			return nil, fmt.Errorf(`line %.120q is not "ID:CONTROLLERS:/PATH"`, line)
		}
		list = append(list, m)
	}
	return list, nil
}

// In returns the membership in the version 1 hierarchy with a controller, or with a name such as "name=systemd". ""
// selects the version 2 hierarchy.
func (ms Memberships) In(controller string) (Membership, bool) {
	for _, m := range ms {
		if m.Version == 2 && controller == "" || m.Version == 1 && hasWord(m.Controllers, controller) {
			return m, true
		}
	}
	return Membership{}, false
}

// Limiting returns the membership whose limits apply for a controller. A controller is in one hierarchy only: in version
// 2 unless a hierarchy of version 1 has it.
func (ms Memberships) Limiting(controller string) (Membership, bool) {
	if m, ok := ms.In(controller); ok {
		return m, true
	}
	return ms.In("")
}

// hasWord reports whether a comma-separated list contains a word.
func hasWord(list, word string) bool { return slices.Contains(strings.Split(list, ","), word) }
