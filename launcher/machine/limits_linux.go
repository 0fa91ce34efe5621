package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// groups is the text that says which control groups a process is in and where they can be seen. They are
// the first thread's (the leader of the process), and that one execs.
type groups struct {
	group, mounts string
	err           error
}

const (
	groupFile = "/proc/self/cgroup"
	mountFile = "/proc/self/mountinfo"
)

func (h *host) groups() (g groups) {
	if g.group, g.err = h.read(groupFile); g.err == nil {
		g.mounts, g.err = h.read(mountFile)
	}
	return g
}

// find gives the groups whose limits hold for a controller: none where no hierarchy has it. bad says what is
// out of sight.
func (h *host) find(g groups, controller string) (l lineage, bad string) {
	if g.err != nil {
		return lineage{}, g.err.Error()
	}
	group, version, err := parseGroup(g.group, controller)
	if err != nil {
		return lineage{}, in(groupFile, err).Error()
	}
	if version == 0 {
		return lineage{}, ""
	}
	mounts, err := parseMounts(g.mounts, controller, version)
	if err != nil {
		return lineage{}, in(mountFile, err).Error()
	}
	l = h.widest(mounts, group)
	l.version = version
	if !l.own {
		bad = fmt.Sprintf("no mount shows the %s group %q of cgroup v%d", controller, group, version)
	}
	return l, bad
}

// widest is the lineage with the most groups in sight. A mount may be hidden by a later one, or show another
// tree than mountinfo says (bind mounts of lxcfs and the like): one that has the process's own group comes first.
// Of two alike the later mount lies on top.
func (h *host) widest(mounts []mount, group string) (best lineage) {
	for _, m := range mounts {
		l, ok := m.lineage(group)
		if !ok {
			continue
		}
		l.own = l.own && h.exists(l.folders[0])
		if l.own == best.own && len(l.folders) >= len(best.folders) || l.own && !best.own {
			best = l
		}
	}
	return best
}

// tightest is the tightest of the limits from a process's own group up to the last one in sight. A file that
// cannot be read or is malformed hides no good limit at another level, but is told in bad.
func (l lineage) tightest(read func(folder string, version int) (limit, error)) (best limit, bad string) {
	for _, folder := range l.folders {
		found, err := read(strings.TrimSuffix(folder, "/"), l.version)
		if err != nil {
			bad = join(bad, err.Error())
		}
		if found.tighter(best) {
			best = found
		}
	}
	return best, bad
}

// cpuLimit reads one group's CPU quota. The group at the top of the v2 hierarchy has no such file, and one whose
// controller is off has none either: no limit. In v1 the period is read only where there is a quota.
func (h *host) cpuLimit(folder string, version int) (limit, error) {
	if version == 2 {
		return h.limit(folder+"/cpu.max", parseCPUMax)
	}
	quotaFile, periodFile := folder+"/cpu.cfs_quota_us", folder+"/cpu.cfs_period_us"
	quota, err := h.value(quotaFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && quota == unlimitedCFS {
		return limit{}, nil
	}
	if err != nil {
		return limit{}, err
	}
	period, err := h.value(periodFile)
	if err != nil {
		return limit{}, err
	}
	l, err := parseCFS(quota, period)
	l.from = from(quotaFile, quota+", cpu.cfs_period_us: "+period)
	return l, in(quotaFile, err)
}

// memoryLimit reads one group's memory limit.
func (h *host) memoryLimit(folder string, version int) (limit, error) {
	if version == 2 {
		return h.limit(folder+"/memory.max", parseMemoryMax)
	}
	return h.limit(folder+"/memory.limit_in_bytes", parseMemoryLimit)
}

// hierarchical lets the kernel's own sum decide in a v1 hierarchy: it knows the groups that no mount shows,
// and before Linux 5.11 those whose limit does not reach down (memory.use_hierarchy = 0). Where both agree
// the group that sets the limit is the better name for it.
func (h *host) hierarchical(l lineage, best limit) (limit, error) {
	if l.version != 1 || !l.own {
		return best, nil
	}
	path := strings.TrimSuffix(l.folders[0], "/") + "/memory.stat"
	text, err := h.read(path)
	if err != nil {
		return best, nil // a sum that is not there takes nothing from what the walk found
	}
	sum, ok, err := parseMemoryStat(text)
	if err != nil || !ok || sum.num == best.num {
		return best, in(path, err)
	}
	sum.from = fmt.Sprintf("%s: %s%d", path, hierarchicalLimit, sum.num)
	return sum, nil
}

// limit reads a limit that is one file. A missing file is no limit.
func (h *host) limit(path string, parse func(string) (limit, error)) (limit, error) {
	text, err := h.value(path)
	if errors.Is(err, fs.ErrNotExist) {
		return limit{}, nil
	}
	if err != nil {
		return limit{}, err
	}
	l, err := parse(text)
	l.from = from(path, text)
	return l, in(path, err)
}

// value is a file of one line.
func (h *host) value(path string) (string, error) {
	text, err := h.read(path)
	return strings.TrimSuffix(text, "\n"), err
}

// from names a file and what stood in it.
func from(path, text string) string { return path + ": " + strings.TrimSuffix(text, "\n") }

// in says in which file an error was found.
func in(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// notCounted ends the origin of a limit with what could not be read.
func notCounted(bad string) string {
	if bad == "" {
		return ""
	}
	return "; not counted: " + bad
}

// reasons joins what went wrong at one source and then at the next.
func reasons(errs ...error) string {
	all := ""
	for _, err := range errs {
		if err != nil {
			all = join(all, err.Error())
		}
	}
	return all
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
