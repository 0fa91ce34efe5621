// Package stats computes the statistics of a sweep: medians with confidence intervals, and rank tests corrected for
// multiple comparisons. It makes no assumption about the distribution of the values. A candidate is one of the caps that a
// sweep compares.
package stats

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

const (
	// Alpha is the family-wise error rate: the probability that an experiment finds any difference between equal candidates.
	Alpha = 0.05
	// confidence is the confidence level of the intervals.
	confidence = 0.95
)

// Interval is a median and its 95 % confidence interval. With fewer than six values there is no such interval, and Low
// and High are infinite.
type Interval struct{ Median, Low, High float64 }

// Of computes the median and its interval.
func Of(values []float64) Interval {
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	return Interval{s.Center, s.Lo, s.Hi}
}

// Known reports whether there were enough values for an interval.
func (i Interval) Known() bool { return !math.IsInf(i.High-i.Low, 0) && !math.IsNaN(i.High-i.Low) }

// Width is the larger distance from the median to an end of the interval, divided by the median; infinite if unknown.
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

// Pairs computes the corrected p-values of the comparisons of all pairs of candidates: p[m][i][j] for metric m. values[m][i]
// are the values of candidate i; a candidate without values is not compared.
//
// The correction is for all pairs. Correcting only for the comparisons with the best candidate would be too weak, because
// that candidate is selected by the same values.
func Pairs(values ...[][]float64) (p [][][]float64) {
	return compare(values, func(i, j int) bool { return j < i })
}

// Against is like Pairs, but compares each candidate only with candidate base, and corrects the p-values only for these
// comparisons. This correction is too weak if base was selected by the compared values.
func Against(base int, values ...[][]float64) (p [][][]float64) {
	return compare(values, func(i, j int) bool { return j == base && i != base })
}

// comparison compares two candidates by one metric.
type comparison struct {
	metric, i, j int
	p            float64
}

// compare computes the p-values of the wanted pairs.
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

// correct applies Holm's correction, which bounds the family-wise error rate even if the comparisons depend on each other
// (Holm 1979, Scand. J. Statist. 6:65).
func correct(all []comparison) {
	slices.SortFunc(all, func(a, b comparison) int { return cmp.Compare(a.p, b.p) })
	least := 0.0
	for rank := range all {
		least = max(least, min(1, all[rank].p*float64(len(all)-rank)))
		all[rank].p = least
	}
}

// RoundsNeeded is the smallest number of rounds n with which a difference can be significant: the smallest p-value of the
// rank test, 2/C(2n, n), must be at most Alpha after Holm's correction for all pairs. It is at least six, the number of
// values that an Interval needs.
func RoundsNeeded(candidates, metrics int) int {
	pairs := float64(metrics * candidates * (candidates - 1) / 2)
	for n, least := 1, 1.0; ; n++ { // the variable "least" is 1/C(2n, n), and C(2n, n) = C(2n-2, n-1) · (4n-2)/n
		least *= float64(n) / float64(4*n-2)
		if n >= 6 && 2*least*pairs <= Alpha {
			return n
		}
	}
}
