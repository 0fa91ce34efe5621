// Package cgroup knows the texts of control groups: in which groups a process is (cgroup.go), where they can be seen
// (mountinfo.go, group.go), which processes a group has (procs.go), and its limits (limit.go), which are other files in
// version 1 (v1.go) than in version 2 (v2.go). Parsers are pure; what reads files takes the root of the machine.
//
// Known limits: a group above the namespace or above every mount is out of sight, and so is its CPU quota (the kernel
// tells a sum for memory only, and only in version 1). memory.high is not a limit but a brake, and does not count.
package cgroup

import (
	"fmt"
	"strings"
)

// Membership is the group of a process in one hierarchy.
type Membership struct {
	Version     int    // of control groups, 1 or 2
	Controllers string // of a hierarchy of version 1, with commas between: "cpu,cpuacct", "name=systemd"
	Path        string // of the group, as the reader's cgroup namespace has it
}

// Memberships are the groups of one process, one in each hierarchy.
type Memberships []Membership

// ParseMemberships reads /proc/PID/cgroup, one line a hierarchy (cgroups(7)):
//
//	hierarchy-ID:controller-list:cgroup-path
//	4:memory:/a        of version 1
//	3:cpu,cpuacct:/a   of version 1, with two controllers
//	1:name=systemd:/a  of version 1, with a name and no controller
//	0::/a              the hierarchy of version 2
//
// The path is not escaped, as a group's name cannot hold a newline; seen from within a cgroup namespace it may begin with
// "/..". In version 2 " (deleted)" ends the path of a zombie whose group was removed (cgroup-v2.rst, "Processes"). It is
// left there: a live group may have such a name, and another group may have the old name by now.
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

// In gives the membership in the hierarchy of version 1 that has a controller, or a name as "name=systemd"; "" stands for
// the hierarchy of version 2.
func (ms Memberships) In(controller string) (Membership, bool) {
	for _, m := range ms {
		if m.Version == 2 && controller == "" || m.Version == 1 && hasWord(m.Controllers, controller) {
			return m, true
		}
	}
	return Membership{}, false
}

// Limiting gives the membership whose limits hold for a controller. A controller is in one hierarchy only, so that
// version 2 has those that no hierarchy of version 1 names.
func (ms Memberships) Limiting(controller string) (Membership, bool) {
	if m, ok := ms.In(controller); ok {
		return m, true
	}
	return ms.In("")
}

// hasWord reports whether a comma-separated list has the word.
func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}
