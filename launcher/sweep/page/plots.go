package page

import (
	"cmp"
	"html/template"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-analyze/charts"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/verdict"
)

// plot is one picture in two widths, for wide and narrow windows: text that is scaled down cannot be read.
type plot struct {
	Title, Note  string
	Wide, Narrow template.HTML // SVG
}

// canvas is the size of a drawing in pixels.
type canvas struct{ width, height int }

var wide, narrow = canvas{600, 330}, canvas{350, 290}

// The library draws with colours, the page wants variables that differ between light and dark: each colour of the
// theme is a placeholder, rgb(n,0,n), and becomes var(--cn).
const (
	axisColour = 200 + iota
	gridColour
	textColour
	faintColour
	markColour
)

// seriesColours is how many colours caps have before they repeat.
const seriesColours = 8

// unseen becomes none, as does noColour. The library takes a colour that is clear altogether for one that was not set.
var unseen = charts.ColorRGB(0, 1, 0)

const noColour = -1

func placeholder(n int) charts.Color {
	if n == noColour {
		return unseen
	}
	return charts.ColorRGB(uint8(n), 0, uint8(n))
}

// theme has the colours of the axes and of the series.
func theme(series ...int) charts.ColorPalette { return charts.MakeTheme(options(series)) }

// overlay is a theme for what is drawn over another picture: its own axes, at the same places, cannot be seen.
func overlay(series ...int) charts.ColorPalette {
	o := options(series)
	o.AxisStrokeColor, o.AxisSplitLineColor, o.TextColor = unseen, unseen, unseen
	return charts.MakeTheme(o)
}

func options(series []int) charts.ThemeOption {
	o := charts.ThemeOption{AxisStrokeColor: placeholder(axisColour), AxisSplitLineColor: placeholder(gridColour),
		TextColor: placeholder(textColour), BackgroundColor: charts.ColorRGB(0, 0, 0).WithAlpha(0),
		SeriesUpDownColors: [][2]charts.Color{{placeholder(faintColour), placeholder(faintColour)}}, CandleWickColor: placeholder(axisColour)}
	for _, n := range series {
		o.SeriesColors = append(o.SeriesColors, placeholder(n))
	}
	return o
}

// capColours are the colours of the first n candidates.
func capColours(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = 1 + i%seriesColours
	}
	return list
}

// draw renders a picture at one size.
func draw(c canvas, paint func(p *charts.Painter) error) (template.HTML, error) {
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: c.width, Height: c.height, Theme: theme(markColour)})
	if err := paint(p); err != nil {
		return "", err
	}
	svg, err := p.Bytes()
	if err != nil {
		return "", err
	}
	return template.HTML(themed(string(svg))), nil
}

// themed replaces the placeholders, and the font by the page's.
func themed(svg string) string {
	svg = regexp.MustCompile(`rgba?\((\d+),0,(\d+)(,[0-9.]+)?\)`).ReplaceAllString(svg, "var(--c$1)")
	svg = strings.ReplaceAll(svg, "rgb(0,1,0)", "none")
	return strings.ReplaceAll(svg, "font-family:'Roboto Medium',sans-serif", "font-family:inherit")
}

// both draws a picture in both widths.
func both(title, note string, paint func(p *charts.Painter, c canvas) error) (pl plot, err error) {
	pl = plot{Title: title, Note: note}
	if pl.Wide, err = draw(wide, func(p *charts.Painter) error { return paint(p, wide) }); err != nil {
		return pl, err
	}
	pl.Narrow, err = draw(narrow, func(p *charts.Painter) error { return paint(p, narrow) })
	return pl, err
}

// scale is an axis with round numbers.
type scale struct{ low, high, step float64 }

// newScale covers the values with about n steps; from zero for bars.
func newScale(low, high float64, n int, zero bool) scale {
	if zero {
		low = 0
	}
	if high <= low {
		high = low + max(math.Abs(low)*0.1, 1e-9)
	}
	if !zero {
		low, high = around(low, high)
	}
	raw := (high - low) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if step*f >= raw {
			step *= f
			break
		}
	}
	return scale{math.Floor(low/step) * step, math.Ceil(high/step) * step, step}
}

// around leaves some room on both sides, but none below zero where no value is.
func around(low, high float64) (float64, float64) {
	room := (high - low) * 0.08
	if low >= 0 {
		return max(0, low-room), high + room
	}
	return low - room, high + room
}

func (s scale) steps() int { return int(math.Round((s.high - s.low) / s.step)) }

// axis is the value axis of a scale.
func (s scale) axis(format func(float64) string) charts.ValueAxisOption {
	return charts.ValueAxisOption{Min: charts.Ptr(s.low), Max: charts.Ptr(s.high), LabelCount: s.steps() + 1,
		ValueFormatter: format, LabelFontStyle: charts.NewFontStyleWithSize(fontSize), RangeValuePaddingScale: charts.Ptr(0.0)}
}

const fontSize = 10 // points; about 13 pixels

var padding = charts.NewBox(6, 12, 14, 4)

// categories is an axis of names, all of them: aslant where they would not fit side by side.
func categories(labels []string, c canvas) charts.CategoryAxisOption {
	x := charts.CategoryAxisOption{Labels: labels, LabelFontStyle: charts.NewFontStyleWithSize(fontSize), BoundaryGap: charts.Ptr(true), LabelCount: len(labels)}
	longest := 0
	for _, l := range labels {
		longest = max(longest, len(l))
	}
	if longest*13/2+4 > (c.width-80)/len(labels) {
		x.LabelRotation = charts.DegreesToRadians(45)
	}
	return x
}

// plain is a number as short as it can be.
func plain(v float64) string {
	if math.Abs(v) >= 1e6 {
		return strconv.FormatFloat(v/1e6, 'f', -1, 64) + "M"
	}
	return strconv.FormatFloat(math.Round(v*1e9)/1e9, 'f', -1, 64)
}

// bytesLabel is a size with at most two decimals: the steps are quarters of a unit at least.
func bytesLabel(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for len(units) > 1 && v >= 1024 {
		v, units = v/1024, units[1:]
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) + " " + units[0]
}

// intervals is a picture of a metric by cap: box and dot are the median and its interval, the thin line goes from the
// least run to the most.
func intervals(r verdict.Result, metric int) (plot, bool, error) {
	m := r.Experiment.Metrics[metric]
	var labels []string
	var boxes []charts.OHLCData
	var dots, chosen []float64
	low, high := math.Inf(1), math.Inf(-1)
	for _, o := range r.Outcomes {
		if len(o.Runs) == 0 {
			continue
		}
		values := m.Values(o.Runs)
		i := o.Measures[metric]
		least, most := slices.Min(values), slices.Max(values)
		if !i.Known() {
			i.Low, i.High = least, most
		}
		labels = append(labels, o.Name)
		boxes = append(boxes, charts.OHLCData{Open: i.Low, High: most, Low: least, Close: i.High})
		dot, mark := i.Median, charts.GetNullValue()
		if o.Name == r.Advice.Cap {
			dot, mark = mark, dot
		}
		dots, chosen = append(dots, dot), append(chosen, mark)
		low, high = min(low, least), max(high, most)
	}
	if len(labels) == 0 {
		return plot{}, false, nil
	}
	s := newScale(low, high, 5, false)
	pl, err := both(m.Title()+" by cap", m.Better()+"; dot: median, box: its 95 % interval, line: all runs", func(p *charts.Painter, c canvas) error {
		x, y := categories(labels, c), []charts.ValueAxisOption{s.axis(plain)}
		box := charts.NewCandlestickOptionWithData(boxes)
		box.Padding, box.XAxis, box.YAxis, box.Theme, box.CandleWidth, box.WickWidth = padding, x, y, theme(faintColour), 0.25, 1.5
		if err := p.CandlestickChart(box); err != nil {
			return err
		}
		dot := charts.NewScatterChartOptionWithData([][]float64{dots, chosen})
		dot.Padding, dot.XAxis, dot.YAxis, dot.Theme = padding, x, y, overlay(textColour, markColour)
		dot.Symbol = charts.Symbol{Shape: charts.SymbolDot, Size: 5}
		dot.Legend.Show = charts.Ptr(false)
		return p.ScatterChart(dot)
	})
	return pl, true, err
}

// bars is a picture of sizes by cap.
func bars(r verdict.Result, title, note string, of func(verdict.Outcome) uint64) (plot, bool, error) {
	var labels []string
	var others, chosen []float64
	most := 0.0
	for _, o := range r.Outcomes {
		if of(o) == 0 {
			continue
		}
		labels = append(labels, o.Name)
		other, mark := float64(of(o)), 0.0
		if o.Name == r.Advice.Cap {
			other, mark = mark, other
		}
		others, chosen = append(others, other), append(chosen, mark)
		most = max(most, float64(of(o)))
	}
	if len(labels) == 0 {
		return plot{}, false, nil
	}
	s := byteScale(most, 5)
	pl, err := both(title, note, func(p *charts.Painter, c canvas) error {
		o := charts.NewBarChartOptionWithData([][]float64{others, chosen})
		o.CategoryAxis, o.ValueAxis, o.Theme = categories(labels, c), []charts.ValueAxisOption{s.axis(bytesLabel)}, theme(1, markColour)
		o.Padding, o.StackSeries, o.BarSize = padding, charts.Ptr(true), 0.5
		o.Legend.Show = charts.Ptr(false)
		return p.BarChart(o)
	})
	return pl, true, err
}

// byteScale has steps that are round in powers of two.
func byteScale(most float64, n int) scale {
	unit := math.Pow(1024, math.Floor(math.Log(max(most, 1))/math.Log(1024)))
	s := newScale(0, most/unit, n, true)
	return scale{0, s.high * unit, s.step * unit}
}

// points is how many places an axis of categories has that stands for numbers: the library knows no other below its lines
// and dots. It is divisible by 2 to 6, the number of steps of a scale.
const points = 120

// lines is a picture of a size over time, a line a cap.
func lines(r verdict.Result, title, note string, of func(sweep.Size) uint64) (plot, bool, error) {
	runs := typical(r)
	longest, most := 0.0, 0.0
	for _, run := range runs {
		longest = max(longest, run.Memory[len(run.Memory)-1].Seconds)
		for _, s := range run.Memory {
			most = max(most, float64(of(s)))
		}
	}
	if longest == 0 {
		return plot{}, false, nil
	}
	y := byteScale(most, 5)
	pl, err := both(title, note, func(p *charts.Painter, c canvas) error {
		x := newScale(0, longest, c.labels(), true)
		var names []string
		var values [][]float64
		for _, run := range runs {
			names = append(names, run.Cap)
			values = append(values, resample(run.Memory, x.high, of))
		}
		o := charts.NewLineChartOptionWithData(values)
		o.XAxis, o.YAxis, o.Theme, o.Padding = x.positions(seconds), []charts.ValueAxisOption{y.axis(bytesLabel)}, theme(lineColours(r, runs)...), padding
		o.Symbol, o.LineStrokeWidth = charts.Symbol{Shape: charts.SymbolNone}, 2
		o.Legend = charts.LegendOption{SeriesNames: names, FontStyle: charts.NewFontStyleWithSize(fontSize), Symbol: charts.SymbolSquare}
		return p.LineChart(o)
	})
	return pl, true, err
}

func seconds(v float64) string { return plain(v) + " s" }

// lineColours gives each cap its own colour, and the one that is advised the colour of the mark.
func lineColours(r verdict.Result, runs []sweep.Run) []int {
	colours := capColours(len(runs))
	for i, run := range runs {
		if run.Cap == r.Advice.Cap {
			colours[i] = markColour
		}
	}
	return colours
}

func typical(r verdict.Result) (runs []sweep.Run) {
	for _, o := range r.Outcomes {
		if run, ok := o.Typical(); ok {
			runs = append(runs, run)
		}
	}
	return runs
}

// resample gives the sizes at equal distances; before the first and behind the last one there is none.
func resample(sizes []sweep.Size, longest float64, of func(sweep.Size) uint64) []float64 {
	values := make([]float64, points+1)
	next := 0
	for i := range values {
		at := longest * float64(i) / points
		for next < len(sizes) && sizes[next].Seconds <= at {
			next++
		}
		values[i] = charts.GetNullValue()
		if next > 0 && next < len(sizes) {
			values[i] = float64(of(sizes[next-1]))
		}
	}
	return values
}

// labels is how many numbers fit below a picture.
func (c canvas) labels() int { return c.width / 110 }

// positions is the scale as an axis of categories.
func (s scale) positions(format func(float64) string) charts.CategoryAxisOption {
	labels := make([]string, points+1)
	for i := range labels {
		labels[i] = format(s.low + (s.high-s.low)*float64(i)/points)
	}
	labels[points] = "" // the library moves the last one to the left, into the one before
	return charts.CategoryAxisOption{Labels: labels, LabelFontStyle: charts.NewFontStyleWithSize(fontSize), BoundaryGap: charts.Ptr(false),
		LabelCount: s.steps() + 1}
}

// tradeOff is a picture of the first metric against peak virtual size.
func tradeOff(r verdict.Result) (plot, bool, error) {
	m := r.Experiment.Metrics[0]
	var shown []verdict.Outcome
	var sizes, speeds []float64 // speeds: of all runs, so that noise does not look like a difference
	for _, o := range r.Outcomes {
		if len(o.Runs) > 0 && o.VirtualPeak > 0 {
			shown = append(shown, o)
			sizes = append(sizes, float64(o.VirtualPeak))
			speeds = append(speeds, m.Values(o.Runs)...)
		}
	}
	if len(shown) == 0 {
		return plot{}, false, nil
	}
	y := newScale(slices.Min(speeds), slices.Max(speeds), 5, false)
	note := m.Title() + " (" + m.Better() + ") against peak virtual size; diamond: the cap that is advised"
	pl, err := both("The trade-off", note, func(p *charts.Painter, c canvas) error {
		x, format := sizeScale(sizes, c.labels())
		o := charts.NewScatterChartOptionWithData(append(spread(shown, x, 0), spread(shown, x, y.pixels(labelRise, c))...))
		o.XAxis, o.YAxis = x.positions(format), []charts.ValueAxisOption{y.axis(plain)}
		o.Theme, o.Padding = theme(scatterColours(r, shown)...), padding
		o.Symbol, o.Legend.Show = charts.Symbol{Shape: charts.SymbolDot, Size: 5}, charts.Ptr(false)
		font := charts.NewFontStyleWithSize(fontSize)
		for i, label := range together(shown, x, y, c) {
			if shown[i].Name == r.Advice.Cap {
				o.SeriesList[i].Symbol = charts.Symbol{Shape: charts.SymbolDiamond, Size: 8}
			}
			o.SeriesList[len(shown)+i].Label = charts.SeriesLabel{Show: charts.Ptr(label != ""), FontStyle: font,
				Distance:       -letterWidth * len(label) / 2, // to the right, which is where the library puts it
				LabelFormatter: func(int, string, float64) (string, *charts.LabelStyle) { return label, nil }}
		}
		return p.ScatterChart(o)
	})
	return pl, true, err
}

// sizeAxis is a scale of sizes, or of their logarithms to base 2.
type sizeAxis struct {
	scale
	log bool
}

// sizeScale is for sizes, in powers of two where the largest is more than twice the least.
func sizeScale(sizes []float64, n int) (sizeAxis, func(float64) string) {
	least, most := slices.Min(sizes), slices.Max(sizes)
	if most <= 2*least {
		unit := math.Pow(1024, math.Floor(math.Log(most)/math.Log(1024)))
		s := newScale(least/unit, most/unit, n, false)
		return sizeAxis{scale{s.low * unit, s.high * unit, s.step * unit}, false}, bytesLabel
	}
	low, high := math.Floor(math.Log2(least)), math.Ceil(math.Log2(most)+0.2) // room for a label on the right
	step := math.Ceil((high - low) / float64(n+1))
	high = low + step*math.Ceil((high-low)/step)
	return sizeAxis{scale{low, high, step}, true}, func(v float64) string { return bytesLabel(math.Exp2(v)) }
}

// at is where a size is between 0 and 1.
func (a sizeAxis) at(size uint64) float64 {
	v := float64(size)
	if a.log {
		v = math.Log2(v)
	}
	return (v - a.low) / (a.high - a.low)
}

// spread puts each outcome at its place among the positions, or so much above it.
func spread(shown []verdict.Outcome, x sizeAxis, above float64) (values [][]float64) {
	for _, o := range shown {
		v := slices.Repeat([]float64{charts.GetNullValue()}, points+1)
		v[int(math.Round(x.at(o.VirtualPeak)*points))] = o.Measures[0].Median + above
		values = append(values, v)
	}
	return values
}

// labelRise is how far a label stands above its dot, in pixels: it belongs to a point of its own that cannot be seen.
const labelRise = 15

// What the frame of a plot takes beside and below it, and what a letter takes, about, in pixels.
const frameWidth, frameHeight, letterWidth, letterHeight = 80, 60, 7, 16

// pixels is how much a distance on the canvas is on a vertical scale.
func (s scale) pixels(n float64, c canvas) float64 {
	return n * (s.high - s.low) / float64(c.height-frameHeight)
}

// together gives the label above each dot. Those that would cover each other are one, above the dot in their middle.
func together(shown []verdict.Outcome, x sizeAxis, y scale, c canvas) []string {
	var groups [][]verdict.Outcome
	for _, o := range shown {
		groups = append(groups, []verdict.Outcome{o})
	}
	for i := 0; i < len(groups); i++ {
		for j := i + 1; j < len(groups); j++ {
			if !cover(groups[i], groups[j], x, y, c) {
				continue
			}
			both := slices.Concat(groups[i], groups[j])
			slices.SortStableFunc(both, func(a, b verdict.Outcome) int { return cmp.Compare(a.VirtualPeak, b.VirtualPeak) })
			groups = append([][]verdict.Outcome{both}, slices.Delete(slices.Delete(groups, j, j+1), i, i+1)...)
			i, j = 0, 0 // it may cover others now
		}
	}
	labels := make([]string, len(shown))
	for _, g := range groups {
		i := slices.IndexFunc(shown, func(o verdict.Outcome) bool { return o.Name == middle(g).Name })
		labels[i] = joined(g)
	}
	return labels
}

func middle(g []verdict.Outcome) verdict.Outcome { return g[len(g)/2] }

func joined(g []verdict.Outcome) string {
	var names []string
	for _, o := range g {
		names = append(names, o.Name)
	}
	return strings.Join(names, ", ")
}

// cover reports whether the labels of two groups of dots would.
func cover(a, b []verdict.Outcome, x sizeAxis, y scale, c canvas) bool {
	across := math.Abs(x.at(middle(a).VirtualPeak)-x.at(middle(b).VirtualPeak)) * float64(c.width-frameWidth)
	up := math.Abs(middle(a).Measures[0].Median - middle(b).Measures[0].Median)
	return across < float64(letterWidth*(len(joined(a))+len(joined(b))+1))/2 && up < y.pixels(letterHeight, c)
}

// scatterColours are those of the dots, and none for the points of their labels.
func scatterColours(r verdict.Result, shown []verdict.Outcome) []int {
	colours := slices.Repeat([]int{noColour}, 2*len(shown))
	for i, o := range shown {
		colours[i] = 1
		if o.Name == r.Advice.Cap {
			colours[i] = markColour
		}
	}
	return colours
}
