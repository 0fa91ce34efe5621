package metrics

// This file groups the processes, and adds up the figures of each group.

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"arenacap/launcher/inspect"
	"arenacap/launcher/proc"
	"arenacap/policy/text"
)

// other is the name of the group that sums up all groups beyond Options.MaxGroups, the processes that have the name of
// a service or unit to which they do not belong, and those without a name.
const other = "other"

// group holds the sums over those processes of one group that hold arenas.
type group struct {
	processes, uncapped, arenas        float64
	reserved, committed, arenaResident float64 // bytes, like those of the next line
	huge, saving, virtual, resident    float64
	cap                                int // the lowest cap of its processes; 0: none
	kept, broken, unjudged             int // numbers of processes with a cap that is kept, is not kept, or could not be judged
}

func (g *group) add(r inspect.Row) {
	g.processes++
	if r.Uncapped {
		g.uncapped++
	}
	g.arenas += float64(r.Arenas)
	g.reserved += float64(r.ArenaReserved)
	g.committed += float64(r.ArenaCommitted)
	g.arenaResident += float64(r.ArenaResident)
	g.huge += float64(r.Huge)
	g.saving += float64(r.Saving)
	g.virtual += float64(r.Virtual)
	g.resident += float64(r.Resident)
	if r.Cap.N == 0 {
		return
	}
	if g.cap == 0 || r.Cap.N < g.cap {
		g.cap = r.Cap.N
	}
	switch r.Cap.Kept {
	case inspect.Yes:
		g.kept++
	case inspect.No:
		g.broken++
	default:
		g.unjudged++
	}
}

// capKept returns 0 if a process exceeds its cap, and 1 if every process with a cap keeps it; otherwise the value is unknown.
func (g *group) capKept() (value float64, known bool) {
	switch {
	case g.broken > 0:
		return 0, true
	case g.unjudged == 0 && g.kept > 0:
		return 1, true
	}
	return 0, false
}

// groupFamilies lists the families of a group; ok is false if the group has no value for the family.
var groupFamilies = []struct {
	name, help string
	value      func(g *group) (value float64, ok bool)
}{
	{"processes", "Processes that have arenas other than the main one.", always(func(g *group) float64 { return g.processes })},
	{"uncapped_processes", "Processes that have arenas other than the main one, and no cap on arenas.", always(func(g *group) float64 { return g.uncapped })},
	{"arenas", "Arenas, main ones included.", always(func(g *group) float64 { return g.arenas })},
	{"arena_reserved_bytes", "Address space reserved by arenas other than the main ones.", always(func(g *group) float64 { return g.reserved })},
	{"arena_committed_bytes", "Part of arenacap_arena_reserved_bytes that is readable and writable.", always(func(g *group) float64 { return g.committed })},
	{"arena_resident_bytes", "Resident memory of arenas other than the main ones.", always(func(g *group) float64 { return g.arenaResident })},
	{"huge_bytes", "Memory of arenas, thread stacks and main heaps in huge pages.", always(func(g *group) float64 { return g.huge })},
	{"saving_bytes", "Address space that a cap of one arena per core would save.", always(func(g *group) float64 { return g.saving })},
	{"virtual_bytes", "Virtual size of the processes (VmSize).", always(func(g *group) float64 { return g.virtual })},
	{"resident_bytes", "Resident memory of the processes (VmRSS).", always(func(g *group) float64 { return g.resident })},
	{"cap", "The lowest cap on arenas in the group.", func(g *group) (float64, bool) { return float64(g.cap), g.cap != 0 }},
	{"cap_kept", "1 if every process with a cap keeps it, 0 if one exceeds it.", (*group).capKept},
}

func always(value func(*group) float64) func(*group) (float64, bool) {
	return func(g *group) (float64, bool) { return value(g), true }
}

// groups returns the families of groupFamilies.
func (l *look) groups() (all []Family) {
	sums := l.sums()
	for _, f := range groupFamilies {
		family := Family{Name: "arenacap_" + f.name, Help: f.help}
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			if value, ok := f.value(sums[name]); ok {
				family.Samples = append(family.Samples, Sample{[]string{"group", name}, value})
			}
		}
		all = append(all, family)
	}
	return compact(all)
}

// compact drops families without samples.
func compact(all []Family) []Family {
	return slices.DeleteFunc(all, func(f Family) bool { return len(f.Samples) == 0 })
}

// sums returns at most MaxGroups groups by name, and the group "other" for all other processes.
func (l *look) sums() map[string]*group {
	names := l.names()
	kept := l.kept(names)
	sums := map[string]*group{}
	for _, r := range l.host.Rows {
		name, ok := names[r.PID]
		if !ok { // the process has ended
			continue
		}
		if !kept[name] {
			name = other
		}
		if sums[name] == nil {
			sums[name] = &group{}
		}
		sums[name].add(r)
	}
	return sums
}

// kept selects the groups that keep their name: services of the policy first, then the groups that reserve the most.
func (l *look) kept(names map[int]string) map[string]bool {
	reserved := map[string]uint64{}
	for _, r := range l.host.Rows {
		if name, ok := names[r.PID]; ok && name != other {
			reserved[name] += r.ArenaReserved
		}
	}
	for service := range l.services() {
		if _, present := reserved[service]; present {
			reserved[service] = math.MaxUint64
		}
	}
	order := slices.SortedFunc(maps.Keys(reserved), func(a, b string) int {
		return cmp.Or(cmp.Compare(reserved[b], reserved[a]), cmp.Compare(a, b))
	})
	kept := map[string]bool{}
	for _, name := range order[:min(len(order), l.MaxGroups)] {
		kept[name] = true
	}
	return kept
}

// services returns the names of the groups that are services of the policy.
func (l *look) services() map[string]bool {
	names := map[string]bool{}
	for _, p := range l.Plans {
		if l.GroupBy == GroupBys[0] {
			names[label(p.Policy.Service)] = true
		}
	}
	return names
}

// names returns the group of each process. Any user can give a process the name of a unit or of a service. The method
// puts such a process into the group "other", so that the process does not count in the group of that unit or service.
func (l *look) names() map[int]string {
	taken, isUnit := l.services(), map[string]bool{}
	units := map[int]string{}
	for _, m := range l.members {
		if unit := unitGroup(l.root, m.Unit); unit != "" && l.GroupBy != "name" {
			units[m.PID] = unit
			isUnit[unit] = true
		}
	}
	names := map[int]string{}
	for _, m := range l.members {
		switch unit := units[m.PID]; {
		case m.Service >= 0 && l.GroupBy == GroupBys[0]:
			names[m.PID] = label(l.Plans[m.Service].Policy.Service)
		case unit != "" && !taken[unit]:
			names[m.PID] = unit
		case unit != "" || taken[label(m.Name)] || isUnit[label(m.Name)]:
			names[m.PID] = other
		default:
			names[m.PID] = label(m.Name)
		}
	}
	return names
}

// unitSuffix is left out of the names of groups.
const unitSuffix = ".service"

// runUnit matches the names that systemd-run chooses for its units (systemd: src/run/run.c).
var runUnit = regexp.MustCompile(`^run-(r[0-9a-f]+|u\d+|p\d+-i\d+)\.service$`)

// unitGroup returns the group of a unit: "a" for "a.service", "a@" for "a@b.service". It returns "" if there is no unit,
// and for transient units, because their names exist only as long as their processes. systemd keeps the files of transient
// units in /run/systemd/transient.
func unitGroup(root proc.Root, unit string) string {
	if unit == "" || runUnit.MatchString(unit) || root.Exists("/run/systemd/transient/"+unit) {
		return ""
	}
	name := strings.TrimSuffix(unit, unitSuffix)
	if prefix, instance, ok := strings.Cut(name, "@"); ok && instance != "" {
		name = prefix + "@"
	}
	return label(name)
}

// label converts a name to a label value: valid UTF-8 without control characters, and not empty, because Prometheus takes an
// empty label for a missing one.
func label(name string) string {
	return cmp.Or(text.Printable(strings.ToValidUTF8(name, "\uFFFD")), other)
}
