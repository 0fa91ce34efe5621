// Package verdict evaluates the runs of a sweep: medians, significant differences, and an advice. It does no I/O.
//
// Metrics are compared between all pairs of caps, because the best cap is not known beforehand. The peaks of memory are
// compared only with the base, which is known beforehand: glibc's own limit, or else the largest cap.
package verdict

import (
	"cmp"
	"slices"
	"strings"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/stats"
)

// Result is the result of an experiment.
type Result struct {
	Experiment sweep.Experiment
	Outcomes   []Outcome // the outcomes, in the order of the candidates
	Rounds     int       // the last round that has a run
	Advice     Advice
	Runs       []sweep.Run

	best []int // for each metric, the candidate with the best median; -1 for none
	base int   // the candidate with which savings are compared; -1 for none
}

// Outcome is the result for one cap. Sizes are medians over the runs, in bytes; 0 if not known.
type Outcome struct {
	sweep.Candidate
	Runs     []sweep.Run // successful runs
	Failed   int         // number of failed runs
	Killed   int         // number of successful runs whose server outlived the grace time
	Measures []Measure   // the measures, one for each metric of the experiment

	CPU                                                              float64 // seconds
	VirtualPeak, VirtualFinal                                        uint64
	ResidentPeak, ResidentFinal                                      uint64
	Arenas                                                           int // the largest number of arenas over the runs
	ArenaReserved, ArenaResident                                     uint64
	MinorFaults, MajorFaults, VoluntarySwitches, InvoluntarySwitches float64

	virtualP, residentP float64 // corrected p-values of the differences between the peaks of this candidate and the peaks of the base
	aside               string  // why setAside excluded the candidate from the comparison; "" if it did not
	spoiled             bool    // some of its runs failed and another cap has no failures, so this cap is not advised
}

// Measure is the result of one metric for one cap.
type Measure struct {
	stats.Interval
	P     float64 // corrected p-value of the difference from the best cap
	Worse bool    // measurably worse than the best
}

// Judge turns runs into a result.
func Judge(x sweep.Experiment, runs []sweep.Run) Result {
	r := Result{Experiment: x, Runs: runs}
	for _, c := range x.Candidates {
		r.Outcomes = append(r.Outcomes, summarize(x.Metrics, c, runs))
	}
	for _, run := range runs {
		r.Rounds = max(r.Rounds, run.Round)
	}
	if slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Failed == 0 && o.ran() }) {
		for i := range r.Outcomes {
			r.Outcomes[i].spoiled = r.Outcomes[i].Failed > 0
		}
	}
	r.setAside()
	r.compare()
	r.comparePeaks()
	r.Advice = advise(&r)
	return r
}

func (o *Outcome) ran() bool { return len(o.Runs) > 0 }

// Kept reports whether the cap had an effect. It is true if that is not known.
func (o *Outcome) Kept() bool { return !o.missed() }

// counts reports whether the candidate is compared with others.
func (o *Outcome) counts() bool { return o.ran() && o.aside == "" }

// compared returns the runs that are used in comparisons.
func (o *Outcome) compared() []sweep.Run {
	if !o.counts() {
		return nil
	}
	return o.Runs
}

// setAside excludes from the comparison each candidate whose cap had no effect. It also excludes a candidate that had
// the same number of arenas as one of these, if that is more than 1, because the same limit was in effect for both.
// "off" and glibc's own limit are never excluded for the second reason.
func (r *Result) setAside() {
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if at := slices.IndexFunc(o.Runs, func(run sweep.Run) bool { return run.NotKept != "" }); at >= 0 {
			o.aside = o.Runs[at].NotKept
		}
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		same := slices.IndexFunc(r.Outcomes, func(other Outcome) bool { return other.missed() && other.Arenas == o.Arenas })
		if o.aside == "" && !o.asItIs() && o.Arenas > 1 && same >= 0 {
			o.aside = sameAs + r.Outcomes[same].Name
		}
	}
}

const sameAs = "in effect the same as cap "

// missed reports whether the cap of a candidate had no effect.
func (o *Outcome) missed() bool { return o.aside != "" && !strings.HasPrefix(o.aside, sameAs) }

// fit reports whether the cap has no measurable cost.
func (o *Outcome) fit() bool {
	return o.counts() && !slices.ContainsFunc(o.Measures, func(m Measure) bool { return m.Worse })
}

func summarize(metrics []sweep.Metric, c sweep.Candidate, runs []sweep.Run) Outcome {
	o := Outcome{Candidate: c, Measures: make([]Measure, len(metrics))}
	o.Runs, o.Failed = c.Good(runs)
	if !o.ran() {
		return o
	}
	for i, m := range metrics {
		o.Measures[i].Interval = stats.Of(m.Values(o.Runs))
	}
	o.CPU = o.median(func(r sweep.Run) float64 { return r.CPU })
	o.VirtualPeak = o.medianSize(virtualPeak)
	o.VirtualFinal = o.medianSize(func(r sweep.Run) uint64 { return r.VirtualFinal })
	o.ResidentPeak = o.medianSize(residentPeak)
	o.ResidentFinal = o.medianSize(func(r sweep.Run) uint64 { return r.ResidentFinal })
	o.ArenaReserved = o.medianSize(func(r sweep.Run) uint64 { return r.ArenaReserved })
	o.ArenaResident = o.medianSize(func(r sweep.Run) uint64 { return r.ArenaResident })
	o.MinorFaults = o.median(func(r sweep.Run) float64 { return float64(r.MinorFaults) })
	o.MajorFaults = o.median(func(r sweep.Run) float64 { return float64(r.MajorFaults) })
	o.VoluntarySwitches = o.median(func(r sweep.Run) float64 { return float64(r.VoluntarySwitches) })
	o.InvoluntarySwitches = o.median(func(r sweep.Run) float64 { return float64(r.InvoluntarySwitches) })
	for _, run := range o.Runs {
		o.Arenas = max(o.Arenas, run.Arenas)
		if run.Killed {
			o.Killed++
		}
	}
	return o
}

func (o Outcome) virtual() uint64 { return o.VirtualPeak }

func virtualPeak(r sweep.Run) uint64  { return r.VirtualPeak }
func residentPeak(r sweep.Run) uint64 { return r.ResidentPeak }

func (o *Outcome) median(of func(sweep.Run) float64) float64 {
	values := make([]float64, len(o.Runs))
	for i, run := range o.Runs {
		values[i] = of(run)
	}
	return stats.Of(values).Median
}

func (o *Outcome) medianSize(of func(sweep.Run) uint64) uint64 {
	known := o.sizes(of)
	if len(known) == 0 {
		return 0
	}
	return uint64(stats.Of(known).Median)
}

// sizes returns the known sizes of the compared runs.
func (o *Outcome) sizes(of func(sweep.Run) uint64) (known []float64) {
	for _, run := range o.compared() {
		if size := of(run); size != 0 {
			known = append(known, float64(size))
		}
	}
	return known
}

// width is the width of the widest interval.
func (o *Outcome) width() (widest float64) {
	for _, m := range o.Measures {
		widest = max(widest, m.Width())
	}
	return widest
}

// Typical returns the run with the median peak of virtual size among the runs that recorded memory over time, for a
// chart. ok is false if there is no such run.
func (o *Outcome) Typical() (run sweep.Run, ok bool) {
	seen := slices.DeleteFunc(slices.Clone(o.Runs), func(r sweep.Run) bool { return len(r.Memory) == 0 })
	if len(seen) == 0 {
		return sweep.Run{}, false
	}
	slices.SortStableFunc(seen, func(a, b sweep.Run) int { return cmp.Compare(a.VirtualPeak, b.VirtualPeak) })
	return seen[(len(seen)-1)/2], true
}

// compare compares each candidate with the best one.
func (r *Result) compare() {
	values := make([][][]float64, len(r.Experiment.Metrics))
	for i, m := range r.Experiment.Metrics {
		for _, o := range r.Outcomes {
			values[i] = append(values[i], m.Values(o.compared()))
		}
		r.best = append(r.best, r.bestBy(i))
	}
	p := stats.Pairs(values...)
	for m, best := range r.best {
		for i, o := range r.Outcomes {
			if best >= 0 && o.counts() {
				o.Measures[m].P = p[m][i][best]
				o.Measures[m].Worse = p[m][i][best] < stats.Alpha && i != best
			}
		}
	}
}

// bestBy returns the candidate with the best median of a metric, the first of equals, or -1.
func (r *Result) bestBy(metric int) int {
	best, least := -1, 0.0
	for i, o := range r.Outcomes {
		cost := o.Measures[metric].Median
		if !r.Experiment.Metrics[metric].LowerIsBetter() {
			cost = -cost
		}
		if o.counts() && !o.spoiled && (best < 0 || cost < least) {
			best, least = i, cost
		}
	}
	return best
}

// comparePeaks chooses the base, which is glibc's own limit or else the largest cap, and compares the memory of each
// candidate with it.
func (r *Result) comparePeaks() {
	r.base = -1
	var virtual, resident [][]float64
	for i, o := range r.Outcomes {
		if o.counts() && (r.base < 0 || nearerToGlibc(o, r.Outcomes[r.base])) {
			r.base = i
		}
		virtual, resident = append(virtual, o.sizes(virtualPeak)), append(resident, o.sizes(residentPeak))
	}
	if r.base < 0 {
		return
	}
	p := stats.Against(r.base, virtual, resident)
	for i := range r.Outcomes {
		r.Outcomes[i].virtualP, r.Outcomes[i].residentP = p[0][i][r.base], p[1][i][r.base]
	}
}

func nearerToGlibc(o, than Outcome) bool {
	if o.Default != than.Default {
		return o.Default
	}
	return o.size() > than.size()
}
