package metrics

// The budgets of the services, what their processes use of them, and the watch's counters.

import (
	"cmp"
	"slices"
	"strconv"

	"arenacap/launcher/proc"
	"arenacap/launcher/service"
)

// budgets returns the families about budgets, for services with a process that holds arenas. The label "group" has the name of
// the service, whatever the processes are grouped by.
func (l *look) budgets() []Family {
	limit := Family{Name: "arenacap_budget_limit_bytes", Help: "Limit of a budget of the policy."}
	used := Family{Name: "arenacap_budget_used_bytes", Help: "Value that the limit is for: of the largest process, or of the whole scope."}
	breaches := Family{Name: "arenacap_breaches_total", Help: "Breaches that the watch has counted.", Counter: true}
	warnings := Family{Name: "arenacap_warnings_total", Help: "Warnings that the watch has counted.", Counter: true}
	for _, i := range l.budgeted() {
		plan := l.Plans[i]
		name := plan.Policy.Service
		usage := l.usage(i)
		counters, watched := l.counters[name]
		for _, m := range plan.Limits {
			add := func(f *Family, value uint64) {
				f.Samples = append(f.Samples, Sample{[]string{"group", label(name), "metric", m.Metric}, float64(value)})
			}
			add(&limit, m.Bytes)
			if value, ok := usage.of(m.Metric); ok {
				add(&used, value)
			}
			if watched {
				add(&breaches, counters.Breaches[m.Metric])
				add(&warnings, counters.Warnings[m.Metric])
			}
		}
	}
	return compact([]Family{limit, used, breaches, warnings})
}

// budgeted returns the indexes, sorted by name, of at most MaxGroups services that have a limit and a process that holds
// arenas.
func (l *look) budgeted() (services []int) {
	holds := map[int]bool{}
	for _, m := range l.members {
		if _, ok := l.reserved[m.PID]; ok {
			holds[m.Service] = true
		}
	}
	for i, p := range l.Plans {
		if holds[i] && len(p.Limits) > 0 {
			services = append(services, i)
		}
	}
	slices.SortFunc(services, func(a, b int) int { return cmp.Compare(l.Plans[a].Policy.Service, l.Plans[b].Policy.Service) })
	return services[:min(len(services), l.MaxGroups)]
}

// usage is what the processes of a service use, in bytes: the largest process for scope "process", else their sum.
type usage struct {
	virtual, data, resident, arenas, growth uint64
	arenasKnown, growthKnown                bool
}

func (u usage) of(metric string) (value uint64, known bool) {
	switch metric {
	case "virtual":
		return u.virtual, true
	case "data":
		return u.data, true
	case "resident":
		return u.resident, true
	case "arenas":
		return u.arenas, u.arenasKnown
	case "growth":
		return u.growth, u.growthKnown
	}
	return 0, false
}

// usage reads the sizes of the processes that the scope of a service's budget counts.
func (l *look) usage(i int) usage {
	scope := l.Plans[i].Policy.Budget.Scope
	join := func(a, b uint64) uint64 { return a + b }
	if scope == "process" {
		join = func(a, b uint64) uint64 { return max(a, b) }
	}
	u := usage{arenasKnown: true}
	bases := l.counters[l.Plans[i].Policy.Service].GrowthBases
	var base uint64
	for _, m := range service.Scope(l.members, i, scope) {
		text, _ := l.root.Read("/proc/" + strconv.Itoa(m.PID) + "/statm")
		size, ok := proc.ParseStatm(text)
		if !ok { // the process has ended
			continue
		}
		u.virtual = join(u.virtual, size.Size.Bytes())
		u.data = join(u.data, size.Data.Bytes())
		u.resident = join(u.resident, size.Resident.Bytes())
		u.arenas = join(u.arenas, l.reserved[m.PID])
		u.arenasKnown = u.arenasKnown && !l.unread[m.PID]
		if of, ok := bases[m.PID]; ok {
			u.growthKnown = true
			base += of
			u.growth = max(u.growth, size.Size.Bytes()-min(of, size.Size.Bytes()))
		}
	}
	if scope != "process" {
		u.growth = u.virtual - min(base, u.virtual)
	}
	return u
}
