package metrics

// This file computes the families about the budgets of the services: the limits, what the processes use, and the watch's
// counters.

import (
	"cmp"
	"slices"
	"strconv"

	"arenacap/launcher/proc"
	"arenacap/launcher/service"
	"arenacap/launcher/watch/budget"
)

// budgets returns the families about budgets, for the services that "budgeted" returns. The label "group" is the name
// of the service, even if the processes are grouped by another key.
func (l *look) budgets() []Family {
	limit := Family{Name: "arenacap_budget_limit_bytes", Help: "Limit of a budget of the policy."}
	used := Family{Name: "arenacap_budget_used_bytes", Help: "Value that is compared with the limit: that of the largest process, or with scope tree or cgroup the sum of all processes."}
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

// usage is what the processes of a service use: for scope "process" an empty reading and one reading for each process,
// else one reading of the sum.
type usage []struct {
	budget.Reading
	base    uint64 // bytes that are subtracted from the virtual size to get the growth
	settled bool   // base is known
}

// of returns the value of a metric, the largest of all readings.
func (u usage) of(metric string) (value uint64, known bool) {
	for _, r := range u {
		if metric == "growth" && !r.settled {
			continue
		}
		v, ok := r.Value(metric, r.base)
		if !ok {
			return 0, false
		}
		value, known = max(value, v), true
	}
	return value, known
}

// usage reads the sizes of the processes that the scope of a service's budget counts.
func (l *look) usage(i int) usage {
	scope := l.Plans[i].Policy.Budget.Scope
	bases := l.counters[l.Plans[i].Policy.Service].GrowthBases
	u := make(usage, 1)
	for _, m := range service.Scope(l.members, i, scope) {
		text, _ := l.root.Read("/proc/" + strconv.Itoa(m.PID) + "/statm")
		size, ok := proc.ParseStatm(text)
		if !ok { // the process has ended
			continue
		}
		if scope == "process" {
			u = append(u, make(usage, 1)...)
		}
		r := &u[len(u)-1]
		r.Add(size)
		r.AddArenas(l.reserved[m.PID], !l.unread[m.PID])
		if base, ok := bases[m.PID]; ok {
			r.base, r.settled = r.base+base, true
		}
	}
	return u
}
