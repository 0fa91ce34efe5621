package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// This file prints the table of `arenacap watch --services`, which watches a whole host, measured beside monit with
// as many services.

// Upper bounds of the cost of an idle watch of a host.
const (
	servicesShare  = 2.0  // processor time in % of a core, for 1,000 services
	servicesMemory = 50.0 // MiB resident, for 1,000 services
	findShare      = 1.0  // processor time in % of a core, for ten services among 5,000 processes
	servicesTimes  = 1.0  // processor time for 1,000 services, as a multiple of monit's
)

func servicesTable(b *built, _ []string) bool { return manyServices(b, 1) }

// manyServices prints the table and tests the bounds, for 1,000 services and for ten services among 5,000 processes. The
// bounds in % of a core are multiplied by the factor "slow" (see sideBySide).
func manyServices(b *built, slow float64) bool {
	head("number of services watched by `arenacap watch --services`", "% of a core", "resident, MiB", "monit: % of a core", "resident, MiB", "arenacap / monit")
	many := servicesRow(b, host{services: 1000})
	few := servicesRow(b, host{services: 10, others: 4990})
	if !*checks {
		for _, h := range []host{{services: 1}, {services: 10}, {services: 100}, {services: 5000}, {services: 10000},
			{services: 10, restless: true}} {
			servicesRow(b, h)
		}
	}
	fmt.Println()
	bounds := []bound{
		{"processor time of a watch of 1,000 services, in % of a core", many[0].micros / 1e4, servicesShare * slow},
		{"memory of a watch of 1,000 services, in MiB", many[0].mib(), servicesMemory},
		{"processor time of a watch of 10 services among 5,000 processes, in % of a core", few[0].micros / 1e4, findShare * slow},
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
	list := []competitor{{pid: quietWatch(b, h.services, state)}}
	defer func() { stop(list...) }()
	if monit, err := exec.LookPath("monit"); err == nil {
		list = append(list, competitor{pid: spawn(monit, "-I", "-c", monitrc(b, pids[:h.services]...))})
	}
	if h.restless {
		defer stop(competitor{pid: spawn(b.c("examples/internal/bench/testdata/restless.c"))})
	}
	time.Sleep(warmUp / 3) // the measurement must not include the start of these programs
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

// quietWatch returns a watch that does nothing but sample. It starts the watch twice: the first watch inspects each target
// after the settle time. That takes about 2 ms a target and must not be measured; the second continues from the first one's
// state file.
func quietWatch(b *built, services int, state string) (pid int) {
	args := []string{"watch", "--services", "--policy", servicesPolicy(b, services), "--state", state}
	first := spawn(b.release(), args...)
	awaitTargets(state, first, services)
	stop(competitor{pid: first})
	pid = spawn(b.release(), args...)
	awaitTargets(state, pid, services)
	return pid
}

// awaitTargets waits until the state file of a watch has n targets and the settle time of each has ended.
func awaitTargets(state string, watch, n int) {
	const base = `"growth_base_bytes":`
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		text, _ := os.ReadFile(state)
		if strings.Contains(string(text), fmt.Sprintf(`"pid":%d,"started_ns":`, watch)) && strings.Count(string(text), base) == n && !strings.Contains(string(text), base+"null") {
			return
		}
	}
	check(fmt.Errorf("%s does not show %d targets after settle", state, n))
}
