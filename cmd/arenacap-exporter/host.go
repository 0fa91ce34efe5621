package main

// This file reads the state of the host for each scrape.

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"arenacap/launcher/machine"
	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/metrics"
	"arenacap/policy"
)

// host is the source of the metrics. A look is one reading of the host. Scrapes that overlap share one look, so that many
// clients cost no more than one.
type host struct {
	options metrics.Options
	policy  string // value of --policy
	timeout time.Duration
	log     *slog.Logger
	look    func(context.Context, metrics.Options) ([]metrics.Family, []error, error) // the function metrics.Look; tests replace it

	mu      sync.Mutex
	running *result // the look that is under way; nil: none
	known   []policy.Plan
	said    map[string]bool // the problems of the last look, which are not logged again
}

// result is one look at the host. The fields "families" and "err" may be read only after the channel "done" is closed.
type result struct {
	done     chan struct{}
	families []metrics.Family
	err      error
}

func newHost(policyFile string, timeout time.Duration, log *slog.Logger) *host {
	return &host{policy: policyFile, timeout: timeout, log: log, look: metrics.Look}
}

func (h *host) check() error {
	if h.timeout <= 0 {
		return fmt.Errorf("--scrape-timeout: %s is too short; write for example 8s", h.timeout)
	}
	return h.options.Check()
}

// plans reads the policy. It is called at the start and for each look, so that a change of the policy counts at the
// next look.
func (h *host) plans() (plans []policy.Plan, err error) {
	lookup := policy.Lookup{Named: h.policy, Getenv: os.LookupEnv, Root: os.Geteuid() == 0}
	services, err := lookup.Services()
	if err != nil {
		return nil, err
	}
	h.options.Machine = machine.Find("/", machine.Cores|machine.Memory, gopsutil.Root("/"))
	if plans, err = h.options.Machine.Plans(services); err == nil {
		h.known = plans
	}
	return plans, err
}

// join returns the look that is under way, or begins one.
func (h *host) join() *result {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		h.running = &result{done: make(chan struct{})}
		go h.run(h.running)
	}
	return h.running
}

// run reads the host. If the policy cannot be read any more, the last valid policy determines the groups.
func (h *host) run(r *result) {
	var problems []error
	plans, err := h.plans()
	if err != nil {
		plans, problems = h.known, append(problems, fmt.Errorf("the new policy was rejected, the old one remains in force: %w", err))
	}
	o := h.options
	o.Plans = plans
	ctx, cancel := context.WithTimeout(context.Background(), h.timeout)
	defer cancel()
	families, more, err := h.look(ctx, o)
	h.complain(append(problems, more...), err)
	r.families, r.err = families, err
	h.mu.Lock()
	h.running = nil
	h.mu.Unlock()
	close(r.done)
}

// complain logs the problems that the previous look did not have.
func (h *host) complain(problems []error, err error) {
	said := map[string]bool{}
	say := func(level slog.Level, problem error) {
		text := problem.Error()
		if said[text] = true; !h.said[text] {
			h.log.Log(context.Background(), level, text)
		}
	}
	for _, p := range problems {
		say(slog.LevelWarn, p)
	}
	if err != nil {
		say(slog.LevelError, err)
	}
	h.said = said
}

// Describe sends nothing, because the series depend on the host (prometheus.Collector, "unchecked").
func (h *host) Describe(chan<- *prometheus.Desc) {}

// Collect sends the series of one look, or its error.
func (h *host) Collect(ch chan<- prometheus.Metric) {
	r := h.join()
	<-r.done
	if r.err != nil {
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(r.err), r.err)
		return
	}
	for _, f := range r.families {
		kind := prometheus.GaugeValue
		if f.Counter {
			kind = prometheus.CounterValue
		}
		for _, s := range f.Samples {
			var names, values []string
			for i := 0; i+1 < len(s.Labels); i += 2 {
				names, values = append(names, s.Labels[i]), append(values, s.Labels[i+1])
			}
			ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(f.Name, f.Help, names, nil), kind, s.Value, values...)
		}
	}
}
