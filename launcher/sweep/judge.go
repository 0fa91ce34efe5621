package sweep

import (
	"cmp"
	"slices"
)

// Result is what an experiment found.
type Result struct {
	Experiment Experiment
	Outcomes   []Outcome // in the order of the candidates
	Rounds     int       // the last one that was begun
	Advice     Advice
	Runs       []Run
}

// Outcome is what was measured under one cap. Sizes are medians of what the runs had, in bytes; 0 is not known.
type Outcome struct {
	Candidate
	Runs       int // that count
	Failed     int // others
	Killed     int // of those that count: the server outlived the grace time
	Throughput Interval
	Latency    Interval

	CPU                                                              float64 // seconds
	VirtualPeak, VirtualFinal                                        uint64
	ResidentPeak, ResidentFinal                                      uint64
	Arenas                                                           int // the most that were seen
	ArenaReserved, ArenaResident                                     uint64
	MinorFaults, MajorFaults, VoluntarySwitches, InvoluntarySwitches float64

	ThroughputP float64 // chance of so large a difference to the best cap without a cause, corrected
	LatencyP    float64
	Slower      bool // measurably less throughput than the best
	Later       bool // measurably more latency than the best

	VirtualP, ResidentP float64 // the same for the peaks, against those of what savings are told against
}

// Fit reports whether the cap costs nothing that can be measured.
func (o Outcome) Fit() bool { return o.Runs > 0 && !o.Slower && !o.Later }

// Judge turns runs into a result. It is pure.
func Judge(x Experiment, runs []Run) Result {
	r := Result{Experiment: x, Runs: runs}
	var throughput, latency, virtual, resident [][]float64
	for _, c := range x.Candidates {
		good, failed := split(runs, c.Name)
		r.Outcomes = append(r.Outcomes, summarize(c, good, failed))
		throughput = append(throughput, each(good, func(g Run) float64 { return g.Throughput }))
		latency = append(latency, each(good, func(g Run) float64 { return g.Latency }))
		virtual = append(virtual, eachKnown(good, func(g Run) uint64 { return g.VirtualPeak }))
		resident = append(resident, eachKnown(good, func(g Run) uint64 { return g.ResidentPeak }))
	}
	for _, run := range runs {
		r.Rounds = max(r.Rounds, run.Round)
	}
	metrics := [][][]float64{throughput}
	if x.HasLatency() {
		metrics = append(metrics, latency)
	}
	r.compare(comparisons(metrics...))
	r.comparePeaks(virtual, resident)
	r.Advice = advise(&r)
	return r
}

// HasLatency reports whether a latency is measured.
func (x *Experiment) HasLatency() bool { return x.Latency.Pattern != "" }

// compare fills in how each candidate stands against the best one.
func (r *Result) compare(p [][][]float64) {
	best := r.best(func(o Outcome) Interval { return o.Throughput }, r.Experiment.Throughput)
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if best < 0 || o.Runs == 0 {
			continue
		}
		o.ThroughputP = p[0][i][best]
		o.Slower = o.ThroughputP < alpha && i != best
	}
	if !r.Experiment.HasLatency() {
		return
	}
	best = r.best(func(o Outcome) Interval { return o.Latency }, r.Experiment.Latency)
	for i := range r.Outcomes {
		if o := &r.Outcomes[i]; best >= 0 && o.Runs > 0 {
			o.LatencyP = p[1][i][best]
			o.Later = o.LatencyP < alpha && i != best
		}
	}
}

func (r *Result) comparePeaks(virtual, resident [][]float64) {
	base := r.base().Name
	p := against(slices.IndexFunc(r.Outcomes, func(o Outcome) bool { return o.Name == base }), virtual, resident)
	for i := range r.Outcomes {
		r.Outcomes[i].VirtualP, r.Outcomes[i].ResidentP = p[0][i], p[1][i]
	}
}

// best is the candidate with the best median, or -1. Of equals it is the first.
func (r *Result) best(of func(Outcome) Interval, m Metric) int {
	best := -1
	for i, o := range r.Outcomes {
		if o.Runs == 0 || r.spoiled(o) {
			continue
		}
		if best < 0 || m.better(of(o).Median, of(r.Outcomes[best]).Median) {
			best = i
		}
	}
	return best
}

// better reports whether a is better than b.
func (m Metric) better(a, b float64) bool {
	if m.LowerIsBetter() {
		return a < b
	}
	return a > b
}

// spoiled reports whether a candidate had runs that failed while another had none: it is not to be advised.
func (r *Result) spoiled(o Outcome) bool {
	return o.Failed > 0 && slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Failed == 0 && o.Runs > 0 })
}

func split(runs []Run, name string) (good []Run, failed int) {
	for _, run := range runs {
		switch {
		case run.Cap != name:
		case run.Error != "":
			failed++
		default:
			good = append(good, run)
		}
	}
	return good, failed
}

func each(runs []Run, of func(Run) float64) []float64 {
	values := make([]float64, len(runs))
	for i, run := range runs {
		values[i] = of(run)
	}
	return values
}

// eachKnown leaves out the runs in which it is not known.
func eachKnown(runs []Run, of func(Run) uint64) []float64 {
	known := slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return of(r) == 0 })
	return each(known, func(r Run) float64 { return float64(of(r)) })
}

func summarize(c Candidate, good []Run, failed int) Outcome {
	o := Outcome{Candidate: c, Runs: len(good), Failed: failed}
	if len(good) == 0 {
		return o
	}
	o.Throughput = newInterval(each(good, func(r Run) float64 { return r.Throughput }))
	o.Latency = newInterval(each(good, func(r Run) float64 { return r.Latency }))
	o.CPU = median(good, func(r Run) float64 { return r.CPU })
	o.VirtualPeak = medianBytes(good, func(r Run) uint64 { return r.VirtualPeak })
	o.VirtualFinal = medianBytes(good, func(r Run) uint64 { return r.VirtualFinal })
	o.ResidentPeak = medianBytes(good, func(r Run) uint64 { return r.ResidentPeak })
	o.ResidentFinal = medianBytes(good, func(r Run) uint64 { return r.ResidentFinal })
	o.ArenaReserved = medianBytes(good, func(r Run) uint64 { return r.ArenaReserved })
	o.ArenaResident = medianBytes(good, func(r Run) uint64 { return r.ArenaResident })
	o.MinorFaults = median(good, func(r Run) float64 { return float64(r.MinorFaults) })
	o.MajorFaults = median(good, func(r Run) float64 { return float64(r.MajorFaults) })
	o.VoluntarySwitches = median(good, func(r Run) float64 { return float64(r.VoluntarySwitches) })
	o.InvoluntarySwitches = median(good, func(r Run) float64 { return float64(r.InvoluntarySwitches) })
	for _, run := range good {
		o.Arenas = max(o.Arenas, run.Arenas)
		if run.Killed {
			o.Killed++
		}
	}
	return o
}

func median(runs []Run, of func(Run) float64) float64 { return newInterval(each(runs, of)).Median }

func medianBytes(runs []Run, of func(Run) uint64) uint64 {
	known := eachKnown(runs, of)
	if len(known) == 0 {
		return 0
	}
	return uint64(newInterval(known).Median)
}

// Typical is the run whose peak of virtual size is the cap's median, for a picture of memory over time.
func (r *Result) Typical(name string) (Run, bool) {
	good, _ := split(r.Runs, name)
	good = slices.DeleteFunc(good, func(r Run) bool { return len(r.Memory) == 0 })
	if len(good) == 0 {
		return Run{}, false
	}
	slices.SortStableFunc(good, func(a, b Run) int { return cmp.Compare(a.VirtualPeak, b.VirtualPeak) })
	return good[(len(good)-1)/2], true
}

// width is the widest interval of what was measured.
func (o *Outcome) width(latency bool) float64 {
	if latency {
		return max(o.Throughput.Width(), o.Latency.Width())
	}
	return o.Throughput.Width()
}
