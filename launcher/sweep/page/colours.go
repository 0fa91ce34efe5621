package page

// The colours of the pictures, which follow the reader's choice of light or dark.
//
// The library draws with colours, the page wants variables: each colour of a theme is a placeholder, rgb(n,0,n), that
// becomes var(--cn), which the page's style defines.

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
	markColour  = placeholder(204) // of the cap that is advised
	// noColour becomes none. The library takes a colour that is clear altogether for one that was not set.
	noColour = charts.ColorRGB(0, 1, 0)
)

func placeholder(n int) charts.Color { return charts.ColorRGB(uint8(n), 0, uint8(n)) }

// seriesColour is that of the i-th cap. There are eight before they repeat.
func seriesColour(i int) charts.Color { return placeholder(1 + i%8) }

// theme has the colours of the axes and of the series.
func theme(series ...charts.Color) charts.ColorPalette {
	return charts.MakeTheme(charts.ThemeOption{AxisStrokeColor: axisColour, AxisSplitLineColor: gridColour, TextColor: textColour,
		BackgroundColor: charts.ColorRGB(0, 0, 0).WithAlpha(0), SeriesColors: series,
		SeriesUpDownColors: [][2]charts.Color{{faintColour, faintColour}}, CandleWickColor: axisColour})
}

// overlay is a theme for what is drawn over another picture: its own axes, at the same places, cannot be seen.
func overlay(series ...charts.Color) charts.ColorPalette {
	return theme(series...).WithXAxisColor(noColour).WithYAxisColor(noColour).WithAxisSplitLineColor(noColour).WithTextColor(noColour)
}

// themed replaces the placeholders, and the font by the page's.
func themed(svg string) string {
	svg = regexp.MustCompile(`rgba?\((\d+),0,(\d+)(,[0-9.]+)?\)`).ReplaceAllString(svg, "var(--c$1)")
	return strings.NewReplacer("rgb(0,1,0)", "none", "font-family:'Roboto Medium',sans-serif", "font-family:inherit").Replace(svg)
}
