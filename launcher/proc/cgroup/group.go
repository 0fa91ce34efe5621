// In which folder the control group of a process is.

package cgroup

import (
	"slices"
	"strings"

	"arenacap/launcher/proc"
)

// Group is where a control group and those above it can be seen.
type Group struct {
	Folders []string // the nearest first, the mount point last; none where no mount shows any
	Own     bool     // the first is the folder of the group itself
	Missing bool     // and is not there: the group was removed, or lies under a later mount
	version version
}

// Find looks through the mounts for the group. A mount may be hidden by a later one, or show another tree than mountinfo
// says (bind mounts of lxcfs and the like), so the folder of the group itself has to be there; of several the one with the
// most groups above counts, and of two alike the later, which lies on top.
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

// at walks from the group up to what stands at the mount point. Group and root are both seen from the reader's cgroup
// namespace, so each is some steps up ("..") and then some names down (cgroup_namespaces(7)). ok is false where the mount
// shows no group above this one. Where it shows a group so far above the namespace that the names in between are hidden,
// that group is all there is to see.
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

// shownBy reports whether a mount is of the same hierarchy. Both name all its controllers.
func (m Membership) shownBy(mount Mount) bool {
	first, _, _ := strings.Cut(m.Controllers, ",")
	return m.Version == mount.Version && (m.Version == 2 || hasWord(mount.Options, first))
}

// splitPath cuts a group's path into the number of steps above the namespace and the names below.
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

// version is what differs between the two versions of control groups.
type version interface {
	// cpu and memory read the limits of one group, whose folder has no slash at its end.
	cpu(root proc.Root, folder string) (Limit, error)
	memory(root proc.Root, folder string) (Limit, error)
	// memorySum is what the kernel itself takes for the tightest memory limit of a group and all groups above it; ok is
	// false where it does not tell.
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

// IsRoot reports whether the group is the root of its hierarchy, which is the whole host. In a cgroup namespace the group
// at the mount point is a container's own and no root.
func (g Group) IsRoot(root proc.Root) bool {
	return g.Own && g.version.isRoot(root, strings.TrimSuffix(g.Folders[0], "/"))
}
