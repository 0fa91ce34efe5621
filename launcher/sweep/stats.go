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

// comparisons are the chances, corrected for their number, that two candidates differ as much as they do while
// being the same: p[m][i][j] for the metric m.
//
// The candidate that looks best is chosen by the same values that it is then compared with, so the comparisons
// against it alone would be too few to correct for: all pairs are. Holm's correction bounds the chance of any
// wrong verdict whatever depends on what (Holm 1979, Scand. J. Statist. 6:65).
func comparisons(metrics ...[][]float64) [][][]float64 {
	type pair struct {
		m, i, j int
		p       float64
	}
	var pairs []pair
	p := make([][][]float64, len(metrics))
	for m, values := range metrics {
		p[m] = make([][]float64, len(values))
		for i := range values {
			p[m][i] = slices.Repeat([]float64{1}, len(values))
			for j := range i {
				if len(values[i]) > 0 && len(values[j]) > 0 {
					test := benchmath.AssumeNothing.Compare(sample(values[i]), sample(values[j]))
					pairs = append(pairs, pair{m, i, j, test.P})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.p, b.p) })
	least := 0.0
	for rank, pair := range pairs {
		least = max(least, min(1, pair.p*float64(len(pairs)-rank)))
		p[pair.m][pair.i][pair.j], p[pair.m][pair.j][pair.i] = least, least
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
