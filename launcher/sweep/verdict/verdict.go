// Package verdict judges what a sweep measured: medians, differences that are more than chance, and an advice. It is pure.
//
// Measures are compared between all caps, so that the best one can be told; the peaks of memory with those of one cap
// that is chosen beforehand, the one that glibc would have by itself.
package verdict

import (
	"cmp"
	"slices"
	"strings"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/stats"
)

// Result is what an experiment found.
type Result struct {
	Experiment sweep.Experiment
	Outcomes   []Outcome // in the order of the candidates
	Rounds     int       // the last one that was begun
	Advice     Advice
	Runs       []sweep.Run

	best []int // of each metric, the candidate with the best median; -1 is none
	base int   // the candidate that savings are told against; -1 is none
}

// Outcome is what was measured under one cap. Sizes are medians of what the runs had, in bytes; 0 is not known.
type Outcome struct {
	sweep.Candidate
	Runs     []sweep.Run // that count
	Failed   int         // others
	Killed   int         // of those that count: the server outlived the grace time
	Measures []Measure   // by each metric of the experiment

	CPU                                                              float64 // seconds
	VirtualPeak, VirtualFinal                                        uint64
	ResidentPeak, ResidentFinal                                      uint64
	Arenas                                                           int // the most that were seen
	ArenaReserved, ArenaResident                                     uint64
	MinorFaults, MajorFaults, VoluntarySwitches, InvoluntarySwitches float64

	virtualP, residentP float64 // as Measure.P, for the peaks against those of the base
	aside               string  // why it is not compared: its cap did not count, or another's that did not is the same
	spoiled             bool    // some of its runs failed, and another cap had none that did: it is not to be advised
}

// Measure is what one metric says of one cap.
type Measure struct {
	stats.Interval
	P     float64 // chance of so large a difference to the best cap without a cause, corrected
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

// Kept reports whether the cap counted, as far as anybody could look.
func (o *Outcome) Kept() bool { return !o.missed() }

// counts reports whether the candidate is compared with others.
func (o *Outcome) counts() bool { return o.ran() && o.aside == "" }

// compared are the runs that others are compared with.
func (o *Outcome) compared() []sweep.Run {
	if !o.counts() {
		return nil
	}
	return o.Runs
}

// setAside takes out the candidates whose cap did not count, and those that ran with as many arenas as such a one: in truth
// that is the same cap. What glibc does by itself stays, to be compared with others.
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

const sameAs = "in truth the same as cap "

// missed reports whether the cap of a candidate did not count.
func (o *Outcome) missed() bool { return o.aside != "" && !strings.HasPrefix(o.aside, sameAs) }

// fit reports whether the cap costs nothing that can be measured.
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

// sizes are those that are known.
func (o *Outcome) sizes(of func(sweep.Run) uint64) (known []float64) {
	for _, run := range o.compared() {
		if size := of(run); size != 0 {
			known = append(known, float64(size))
		}
	}
	return known
}

// width is the widest interval of what was measured.
func (o *Outcome) width() (widest float64) {
	for _, m := range o.Measures {
		widest = max(widest, m.Width())
	}
	return widest
}

// Typical is the run whose peak of virtual size is the cap's median, for a picture of memory over time.
func (o *Outcome) Typical() (run sweep.Run, ok bool) {
	seen := slices.DeleteFunc(slices.Clone(o.Runs), func(r sweep.Run) bool { return len(r.Memory) == 0 })
	if len(seen) == 0 {
		return sweep.Run{}, false
	}
	slices.SortStableFunc(seen, func(a, b sweep.Run) int { return cmp.Compare(a.VirtualPeak, b.VirtualPeak) })
	return seen[(len(seen)-1)/2], true
}

// compare fills in how each candidate stands against the best one.
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

// bestBy is the candidate with the best median of a metric, or -1. Of equals it is the first.
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

// comparePeaks chooses what savings are told against, what glibc does by itself or else the largest cap, and fills in
// how the memory of each candidate differs from that.
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
