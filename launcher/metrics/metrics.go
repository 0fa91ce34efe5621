// Package metrics computes what a monitoring system reads about the arenas of a host: series in the model of Prometheus, as
// plain values. The exporter and 'arenacap ps --prometheus' publish the same series.
//
// group.go sums up processes by group, budget.go compares services with their budgets, text.go writes the text format.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"arenacap/launcher/inspect"
	"arenacap/launcher/proc"
	"arenacap/launcher/service"
	"arenacap/launcher/version"
	"arenacap/launcher/watch/statefile"
	"arenacap/policy"
)

// Options select what Look reads.
type Options struct {
	Machine   policy.Machine
	Plans     []policy.Plan // one for each service of the policy, in the order of the policy
	GroupBy   string        // one of GroupBys
	MaxGroups int           // the largest number of groups; further groups are summed up as "other"
	State     string        // state file of 'arenacap watch --services'
}

// GroupBys are the values of --group-by. "service" groups by the service of the policy, for other processes by systemd
// unit, and without a unit by the process's name. "unit" groups by unit or else name, and "name" only by name.
var GroupBys = []string{"service", "unit", "name"}

// DefaultMaxGroups is the default of --max-groups.
const DefaultMaxGroups = 500

// Check returns an error if Look does not accept the options. The error names the flag.
func (o Options) Check() error {
	switch {
	case !slices.Contains(GroupBys, o.GroupBy):
		return fmt.Errorf("--group-by: unknown key %q; write %s", o.GroupBy, strings.Join(GroupBys, ", "))
	case o.MaxGroups < 1:
		return fmt.Errorf("--max-groups: %d is too small; write 1 or more", o.MaxGroups)
	}
	return nil
}

// Family holds the samples of one series name.
type Family struct {
	Name, Help string
	Counter    bool // a counter; otherwise a gauge
	Samples    []Sample
}

// Sample is one value. Labels are names and values in turn; the values are valid UTF-8 without control characters.
type Sample struct {
	Labels []string
	Value  float64
}

// Look reads the host. The families are in a fixed order, their samples sorted by group; a family without samples is
// left out. The result "problems" says what the families lack: some processes, if ctx ended before they were read (they
// count as unreadable), a service whose user is unknown, or the watch's counters, if these cannot be read. If err is
// set, there are no families.
func Look(ctx context.Context, o Options) (all []Family, problems []error, err error) {
	began := time.Now()
	var services []policy.Policy
	for _, p := range o.Plans {
		services = append(services, p.Policy)
	}
	rules := service.NewRules(proc.Here, services)
	problems = append(problems, rules.Problems...)
	host, err := inspect.List(ctx, o.Machine, false)
	if err != nil && !errors.Is(err, ctx.Err()) {
		return nil, nil, err
	}
	if err != nil {
		problems = append(problems, errors.New("the scrape timed out before all processes were read; the others count as unreadable; raise --scrape-timeout"))
	}
	members, err := rules.All(proc.Here) // read after host, so a process that is in host but not in members has ended
	if err != nil {
		return nil, nil, err
	}
	counters, err := statefile.Read(o.State)
	if err != nil {
		problems = append(problems, err)
	}
	l := newLook(o, host, members, counters)
	return slices.Concat(l.groups(), l.budgets(), l.self(time.Since(began))), problems, nil
}

// look is one reading of the host.
type look struct {
	Options
	root     proc.Root
	host     inspect.Host
	members  []service.Member
	counters map[string]statefile.Counters
	reserved map[int]uint64 // bytes that arenas reserve, by the PID of each process that holds arenas
	unread   map[int]bool   // processes that could not be read
}

func newLook(o Options, host inspect.Host, members []service.Member, counters map[string]statefile.Counters) *look {
	l := &look{o, proc.Here, host, members, counters, map[int]uint64{}, map[int]bool{}}
	for _, r := range host.Rows {
		l.reserved[r.PID] = r.ArenaReserved
	}
	for _, u := range host.Unreadable {
		l.unread[u.PID] = true
	}
	return l
}

// self returns the families about arenacap itself.
func (l *look) self(took time.Duration) []Family {
	one := func(name, help string, value float64, labels ...string) Family {
		return Family{Name: "arenacap_" + name, Help: help, Samples: []Sample{{labels, value}}}
	}
	return []Family{
		one("build_info", "The version of arenacap; the value is 1.", 1, "version", version.Number, "goversion", runtime.Version()),
		one("unreadable_processes", "Processes that could not be read, for lack of rights or of time.", float64(len(l.host.Unreadable))),
		one("scrape_duration_seconds", "How long the reading of the host took.", took.Seconds()),
	}
}
