package page

// This file computes axes with round numbers. The axes of the charts library do not suffice: sizes need steps in powers of
// two, not of ten; the x axis of line and scatter plots has categories, not numbers; and the labels of the trade-off plot
// need the position of a value.

import (
	"math"
	"slices"
	"strconv"

	"github.com/go-analyze/charts"
)

const fontSize = 10 // points; about 13 pixels

// scale is an axis with round numbers.
type scale struct{ low, high, step float64 }

// around returns a scale that covers the range [low, high] in about n steps, with a margin on both sides. The scale does not
// go below zero unless the range does.
func around(low, high float64, n int) scale {
	if high <= low {
		high = low + max(math.Abs(low)*0.1, 1e-9)
	}
	room := (high - low) * 0.08
	if low >= 0 {
		return rounded(max(0, low-room), high+room, n)
	}
	return rounded(low-room, high+room, n)
}

// fromZero returns a scale that covers 0 to high, for bars and time.
func fromZero(high float64, n int) scale { return rounded(0, max(high, 1e-9), n) }

func rounded(low, high float64, n int) scale {
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

// sizesFromZero does the same as fromZero, with steps that are round in binary units.
func sizesFromZero(most float64, n int) scale {
	unit := unitOf(most)
	return fromZero(most/unit, n).times(unit)
}

// unitOf returns the largest power of 1024 that is at most the size.
func unitOf(size float64) float64 {
	return math.Pow(1024, math.Floor(math.Log(max(size, 1))/math.Log(1024)))
}

func (s scale) times(unit float64) scale { return scale{s.low * unit, s.high * unit, s.step * unit} }

func (s scale) steps() int { return int(math.Round((s.high - s.low) / s.step)) }

// axis returns the vertical axis of a plot.
func (s scale) axis(format func(float64) string) []charts.ValueAxisOption {
	return []charts.ValueAxisOption{{Min: charts.Ptr(s.low), Max: charts.Ptr(s.high), LabelCount: s.steps() + 1,
		ValueFormatter: format, LabelFontStyle: charts.NewFontStyleWithSize(fontSize), RangeValuePaddingScale: charts.Ptr(0.0)}}
}

// names returns a category axis that shows all labels, rotated if they do not fit side by side.
func names(labels []string, c canvas) charts.CategoryAxisOption {
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

// points is the number of categories of an axis that represents numbers. A horizontal scale has 1 to 6 steps, and 120
// is divisible by each of these numbers.
const points = 120

// numbers returns the scale as a category axis.
func (s scale) numbers(format func(float64) string) charts.CategoryAxisOption {
	labels := make([]string, points+1)
	for i := range labels {
		labels[i] = format(s.low + (s.high-s.low)*float64(i)/points)
	}
	labels[points] = "" // the library would move the last label to the left, into the previous one
	return charts.CategoryAxisOption{Labels: labels, LabelFontStyle: charts.NewFontStyleWithSize(fontSize), BoundaryGap: charts.Ptr(false),
		LabelCount: s.steps() + 1}
}

// sizeAxis is a scale of sizes, or of their logarithms to base 2.
type sizeAxis struct {
	scale
	log  bool
	base float64 // size that is subtracted from each size
}

// sizesAround returns an axis for sizes, logarithmic if the largest is more than twice the smallest.
func sizesAround(sizes []float64, n int) sizeAxis {
	least, most := slices.Min(sizes), slices.Max(sizes)
	if most <= 2*least {
		unit := unitOf(most)
		return sizeAxis{scale: around(least/unit, most/unit, n).times(unit)}
	}
	low, high := math.Floor(math.Log2(least)), math.Ceil(math.Log2(most)+0.2) // room for a label on the right
	step := math.Ceil((high - low) / float64(n+1))
	return sizeAxis{scale{low, low + step*math.Ceil((high-low)/step), step}, true, 0}
}

// sizesOver returns an axis for sizes from which the part common to all is subtracted.
func sizesOver(common uint64, most float64, n int) sizeAxis {
	return sizeAxis{scale: sizesFromZero(most-float64(common), n), base: float64(common)}
}

// at returns the position of a size on the axis, from 0 to 1.
func (a sizeAxis) at(size uint64) float64 {
	v := float64(size) - a.base
	if a.log {
		v = math.Log2(v)
	}
	return (v - a.low) / (a.high - a.low)
}

// label formats the size at a value of the axis.
func (a sizeAxis) label(v float64) string {
	if a.log {
		v = math.Exp2(v)
	}
	return sizeLabel(v)
}

// plain formats a number as short as possible.
func plain(v float64) string {
	if math.Abs(v) >= 1e6 {
		return strconv.FormatFloat(v/1e6, 'f', -1, 64) + "M"
	}
	return strconv.FormatFloat(math.Round(v*1e9)/1e9, 'f', -1, 64)
}

func seconds(v float64) string { return plain(v) + " s" }

// sizeLabel formats a size with at most two decimals. Steps from zero are at least a fifth of a unit, so rounding does
// not make two labels equal.
func sizeLabel(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for len(units) > 1 && v >= 1024 {
		v, units = v/1024, units[1:]
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) + " " + units[0]
}
