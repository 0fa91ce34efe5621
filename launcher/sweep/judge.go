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
	Runs     int       // that count
	Failed   int       // others
	Killed   int       // of those that count: the server outlived the grace time
	Measures []Measure // by each metric of the experiment

	CPU                                                              float64 // seconds
	VirtualPeak, VirtualFinal                                        uint64
	ResidentPeak, ResidentFinal                                      uint64
	Arenas                                                           int // the most that were seen
	ArenaReserved, ArenaResident                                     uint64
	MinorFaults, MajorFaults, VoluntarySwitches, InvoluntarySwitches float64

	VirtualP, ResidentP float64 // as Measure.P, for the peaks against those of what savings are told against
}

// Measure is what one metric says of one cap.
type Measure struct {
	Interval
	P     float64 // chance of so large a difference to the best cap without a cause, corrected
	Worse bool    // measurably worse than the best
}

// Fit reports whether the cap costs nothing that can be measured.
func (o Outcome) Fit() bool {
	return o.Runs > 0 && !slices.ContainsFunc(o.Measures, func(m Measure) bool { return m.Worse })
}

// Judge turns runs into a result. It is pure.
func Judge(x Experiment, runs []Run) Result {
	r := Result{Experiment: x, Runs: runs}
	var virtual, resident [][]float64
	values := make([][][]float64, len(x.Metrics))
	for _, c := range x.Candidates {
		good, failed := split(runs, c.Name)
		r.Outcomes = append(r.Outcomes, summarize(x.Metrics, c, good, failed))
		for i, m := range x.Metrics {
			values[i] = append(values[i], each(good, m.Of))
		}
		virtual = append(virtual, eachKnown(good, func(g Run) uint64 { return g.VirtualPeak }))
		resident = append(resident, eachKnown(good, func(g Run) uint64 { return g.ResidentPeak }))
	}
	for _, run := range runs {
		r.Rounds = max(r.Rounds, run.Round)
	}
	r.compare(comparisons(values...))
	r.comparePeaks(virtual, resident)
	r.Advice = advise(&r)
	return r
}

// compare fills in how each candidate stands against the best one.
func (r *Result) compare(p [][][]float64) {
	for m := range r.Experiment.Metrics {
		best := r.best(m)
		for i := range r.Outcomes {
			if o := &r.Outcomes[i]; best >= 0 && o.Runs > 0 {
				o.Measures[m].P = p[m][i][best]
				o.Measures[m].Worse = p[m][i][best] < alpha && i != best
			}
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

// best is the candidate with the best median of a metric, or -1. Of equals it is the first.
func (r *Result) best(metric int) int {
	best := -1
	for i, o := range r.Outcomes {
		if o.Runs == 0 || r.spoiled(o) {
			continue
		}
		if best < 0 || r.Experiment.Metrics[metric].better(o.Measures[metric].Median, r.Outcomes[best].Measures[metric].Median) {
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

func summarize(metrics []Metric, c Candidate, good []Run, failed int) Outcome {
	o := Outcome{Candidate: c, Runs: len(good), Failed: failed, Measures: make([]Measure, len(metrics))}
	if len(good) == 0 {
		return o
	}
	for i, m := range metrics {
		o.Measures[i].Interval = newInterval(each(good, m.Of))
	}
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
func (o *Outcome) width() (widest float64) {
	for _, m := range o.Measures {
		widest = max(widest, m.Width())
	}
	return widest
}
