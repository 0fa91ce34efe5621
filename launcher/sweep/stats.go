package sweep

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

const (
	// alpha bounds the chance that an experiment calls any two caps different that are in truth the same.
	alpha = 0.05
	// confidence is that of the intervals.
	confidence = 0.95
	// noisy is how far from its median an interval may reach before a verdict is called uncertain.
	noisy = 0.05
)

// Interval is a median and the interval that holds the true one with 95 % confidence. Fewer than six values have
// no such interval: Low and High are infinite.
type Interval struct{ Median, Low, High float64 }

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

func newInterval(values []float64) Interval {
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	return Interval{s.Center, s.Lo, s.Hi}
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// comparison is that of two candidates by one metric: p is the chance that they differ so much while being the same.
type comparison struct {
	metric, i, j int
	p            float64
}

// compare compares two candidates by the values that each has, if both have any.
func compare(values [][]float64, metric, i, j int) []comparison {
	if len(values[i]) == 0 || len(values[j]) == 0 {
		return nil
	}
	test := benchmath.AssumeNothing.Compare(sample(values[i]), sample(values[j]))
	return []comparison{{metric, i, j, test.P}}
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

// comparisons are the chances, corrected for their number, that two candidates differ as much as they do while
// being the same: p[m][i][j] for the metric m.
//
// The candidate that looks best is chosen by the same values that it is then compared with, so the comparisons
// against it alone would be too few to correct for: all pairs are.
func comparisons(metrics ...[][]float64) [][][]float64 {
	var pairs []comparison
	p := make([][][]float64, len(metrics))
	for m, values := range metrics {
		p[m] = make([][]float64, len(values))
		for i := range values {
			p[m][i] = slices.Repeat([]float64{1}, len(values))
			for j := range i {
				pairs = append(pairs, compare(values, m, i, j)...)
			}
		}
	}
	correct(pairs)
	for _, c := range pairs {
		p[c.metric][c.i][c.j], p[c.metric][c.j][c.i] = c.p, c.p
	}
	return p
}

// against are the chances for the comparisons with one candidate that is not chosen by its values: p[m][i].
func against(base int, metrics ...[][]float64) [][]float64 {
	var pairs []comparison
	p := make([][]float64, len(metrics))
	for m, values := range metrics {
		p[m] = slices.Repeat([]float64{1}, len(values))
		for i := range values {
			if i != base {
				pairs = append(pairs, compare(values, m, i, base)...)
			}
		}
	}
	correct(pairs)
	for _, c := range pairs {
		p[c.metric][c.i] = c.p
	}
	return p
}

// roundsNeeded is the fewest rounds after which so many candidates and metrics can be told apart at all: the
// rank test's least chance, 2/C(2n, n), must stay under alpha when it is corrected, and an interval needs six.
func roundsNeeded(candidates, metrics int) int {
	pairs := float64(metrics * candidates * (candidates - 1) / 2)
	for n, least := 1, 1.0; ; n++ { // C(2n, n) = C(2n-2, n-1) · (4n-2)/n
		least *= float64(n) / float64(4*n-2)
		if n >= 6 && 2*least*pairs <= alpha {
			return n
		}
	}
}
