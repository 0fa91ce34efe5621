// Package stats is the statistics of a sweep: medians with their intervals, and rank tests that are corrected for their
// number. It assumes nothing of how the values are distributed.
package stats

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

const (
	// Alpha bounds the chance that an experiment calls any two candidates different that are in truth the same.
	Alpha = 0.05
	// confidence is that of the intervals.
	confidence = 0.95
)

// Interval is a median and the interval that holds the true one with 95 % confidence. Fewer than six values have
// no such interval: Low and High are infinite.
type Interval struct{ Median, Low, High float64 }

// Of is the interval of some values.
func Of(values []float64) Interval {
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	return Interval{s.Center, s.Lo, s.Hi}
}

// Known reports whether there were enough values for the interval.
func (i Interval) Known() bool { return !math.IsInf(i.High-i.Low, 0) && !math.IsNaN(i.High-i.Low) }

// Width is how far the interval reaches from the median, as a share of it; infinite where it is not known.
func (i Interval) Width() float64 {
	reach := max(i.High-i.Median, i.Median-i.Low)
	switch {
	case reach == 0:
		return 0
	case !i.Known() || i.Median == 0:
		return math.Inf(1)
	}
	return reach / math.Abs(i.Median)
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// Pairs are the chances, corrected for their number, that two candidates differ as much as they do while being the same:
// p[m][i][j] by the metric m. values[m][i] are those of the candidate i; one that has none is compared with no other.
//
// The candidate that looks best is chosen by the same values that it is then compared with, so the comparisons
// against it alone would be too few to correct for: all pairs are.
func Pairs(values ...[][]float64) (p [][][]float64) {
	return compare(values, func(i, j int) bool { return j < i })
}

// Against is as Pairs, for the comparisons with one candidate that is not chosen by its values.
func Against(base int, values ...[][]float64) (p [][][]float64) {
	return compare(values, func(i, j int) bool { return j == base && i != base })
}

// comparison is that of two candidates by one metric.
type comparison struct {
	metric, i, j int
	p            float64
}

// compare makes the comparisons that are wanted.
func compare(values [][][]float64, wanted func(i, j int) bool) [][][]float64 {
	var all []comparison
	p := make([][][]float64, len(values))
	for m, of := range values {
		p[m] = make([][]float64, len(of))
		for i := range of {
			p[m][i] = slices.Repeat([]float64{1}, len(of))
			for j := range of {
				if wanted(i, j) && len(of[i]) > 0 && len(of[j]) > 0 {
					all = append(all, comparison{m, i, j, benchmath.AssumeNothing.Compare(sample(of[i]), sample(of[j])).P})
				}
			}
		}
	}
	correct(all)
	for _, c := range all {
		p[c.metric][c.i][c.j], p[c.metric][c.j][c.i] = c.p, c.p
	}
	return p
}

// correct corrects the chances for their number. Holm's correction bounds the chance of any wrong verdict whatever
// depends on what (Holm 1979, Scand. J. Statist. 6:65).
func correct(all []comparison) {
	slices.SortFunc(all, func(a, b comparison) int { return cmp.Compare(a.p, b.p) })
	least := 0.0
	for rank := range all {
		least = max(least, min(1, all[rank].p*float64(len(all)-rank)))
		all[rank].p = least
	}
}

// RoundsNeeded is the fewest rounds after which so many candidates and metrics can be told apart at all: the
// rank test's least chance, 2/C(2n, n), must stay under Alpha when it is corrected, and an interval needs six.
func RoundsNeeded(candidates, metrics int) int {
	pairs := float64(metrics * candidates * (candidates - 1) / 2)
	for n, least := 1, 1.0; ; n++ { // C(2n, n) = C(2n-2, n-1) · (4n-2)/n
		least *= float64(n) / float64(4*n-2)
		if n >= 6 && 2*least*pairs <= Alpha {
			return n
		}
	}
}
