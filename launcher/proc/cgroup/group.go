// This file finds the folder of a control group.

package cgroup

import (
	"slices"
	"strings"

	"arenacap/launcher/proc"
)

// Group holds the folders of a control group and of the groups above it.
type Group struct {
	Folders []string // the folders from the group itself up to the mount point; empty if no mount shows any of them
	Own     bool     // Folders[0] is the path of the group's own folder; if false, Folders has at most the mount point, a group above
	Missing bool     // Own is true, but the folder does not exist: the group was removed, or a later mount hides the folder
	version version
}

// Find searches the mounts for the group. A mount may be hidden by a later one, or show another tree than mountinfo
// says (bind mounts, lxcfs), so mounts with an existing folder of the group come first. Of several such mounts the one
// that shows the most groups above wins; of equal ones the last, which is on top.
func (m Membership) Find(root proc.Root, mounts []Mount) (best Group) {
	for _, at := range mounts {
		g, ok := m.at(at)
		if !ok {
			continue
		}
		g.Missing = g.Own && !root.Exists(g.Folders[0])
		if better, worse := g.there(), best.there(); better && !worse || better == worse && len(g.Folders) >= len(best.Folders) {
			best = g
		}
	}
	return best
}

func (g Group) there() bool { return g.Own && !g.Missing }

// at returns the group with the folders that a mount shows: first the group's own folder, then the folders of the groups
// above it, last the mount point. ok is false if the mount shows neither the group nor a group above it.
//
// The kernel gives the group's path and the mount's root relative to the root of the reader's cgroup namespace. A path
// outside the namespace begins with one ".." for each level up (cgroup_namespaces(7)). If the mount's root is only ".."
// and has more of them than the group's path, as "/../.." has more than "/../a", the name of the level between them is
// unknown; then the mount point is the only folder.
func (m Membership) at(mount Mount) (g Group, ok bool) {
	groupUp, groupNames, ok1 := splitPath(m.Path)
	rootUp, rootNames, ok2 := splitPath(mount.Root)
	switch {
	case !m.shownBy(mount) || !ok1 || !ok2:
		return Group{}, false
	case rootUp > groupUp && len(rootNames) == 0:
		return Group{Folders: []string{mount.Point}, version: versionOf(m)}, true
	case rootUp != groupUp || len(rootNames) > len(groupNames) || !slices.Equal(rootNames, groupNames[:len(rootNames)]):
		return Group{}, false
	}
	below := groupNames[len(rootNames):]
	point := strings.TrimSuffix(mount.Point, "/")
	for n := len(below); n > 0; n-- {
		g.Folders = append(g.Folders, point+"/"+strings.Join(below[:n], "/"))
	}
	return Group{Folders: append(g.Folders, mount.Point), Own: true, version: versionOf(m)}, true
}

// shownBy reports whether a mount shows the hierarchy of the membership. /proc/PID/cgroup and the options of a mount
// both list all controllers of a hierarchy of version 1, so one controller identifies the hierarchy.
func (m Membership) shownBy(mount Mount) bool {
	first, _, _ := strings.Cut(m.Controllers, ",")
	return m.Version == mount.Version && (m.Version == 2 || hasWord(mount.Options, first))
}

// splitPath splits a group's path into the number of leading ".." and the names after them.
func splitPath(path string) (up int, names []string, ok bool) {
	if path == "/" {
		return 0, nil, true
	}
	path, ok = strings.CutPrefix(path, "/")
	for ok && (path == ".." || strings.HasPrefix(path, "../")) {
		up++
		path = strings.TrimPrefix(path[2:], "/")
	}
	if path != "" {
		names = strings.Split(path, "/")
	}
	bad := func(name string) bool { return name == "" || name == "." || name == ".." }
	return up, names, ok && !slices.ContainsFunc(names, bad)
}

// version abstracts over the two versions of control groups. A folder has no trailing slash.
type version interface {
	// cpu and memory read the limits of one group.
	cpu(root proc.Root, folder string) (Limit, error)
	memory(root proc.Root, folder string) (Limit, error)
	// memorySum is the kernel's own result for the smallest memory limit of a group and all groups above it; ok is false
	// if the kernel does not report it.
	memorySum(root proc.Root, folder string) (l Limit, ok bool, err error)
	// isRoot reports whether the folder is the root of its hierarchy.
	isRoot(root proc.Root, folder string) bool
}

func versionOf(m Membership) version {
	if m.Version == 1 {
		return v1{}
	}
	return v2{}
}

// IsRoot reports whether the group is the root of its hierarchy, which covers the whole host. In a cgroup namespace the
// group at the mount point is the container's, not the root.
func (g Group) IsRoot(root proc.Root) bool {
	return g.Own && g.version.isRoot(root, strings.TrimSuffix(g.Folders[0], "/"))
}
