package main

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// This file prints the table of exporters for Prometheus: arenacap-exporter beside Debian's node_exporter and
// process-exporter, and `arenacap ps`, which inspects the same processes.

// Upper bounds of the cost of arenacap-exporter with 1,000 processes.
const (
	scrapeTimes    = 1.5 // processor time of a scrape, as a multiple of that of `arenacap ps`
	scrapeResident = 1.5 // resident memory, as a multiple of node_exporter's
)

// exporter is a running exporter.
type exporter struct {
	competitor
	url  string
	cost cost // its field "micros" is here the CPU time of one scrape, in µs
}

func exporterTable(b *built, _ []string) bool {
	pids, end := start(b, 1000, "50", "8")
	defer end()
	all := b.write("process-exporter.yml", "process_names: [{name: \"{{.Comm}}\", cmdline: [\".+\"]}]\n")
	ours := filepath.Join(filepath.Dir(b.release()), "arenacap-exporter")
	list := []*exporter{
		serve("**arenacap-exporter**", ours, "--log.level=error", "--web.listen-address"),
		serve("node_exporter", "prometheus-node-exporter", "--log.level=error", "--no-collector.systemd", "--web.listen-address"), // the machine may have no systemd
		serve("process-exporter, all processes", "prometheus-process-exporter", "-config.path", all, "-web.listen-address"),
	}
	for _, e := range list {
		defer stop(e.competitor)
	}
	ps := words("`arenacap ps`", b.release()+" ps")
	scrapeInTurns(list, ps, 3) // not measured: warms up
	before := switches(pids)
	scrapeInTurns(list, ps, cmp.Or(*runs, 30))
	psMicros := micros(sum(ps.cpu)) / float64(len(ps.cpu))
	head("1,000 processes, every 50th with arenas", "processor time of a scrape", "× `arenacap ps`", "resident", "× node_exporter")
	row(ps.name, fmt.Sprintf("%.1f ms", psMicros/1e3), "1", "–", "–")
	for _, e := range list {
		row(e.name, fmt.Sprintf("%.1f ms", e.cost.micros/1e3), fmt.Sprintf("%.2f", e.cost.micros/psMicros),
			fmt.Sprintf("%.1f MiB", e.cost.mib()), fmt.Sprintf("%.2f", times(e.cost.rss, list[1].cost.rss)))
	}
	fmt.Println()
	return hold(bound{"processor time of a scrape, as a multiple of that of arenacap ps", list[0].cost.micros / psMicros, scrapeTimes},
		bound{"memory of arenacap-exporter, as a multiple of node_exporter's", times(list[0].cost.rss, list[1].cost.rss), scrapeResident},
		bound{"context switches of the processes meanwhile, which a stop would cause", float64(switches(pids) - before), 0})
}

// serve starts an exporter, whose last flag takes an address, and waits until it answers.
func serve(name, program string, flags ...string) *exporter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	address := l.Addr().String()
	check(l.Close())
	e := &exporter{competitor: competitor{name: name, pid: spawn(words(name, program).argv[0], append(flags, address)...)}, url: "http://" + address + "/metrics"}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			check(c.Close())
			return e
		} else if time.Now().After(end) {
			check(err)
		}
	}
}

// scrapeInTurns scrapes the exporters and runs ps in rounds of random order. The processor time of an exporter is that of all
// rounds, so that it includes the collection of garbage after a scrape.
func scrapeInTurns(list []*exporter, ps *timed, rounds int) {
	ps.cpu = nil
	var before []uint64
	for _, e := range list {
		before = append(before, spent(e.pid))
	}
	for range rounds {
		for _, i := range rand.Perm(len(list) + 1) {
			if i < len(list) {
				list[i].scrape()
			} else {
				_, cpu := ps.run()
				ps.cpu = append(ps.cpu, cpu)
			}
		}
	}
	for i, e := range list {
		e.cost = cost{float64(spent(e.pid)-before[i]) / 1e3 / float64(rounds), field(read(e.pid, "status"), "VmRSS:"), 0}
	}
}

func (e *exporter) scrape() {
	response, err := http.Get(e.url)
	check(err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	check(err)
	if response.StatusCode != http.StatusOK {
		check(fmt.Errorf("%s: %s", e.name, response.Status))
	}
}

func sum(list []time.Duration) (all time.Duration) {
	for _, d := range list {
		all += d
	}
	return all
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// switches waits until all threads of the processes sleep, and returns the number of their context switches so far. A
// tool that stops a thread causes at least one (proc_pid_status(5): voluntary_ctxt_switches,
// nonvoluntary_ctxt_switches).
func switches(pids []string) (n int) {
	for _, pid := range pids {
		files, err := filepath.Glob("/proc/" + pid + "/task/*/status")
		check(err)
		for _, file := range files {
			text := readFile(file)
			for !strings.Contains(text, "\nState:\tS (sleeping)\n") { // the thread has just started and does not wait yet
				time.Sleep(time.Millisecond)
				text = readFile(file)
			}
			n += field(text, "\nvoluntary_ctxt_switches:") + field(text, "nonvoluntary_ctxt_switches:")
		}
	}
	return n
}
