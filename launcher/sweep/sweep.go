// Package sweep finds the right cap by experiment: it runs a workload under several caps and judges what each
// costs and saves.
//
// An Experiment is the plan, and Measure the only step that starts processes. Runs are plain values that a Record keeps
// as lines of JSON, so that an interrupted experiment goes on where it stopped. What they mean is for package verdict:
// medians with their intervals (package stats), comparisons and an advice, which package page makes a report of.
//
// Rounds interleave the caps, each round in a random order of its own that follows from the seed: what drifts
// (a cache that fills, a machine that heats up) meets all caps alike.
//
// Known limits: a peak of virtual size is the kernel's own while the program is one process, but what grows
// after the last sample of a program that ends by itself is missed (20 ms, or 1/200 of the time it ran); what
// ends before the first one has no known size. Of programs that start others the sizes are sums of what was
// seen together, and a process that lives shorter than the looks are apart is not seen.
package sweep

// What is to be measured: the plan of an experiment.

import (
	"slices"
	"time"
)

// Experiment is what is to be measured. It is complete: nothing is looked up while it runs.
type Experiment struct {
	Path       string   // what is executed
	Args       []string // its arguments; Args[0] is the name as it was typed
	Candidates []Candidate

	// Load makes it a server's experiment: a command for sh(1) that runs while the server does.
	Load  string
	Ready string // a command for sh(1) that succeeds when the server is ready; "": the server listens on a socket

	Metrics []Metric // those of the list that are measured

	Warmup  int           // rounds that do not count
	Rounds  int           // rounds that count; with Until at least so many
	Until   float64       // stop when each interval is at most this share of its median on either side; 0: after Rounds
	MaxTime time.Duration // start no more runs after this; 0: no bound

	Timeout      time.Duration // of one run, or of one load
	ReadyTimeout time.Duration
	Grace        time.Duration // between TERM and KILL
	Seed         uint64
	Force        bool // go on where a cap did not arrive or is not kept

	AtOnce <-chan struct{} // closed: what runs is killed without its grace time; nil never is

	Setting Setting
}

// Setting is what else a result depends on, in words: runs of two settings are not put together (OpenRecord).
type Setting struct {
	Program string // which build of it
	Kernel  string // its release
	CPUs    string // how many, and how many are simulated
}

// Candidate is a cap under test.
type Candidate struct {
	Name     string   // as it was written: "4", "1/core", "off"
	ArenaMax int      // arenas; 0 is not capped by us
	Default  bool     // it is what glibc would do by itself; savings are told against it
	Env      []string // whole environment of the program
}

// Good are the runs under this cap that did not fail, and how many did.
func (c Candidate) Good(runs []Run) (good []Run, failed int) {
	for _, run := range runs {
		switch {
		case run.Cap != c.Name:
		case run.Error != "":
			failed++
		default:
			good = append(good, run)
		}
	}
	return good, failed
}

// Index is where a metric of the list is among those that are measured, or -1.
func (x *Experiment) Index(of Metric) int {
	return slices.IndexFunc(x.Metrics, func(m Metric) bool { return m.Name == of.Name })
}
