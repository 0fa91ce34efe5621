// Package sweep finds the best cap by experiment: it runs a workload under several caps and measures the cost and the
// saving of each.
//
// An Experiment is the plan. Only Measure starts processes. A Run is the result of one start of the program under one cap.
// A Record keeps the runs as lines of JSON, so that an interrupted experiment can continue. Package verdict evaluates the
// runs: medians with intervals (package stats), comparisons and an advice. Package page writes the result as an HTML
// report.
//
// Each round runs each cap once, in a random order that follows from the seed. So a drift, such as a cache that fills
// or a machine that heats up, affects all caps alike. Only a cap whose runs all fail is left out after some rounds.
//
// Known limits. As long as the program is a single process, its peak of virtual size is the kernel's own figure (VmPeak),
// read with each sample. Samples are 20 ms apart, or 1/200 of the run time if that is longer, and at most 1 s. If the
// program ends by itself, growth after the last sample is missed, and a program that ends before the first sample has no
// known size. If the program starts other processes, its sizes are sums of simultaneous samples, and a process that starts
// and ends between two inspections is missed.
package sweep

// This file has the plan of an experiment.

import (
	"slices"
	"time"
)

// Experiment is the plan of a sweep. It is complete: no further settings are read while the sweep runs.
type Experiment struct {
	Path       string   // the program's file
	Args       []string // the program's arguments; Args[0] is its name as it was typed
	Candidates []Candidate

	// Load is a command for sh(1) that runs while the program, a server, runs; "" for a program that ends by itself.
	Load  string
	Ready string // a command for sh(1) that succeeds when the server is ready; if "", it is ready when it listens on a socket

	Metrics []Metric // the metrics that are measured

	Warmup  int           // rounds at the start whose runs are dropped
	Rounds  int           // rounds whose runs are kept; if Until is set, the least number of these rounds
	Until   float64       // stop when both ends of each confidence interval are within this share of its median; 0: stop after Rounds
	MaxTime time.Duration // start no run after this time, not even a warm-up run; 0: no bound

	Timeout      time.Duration // time limit of a run; for a server, the time limit of its load
	ReadyTimeout time.Duration
	Grace        time.Duration // time between TERM and KILL when a program or load is stopped
	Seed         uint64
	Force        bool // continue even if a cap has no effect

	AtOnce <-chan struct{} // when this channel is closed, running processes are killed without grace time; may be nil

	Setting Setting
}

// Setting describes the program build and the machine that runs are measured with; each field is a text. OpenRecord continues
// a record only if its setting is the same, because runs of different settings cannot be compared.
type Setting struct {
	Program string // identifies the build of the program: its size and checksum
	Kernel  string // the kernel's release
	CPUs    string // the CPUs that are online, in the affinity and in the quota, and the number given by --cores
}

// Candidate is a cap under test.
type Candidate struct {
	Name     string   // the cap as it was written: "4", "1/core", "off"
	ArenaMax int      // the cap in arenas, set or inherited; 0 for none
	Default  bool     // glibc's own limit applies (with --cores, a cap simulates it); the base of the savings
	Env      []string // the whole environment of the program
}

// Good returns the runs under this cap that succeeded, and the number of those that failed.
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

// Index is the index of a metric in x.Metrics, or -1.
func (x *Experiment) Index(of Metric) int {
	return slices.IndexFunc(x.Metrics, func(m Metric) bool { return m.Name == of.Name })
}
