package machine

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// parseGroup finds the control group that limits a process in /proc/PID/cgroup, one line a hierarchy
// (cgroups(7)):
//
//	hierarchy-ID:controller-list:cgroup-path
//	4:memory:/a        a v1 hierarchy
//	3:cpu,cpuacct:/a   a v1 hierarchy with two controllers
//	1:name=systemd:/a  a v1 hierarchy with no controller
//	0::/a              the v2 hierarchy
//
// A controller is in one hierarchy only, so a v1 hierarchy that names it wins over v2. The path is not
// escaped (a group's name cannot hold a newline); seen from within a cgroup namespace it may begin with
// "/..". version is 0 where no hierarchy could hold the controller: then there is no limit.
func parseGroup(s, controller string) (path string, version int, err error) {
	for line := range strings.Lines(s) {
		id, rest, ok1 := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		names, group, ok2 := strings.Cut(rest, ":")
		if !ok1 || !ok2 || !strings.HasPrefix(group, "/") {
			return "", 0, fmt.Errorf(`line %.120q is not "ID:CONTROLLERS:/PATH"`, line)
		}
		switch {
		case id == "0":
			path, version = group, 2
		case hasWord(names, controller):
			return group, 1, nil
		}
	}
	return path, version, nil
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

// mount is a place where a control group hierarchy can be seen.
type mount struct {
	root  string // the group at the mount point, seen from this process's cgroup namespace
	point string
}

// parseMounts finds the mounts of a controller's hierarchy in /proc/PID/mountinfo (proc_pid_mountinfo(5)):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//	(1)(2)(3)   (4)   (5)      (6)      (7)   (8) (9)   (10)         (11)
//
// (4) root of the mount within its file system, (5) mount point, (7) any number of optional fields,
// (8) their end, (9) type: "cgroup2", or "cgroup" with the controllers of its hierarchy among the options
// in (11). Blanks, tabs, newlines and backslashes are octal: "\040".
func parseMounts(s, controller string, version int) ([]mount, error) {
	var mounts []mount
	for line := range strings.Lines(s) {
		head, tail, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		kind, tail, _ := strings.Cut(tail, " ")
		if !ok || !(version == 2 && kind == "cgroup2" || version == 1 && kind == "cgroup") {
			continue
		}
		options := tail[strings.LastIndexByte(tail, ' ')+1:]
		if version == 1 && !hasWord(options, controller) {
			continue
		}
		m, err := parseMount(head)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// parseMount reads fields (4) and (5) of a mountinfo line that was cut off at (8).
func parseMount(head string) (mount, error) {
	rest := head
	for range 3 {
		_, rest, _ = strings.Cut(rest, " ")
	}
	root, rest, _ := strings.Cut(rest, " ")
	point, _, _ := strings.Cut(rest, " ")
	root, ok1 := unescape(root)
	point, ok2 := unescape(point)
	if !ok1 || !ok2 || !strings.HasPrefix(root, "/") || !strings.HasPrefix(point, "/") {
		return mount{}, fmt.Errorf("line %.120q has no root and mount point", head)
	}
	return mount{root, point}, nil
}

// unescape turns the octal escapes of mountinfo, a backslash and three digits, into bytes.
func unescape(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, `\`)
		b.WriteString(plain)
		if !found {
			return b.String(), true
		}
		if len(rest) < 3 {
			return "", false
		}
		c, err := strconv.ParseUint(rest[:3], 8, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		s = rest[3:]
	}
}

// lineage is the folders of a process's control group and of the groups above it, as far as one mount
// shows them.
type lineage struct {
	folders []string // the nearest first, the mount point last
	own     bool     // whether the first is the process's own group
	version int      // of cgroup, 1 or 2
}

// lineage walks from a group up to what stands at the mount point. Group and root are both seen from this
// process's cgroup namespace, so each is some steps up ("..") and then some names down. ok is false where
// the mount shows no group above this one. Where it shows a group so far above the namespace that the names
// in between are hidden, that group is all there is to see.
func (m mount) lineage(group string) (l lineage, ok bool) {
	groupUp, groupNames, ok1 := splitGroup(group)
	rootUp, rootNames, ok2 := splitGroup(m.root)
	switch {
	case !ok1 || !ok2:
		return lineage{}, false
	case rootUp > groupUp && len(rootNames) == 0:
		return lineage{folders: []string{m.point}}, true
	case rootUp != groupUp || len(rootNames) > len(groupNames) || !slices.Equal(rootNames, groupNames[:len(rootNames)]):
		return lineage{}, false
	}
	below := groupNames[len(rootNames):]
	point := strings.TrimSuffix(m.point, "/")
	for n := len(below); n > 0; n-- {
		l.folders = append(l.folders, point+"/"+strings.Join(below[:n], "/"))
	}
	l.folders = append(l.folders, m.point)
	l.own = true
	return l, true
}

// splitGroup cuts a group's path into the number of steps above the namespace and the names below.
func splitGroup(path string) (up int, names []string, ok bool) {
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

// limit is num for every den: microseconds of CPU time in a period of microseconds, or bytes for one
// process group. The zero limit is none.
type limit struct {
	num, den uint64
	from     string
}

// tighter compares two limits as exact fractions.
func (l limit) tighter(than limit) bool {
	if l.den == 0 || than.den == 0 {
		return l.den != 0
	}
	h1, l1 := bits.Mul64(l.num, than.den)
	h2, l2 := bits.Mul64(than.num, l.den)
	return h1 < h2 || h1 == h2 && l1 < l2
}

// parseCPUMax reads a v2 group's cpu.max, microseconds of CPU time in each period, and the period
// (cgroup-v2.rst, "CPU Interface Files"):
//
//	150000 100000
//	max 100000     no limit
func parseCPUMax(s string) (limit, error) {
	quota, period, two := strings.Cut(s, " ")
	if two && quota == "max" && isNumber(period) {
		return limit{}, nil
	}
	num, ok1 := number(quota)
	den, ok2 := number(period)
	if !ok1 || !ok2 || num == 0 || den == 0 {
		return limit{}, fmt.Errorf(`%.60q is not "QUOTA PERIOD" or "max PERIOD" in microseconds`, s)
	}
	return limit{num: num, den: den}, nil
}

// unlimitedCFS is what cpu.cfs_quota_us holds where there is no limit.
const unlimitedCFS = "-1"

// parseCFS reads a v1 group's cpu.cfs_quota_us and cpu.cfs_period_us, a number of microseconds each
// (sched-bwc.rst).
func parseCFS(quota, period string) (limit, error) {
	if quota == unlimitedCFS {
		return limit{}, nil
	}
	num, ok1 := number(quota)
	den, ok2 := number(period)
	if !ok1 || !ok2 || num == 0 || den == 0 {
		return limit{}, fmt.Errorf("quota %.30q in a period of %.30q is no number of microseconds above 0, nor is the quota -1", quota, period)
	}
	return limit{num: num, den: den}, nil
}

// parseMemoryMax reads a v2 group's memory.max in bytes (cgroup-v2.rst, "Memory Interface Files"):
//
//	1073741824
//	max            no limit
func parseMemoryMax(s string) (limit, error) {
	if s == "max" {
		return limit{}, nil
	}
	n, ok := number(s)
	if !ok || n == 0 {
		return limit{}, fmt.Errorf(`%.60q is not "max" or a number of bytes above 0`, s)
	}
	return limit{num: n, den: 1}, nil
}

// unlimitedV1 is the least value that means "no limit" in a v1 memory group: the largest int64, rounded
// down to a page, which the kernel builds with pages of up to 64 KiB.
const unlimitedV1 = 1<<63 - 1<<16

// parseMemoryLimit reads a v1 group's memory.limit_in_bytes (cgroup-v1/memory.rst):
//
//	1073741824
//	9223372036854771712    no limit, with pages of 4 KiB
func parseMemoryLimit(s string) (limit, error) {
	n, ok := number(s)
	switch {
	case !ok || n == 0:
		return limit{}, fmt.Errorf("%.60q is no number of bytes above 0", s)
	case n >= unlimitedV1:
		return limit{}, nil
	}
	return limit{num: n, den: 1}, nil
}

const hierarchicalLimit = "hierarchical_memory_limit "

// parseMemoryStat finds what the kernel itself takes for the tightest limit of a v1 group and all groups
// above it, those that no mount shows included, in its memory.stat (cgroup-v1/memory.rst):
//
//	hierarchical_memory_limit 1073741824
//
// ok is false where there is no such line.
func parseMemoryStat(s string) (l limit, ok bool, err error) {
	for line := range strings.Lines(s) {
		if value, found := strings.CutPrefix(line, hierarchicalLimit); found {
			l, err = parseMemoryLimit(strings.TrimSuffix(value, "\n"))
			return l, true, err
		}
	}
	return limit{}, false, nil
}

// number reads a decimal as the kernel prints it: digits only.
func number(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func isNumber(s string) bool {
	_, ok := number(s)
	return ok
}
