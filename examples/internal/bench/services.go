package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The table of `watch --services`: the watch of a host, measured beside monit with as many services.

// Upper bounds of its cost while nothing happens.
const (
	servicesShare  = 0.02 // of a core, for 1,000 services
	servicesMemory = 50.0 // MiB resident, for 1,000 services
	findShare      = 0.01 // of a core, for ten services among 5,000 processes
	servicesTimes  = 1.0  // processor time for 1,000 services, as a multiple of monit's
)

func servicesTable(b *built, _ []string) bool { return manyServices(b, 1) }

// manyServices has the bounds of 1,000 services and of ten services among 5,000 processes.
func manyServices(b *built, slow float64) bool {
	head("services of `arenacap watch --services`", "% of a core", "resident, MiB", "monit: % of a core", "resident, MiB", "arenacap / monit")
	many := servicesRow(b, host{services: 1000})
	few := servicesRow(b, host{services: 10, others: 4990})
	if !*checks {
		for _, h := range []host{{services: 1}, {services: 10}, {services: 100}, {services: 5000}, {services: 10000},
			{services: 10, others: 19990}, {services: 10, restless: true}} {
			servicesRow(b, h)
		}
	}
	fmt.Println()
	bounds := []bound{
		{"processor time of a watch of 1,000 services, as a multiple of 2 % of a core", many[0].micros / 1e6 / servicesShare, slow},
		{"memory of a watch of 1,000 services, as a multiple of 50 MiB", many[0].mib() / servicesMemory, 1},
		{"processor time of a watch of 10 services among 5,000 processes, as a multiple of 1 % of a core", few[0].micros / 1e6 / findShare, slow},
	}
	if len(many) > 1 {
		bounds = append(bounds, bound{"processor time of a watch of 1,000 services, as a multiple of monit's", times(many[0].micros, many[1].micros), servicesTimes})
	}
	return hold(bounds...)
}

// host is a host to watch. Each service has one quiet process.
type host struct {
	services int
	others   int  // quiet processes of no service
	restless bool // another process starts and ends 1,000 processes a second
}

func (h host) String() string {
	switch {
	case h.restless:
		return fmt.Sprintf("%d, while 1,000 processes start per second", h.services)
	case h.others > 0:
		return fmt.Sprintf("%d among %d processes", h.services, h.services+h.others)
	}
	return fmt.Sprint(h.services)
}

// servicesRow measures arenacap and, if it is installed, monit at the same time.
func servicesRow(b *built, h host) []cost {
	pids, end := start(b, h.services+h.others, "1", "0", "s")
	defer end()
	state := b.folder("services") + "/watch.json"
	list := []beside{{pid: spawn(b.release(), "watch", "--services", "--policy", servicesPolicy(b, h.services), "--state", state)}}
	defer func() { stop(list...) }()
	if monit, err := exec.LookPath("monit"); err == nil {
		list = append(list, beside{pid: spawn(monit, "-I", "-c", monitrc(b, pids[:h.services]...))})
	}
	if h.restless {
		defer stop(beside{pid: spawn(b.c("examples/internal/bench/testdata/restless.c"))})
	}
	awaitTargets(state, h.services)
	awaitQuiet(list[0].pid, h.services)
	costs := measure(list)
	cells := []string{h.String(), percent(costs[0]), fmt.Sprintf("%.1f", costs[0].mib()), "–", "–", "–"}
	if len(costs) > 1 {
		cells = append(cells[:3], percent(costs[1]), fmt.Sprintf("%.1f", costs[1].mib()), fmt.Sprintf("%.2f", times(costs[0].micros, costs[1].micros)))
	}
	row(cells...)
	check(os.Remove(state))
	return costs
}

func percent(c cost) string { return fmt.Sprintf("%.3f", c.micros/1e4) }

func servicesPolicy(b *built, n int) (path string) {
	text := "[budget]\nvirtual = \"4GiB\"\nsettle = \"1s\"\n"
	for i := range n {
		text += fmt.Sprintf("[service.s%d]\nmatch.name = \"s%[1]d\"\n", i)
	}
	return b.write("services.toml", text)
}

// awaitQuiet waits, at most two minutes, until a watch reads little more than one file a service in a second, for three
// seconds in a row: it has then inspected its targets, with about 95 reads and 2 ms each. "syscr: 10" is the number of its
// reads (proc_pid_io(5)).
func awaitQuiet(pid, services int) {
	reads := func() int { return field(read(pid, "io"), "syscr:") }
	for quiet, end := 0, time.Now().Add(2*time.Minute); quiet < 3 && time.Now().Before(end); {
		before := reads()
		time.Sleep(time.Second)
		if quiet++; reads()-before > services*13/10+1500 {
			quiet = 0
		}
	}
}

// awaitTargets waits until the state file has n targets and settle of each has ended.
func awaitTargets(state string, n int) {
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		text, _ := os.ReadFile(state)
		if strings.Count(string(text), `"growth_base_bytes":`) == n && !strings.Contains(string(text), `"growth_base_bytes":null`) {
			return
		}
	}
	check(fmt.Errorf("%s does not show %d targets after settle", state, n))
}
