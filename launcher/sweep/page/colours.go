package page

// This file defines the colours of the plots, which follow the reader's light or dark scheme.
//
// The charts library accepts only fixed colours, but the page uses CSS variables. So each colour of a theme is a
// placeholder, rgb(n,0,n), which the function "themed" replaces by var(--cn). page.html defines these variables.

import (
	"regexp"
	"strings"

	"github.com/go-analyze/charts"
)

var (
	axisColour  = placeholder(200)
	gridColour  = placeholder(201)
	textColour  = placeholder(202)
	faintColour = placeholder(203)
	markColour  = placeholder(204) // colour of the mark of the advised cap
	// noColour is replaced by the CSS value "none". A fully transparent colour would not work: the library treats it as unset.
	noColour = charts.ColorRGB(0, 1, 0)
)

func placeholder(n int) charts.Color { return charts.ColorRGB(uint8(n), 0, uint8(n)) }

// seriesColour returns the colour of the i-th cap. Colours repeat after eight.
func seriesColour(i int) charts.Color { return placeholder(1 + i%8) }

// theme returns the colours of the axes and of the series.
func theme(series ...charts.Color) charts.ColorPalette {
	return charts.MakeTheme(charts.ThemeOption{AxisStrokeColor: axisColour, AxisSplitLineColor: gridColour, TextColor: textColour,
		BackgroundColor: charts.ColorRGB(0, 0, 0).WithAlpha(0), SeriesColors: series,
		SeriesUpDownColors: [][2]charts.Color{{faintColour, faintColour}}, CandleWickColor: axisColour})
}

// overlay returns the theme of a plot that is drawn over another plot. The axes of the overlay are invisible, because they
// coincide with the axes of the plot below.
func overlay(series ...charts.Color) charts.ColorPalette {
	return theme(series...).WithXAxisColor(noColour).WithYAxisColor(noColour).WithAxisSplitLineColor(noColour).WithTextColor(noColour)
}

// themed replaces the placeholders by the colours of the page, and the library's font by the page's.
func themed(svg string) string {
	svg = regexp.MustCompile(`rgba?\((\d+),0,(\d+)(,[0-9.]+)?\)`).ReplaceAllString(svg, "var(--c$1)")
	return strings.NewReplacer("rgb(0,1,0)", "none", "font-family:'Roboto Medium',sans-serif", "font-family:inherit").Replace(svg)
}
