package page

// This file draws the plot of the first metric against peak virtual size. This code places the labels of the dots itself,
// because the charts library would draw them over each other.

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/go-analyze/charts"

	"arenacap/launcher/sweep/verdict"
)

// tradeOff plots the first metric against peak virtual size.
func tradeOff(r verdict.Result) (plot, error) {
	m := r.Experiment.Metrics[0]
	var shown []verdict.Outcome
	var sizes, values []float64 // values of all runs, so that the axis shows how large the noise is
	var colours []charts.Color
	for _, o := range r.Outcomes {
		if len(o.Runs) == 0 || o.VirtualPeak == 0 {
			continue
		}
		colour := seriesColour(0)
		if o.Name == r.Advice.Cap {
			colour = markColour
		}
		shown, sizes, values, colours = append(shown, o), append(sizes, float64(o.VirtualPeak)), append(values, m.Values(o.Runs)...), append(colours, colour)
	}
	if len(shown) == 0 {
		return plot{}, nil
	}
	colours = append(colours, slices.Repeat([]charts.Color{noColour}, len(shown))...) // for the invisible points that carry the labels
	y := around(slices.Min(values), slices.Max(values), 5)
	common := verdict.Common(shown, virtualPeak)
	note := m.Title() + " (" + m.Better() + ") against peak virtual size" + over(common) + "; diamond: the cap that is advised"
	return draw("The trade-off", note, func(p *charts.Painter, c canvas) error {
		x := sizesAround(sizes, c.labels())
		if common > 0 {
			x = sizesOver(common, slices.Max(sizes), c.labels())
		}
		o := charts.NewScatterChartOptionWithData(append(spread(shown, x, 0), spread(shown, x, y.pixels(labelRise, c))...))
		o.XAxis, o.YAxis, o.Theme, o.Padding = x.numbers(x.label), y.axis(plain), theme(colours...), padding
		o.Symbol, o.Legend.Show = charts.Symbol{Shape: charts.SymbolDot, Size: 5}, charts.Ptr(false)
		for i, label := range mergeLabels(shown, x, y, c) {
			if shown[i].Name == r.Advice.Cap {
				o.SeriesList[i].Symbol = charts.Symbol{Shape: charts.SymbolDiamond, Size: 8}
			}
			o.SeriesList[len(shown)+i].Label = charts.SeriesLabel{Show: charts.Ptr(label != ""), FontStyle: charts.NewFontStyleWithSize(fontSize),
				Distance:       -letterWidth * len(label) / 2, // the library puts the label to the right of the point; this centres it
				LabelFormatter: func(int, string, float64) (string, *charts.LabelStyle) { return label, nil }}
		}
		return p.ScatterChart(o)
	})
}

// spread makes a series of one point for each outcome. The point lies higher than the outcome's value by the
// distance rise, which is 0 for a dot.
func spread(shown []verdict.Outcome, x sizeAxis, rise float64) (values [][]float64) {
	for _, o := range shown {
		v := slices.Repeat([]float64{charts.GetNullValue()}, points+1)
		v[int(math.Round(x.at(o.VirtualPeak)*points))] = o.Measures[0].Median + rise
		values = append(values, v)
	}
	return values
}

// labelRise is the distance of a label above its dot, in pixels. The label belongs to an invisible point of its own.
const labelRise = 15

// These are the approximate sizes of a plot's frame, beside and below it, and of a letter, in pixels.
const frameWidth, frameHeight, letterWidth, letterHeight = 80, 60, 7, 16

// pixels converts a distance in pixels to the units of a vertical scale.
func (s scale) pixels(n float64, c canvas) float64 {
	return n * (s.high - s.low) / float64(c.height-frameHeight)
}

// group is a group of dots that share one label, above the middle dot.
type group []verdict.Outcome

func (g group) middle() verdict.Outcome { return g[len(g)/2] }

func (g group) label() string {
	var names []string
	for _, o := range g {
		names = append(names, o.Name)
	}
	return strings.Join(names, ", ")
}

// covers reports whether the labels of two groups would overlap.
func (g group) covers(other group, x sizeAxis, y scale, c canvas) bool {
	across := math.Abs(x.at(g.middle().VirtualPeak)-x.at(other.middle().VirtualPeak)) * float64(c.width-frameWidth)
	up := math.Abs(g.middle().Measures[0].Median - other.middle().Measures[0].Median)
	return across < float64(letterWidth*(len(g.label())+len(other.label())+1))/2 && up < y.pixels(letterHeight, c)
}

// mergeLabels returns the label of each dot. It merges labels that would overlap: the middle dot gets all names, the
// others "".
func mergeLabels(shown []verdict.Outcome, x sizeAxis, y scale, c canvas) []string {
	var groups []group
	for _, o := range shown {
		groups = append(groups, group{o})
	}
	for i := 0; i < len(groups); i++ {
		for j := i + 1; j < len(groups); j++ {
			if !groups[i].covers(groups[j], x, y, c) {
				continue
			}
			both := slices.Concat(groups[i], groups[j])
			slices.SortStableFunc(both, func(a, b verdict.Outcome) int { return cmp.Compare(a.VirtualPeak, b.VirtualPeak) })
			groups = append([]group{both}, slices.Delete(slices.Delete(groups, j, j+1), i, i+1)...)
			i, j = 0, 0 // the merged label may overlap others
		}
	}
	labels := make([]string, len(shown))
	for _, g := range groups {
		i := slices.IndexFunc(shown, func(o verdict.Outcome) bool { return o.Name == g.middle().Name })
		labels[i] = g.label()
	}
	return labels
}
