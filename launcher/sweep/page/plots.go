package page

// This file draws the plots of a report. A plot without data is left out.

import (
	"html/template"
	"math"
	"slices"

	"github.com/go-analyze/charts"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/verdict"
	"arenacap/policy/text"
)

// plot is one plot in two widths, for wide and narrow windows, because scaling would make its text unreadable.
type plot struct {
	Title, Note  string
	Wide, Narrow template.HTML // SVG
}

// canvas is the size of a drawing in pixels.
type canvas struct{ width, height int }

var wide, narrow = canvas{600, 330}, canvas{350, 290}

// labels returns the number of labels that fit below a plot.
func (c canvas) labels() int { return c.width / 110 }

var padding = charts.NewBox(6, 12, 14, 4)

// plots draws all plots that have data, in the order of the page, which shows two per row. If the number of metrics is odd,
// the trade-off plot follows the plots of the metrics, to fill their last row; otherwise it is the last plot.
func plots(r verdict.Result) (list []plot, err error) {
	add := func(p plot, e error) {
		if err == nil {
			err = e
		}
		if p.Wide != "" {
			list = append(list, p)
		}
	}
	metrics := r.Experiment.Metrics
	for i := range metrics {
		add(intervals(r, i))
	}
	if len(metrics)%2 == 1 {
		add(tradeOff(r))
	}
	add(bars(r, "Peak virtual size (VmSize) by cap", virtualPeak))
	add(bars(r, "Peak resident memory by cap", func(o verdict.Outcome) uint64 { return o.ResidentPeak }))
	add(lines(r, "Virtual size over time", func(s sweep.Size) uint64 { return s.Virtual }))
	add(lines(r, "Resident memory over time", func(s sweep.Size) uint64 { return s.Resident }))
	if len(metrics)%2 == 0 {
		add(tradeOff(r))
	}
	return list, err
}

// draw draws a plot in both widths.
func draw(title, note string, paint func(p *charts.Painter, c canvas) error) (plot, error) {
	pl := plot{Title: title, Note: note}
	for _, to := range []struct {
		canvas
		svg *template.HTML
	}{{wide, &pl.Wide}, {narrow, &pl.Narrow}} {
		p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: to.width, Height: to.height, Theme: theme(markColour)})
		if err := paint(p, to.canvas); err != nil {
			return plot{}, err
		}
		svg, err := p.Bytes()
		if err != nil {
			return plot{}, err
		}
		*to.svg = template.HTML(themed(string(svg)))
	}
	return pl, nil
}

// byCap holds values by cap. The advised cap has its own series, for its colour.
type byCap struct {
	labels          []string
	others, advised []float64
}

// add appends a value to the series that the outcome o belongs to, and gap, the mark of a missing value, to the other
// series.
func (b *byCap) add(r *verdict.Result, o verdict.Outcome, value, gap float64) {
	b.labels = append(b.labels, o.Name)
	if o.Name == r.Advice.Cap {
		value, gap = gap, value
	}
	b.others, b.advised = append(b.others, value), append(b.advised, gap)
}

func (b *byCap) series() [][]float64 { return [][]float64{b.others, b.advised} }

// intervals plots a metric by cap: the dot is the median, the box its confidence interval (the range, if the interval
// is unknown), the thin line the range of all successful runs.
func intervals(r verdict.Result, metric int) (plot, error) {
	m := r.Experiment.Metrics[metric]
	var medians byCap
	var boxes []charts.OHLCData
	low, high := math.Inf(1), math.Inf(-1)
	for _, o := range r.Outcomes {
		if len(o.Runs) == 0 {
			continue
		}
		i, values := o.Measures[metric], m.Values(o.Runs)
		least, most := slices.Min(values), slices.Max(values)
		if !i.Known() {
			i.Low, i.High = least, most
		}
		boxes = append(boxes, charts.OHLCData{Open: i.Low, High: most, Low: least, Close: i.High})
		medians.add(&r, o, i.Median, charts.GetNullValue())
		low, high = min(low, least), max(high, most)
	}
	if len(boxes) == 0 {
		return plot{}, nil
	}
	return draw(m.Title()+" by cap", m.Better()+"; dot: median, box: its 95 % interval, line: all runs", func(p *charts.Painter, c canvas) error {
		x, y := names(medians.labels, c), around(low, high, 5).axis(plain)
		box := charts.NewCandlestickOptionWithData(boxes)
		box.Padding, box.XAxis, box.YAxis, box.Theme, box.CandleWidth, box.WickWidth = padding, x, y, theme(faintColour), 0.25, 1.5
		if err := p.CandlestickChart(box); err != nil {
			return err
		}
		dot := charts.NewScatterChartOptionWithData(medians.series())
		dot.Padding, dot.XAxis, dot.YAxis, dot.Theme = padding, x, y, overlay(textColour, markColour)
		dot.Symbol, dot.Legend.Show = charts.Symbol{Shape: charts.SymbolDot, Size: 5}, charts.Ptr(false)
		return p.ScatterChart(dot)
	})
}

func virtualPeak(o verdict.Outcome) uint64 { return o.VirtualPeak }

// over returns the end of the note of a plot that subtracts a part common to all sizes; "" if there is no such part.
func over(common uint64) string {
	if common == 0 {
		return ""
	}
	return ", without the " + text.Size(common) + " that all caps have in common"
}

// bars plots sizes by cap.
func bars(r verdict.Result, title string, of func(verdict.Outcome) uint64) (plot, error) {
	var sizes byCap
	most, common := 0.0, verdict.Common(r.Outcomes, of)
	for _, o := range r.Outcomes {
		if of(o) > 0 {
			size := float64(of(o) - common)
			sizes.add(&r, o, size, 0)
			most = max(most, size)
		}
	}
	if most == 0 {
		return plot{}, nil
	}
	return draw(title, "median of the runs"+over(common), func(p *charts.Painter, c canvas) error {
		o := charts.NewBarChartOptionWithData(sizes.series())
		o.CategoryAxis, o.ValueAxis, o.Theme = names(sizes.labels, c), sizesFromZero(most, 5).axis(sizeLabel), theme(seriesColour(0), markColour)
		o.Padding, o.StackSeries, o.BarSize, o.Legend.Show = padding, charts.Ptr(true), 0.5, charts.Ptr(false)
		return p.BarChart(o)
	})
}

// lines plots a size over time, one line per cap.
func lines(r verdict.Result, title string, of func(sweep.Size) uint64) (plot, error) {
	var runs []sweep.Run
	var labels []string
	var colours []charts.Color
	longest, most := 0.0, 0.0
	for _, o := range r.Outcomes {
		run, ok := o.Typical()
		if !ok {
			continue
		}
		colour := seriesColour(len(runs))
		if o.Name == r.Advice.Cap {
			colour = markColour
		}
		runs, labels, colours = append(runs, run), append(labels, o.Name), append(colours, colour)
		for _, s := range run.Memory {
			longest, most = max(longest, s.Seconds), max(most, float64(of(s)))
		}
	}
	if longest == 0 {
		return plot{}, nil
	}
	return draw(title, "the run with the median peak of each cap", func(p *charts.Painter, c canvas) error {
		x := fromZero(longest, c.labels())
		var values [][]float64
		for _, run := range runs {
			values = append(values, resample(run.Memory, x.high, of))
		}
		o := charts.NewLineChartOptionWithData(values)
		o.XAxis, o.YAxis, o.Theme, o.Padding = x.numbers(seconds), sizesFromZero(most, 5).axis(sizeLabel), theme(colours...), padding
		o.Symbol, o.LineStrokeWidth = charts.Symbol{Shape: charts.SymbolNone}, 2
		o.Legend = charts.LegendOption{SeriesNames: labels, FontStyle: charts.NewFontStyleWithSize(fontSize), Symbol: charts.SymbolSquare}
		return p.LineChart(o)
	})
}

// resample returns the sizes at equal intervals. A size counts until the next sample. The values are null before the first
// sample, and after the one that shows the last sample.
func resample(sizes []sweep.Size, longest float64, of func(sweep.Size) uint64) []float64 {
	values := make([]float64, points+1)
	next, ended := 0, false
	for i := range values {
		at := longest * (float64(i) / points) // exactly longest at the end
		for next < len(sizes) && sizes[next].Seconds <= at {
			next++
		}
		values[i] = charts.GetNullValue()
		if next > 0 && !ended {
			values[i] = float64(of(sizes[next-1]))
			ended = next == len(sizes)
		}
	}
	return values
}
