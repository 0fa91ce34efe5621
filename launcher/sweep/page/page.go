// Package page writes what a sweep found as one HTML page that loads nothing: its plots are SVG by
// go-analyze/charts, its colours follow the reader's choice of light or dark.
//
// What the library initialises costs 0.17 ms of every start but a launch, which is over by then (package early); half
// of it is go-humanize, which it cannot be linked without. html/template is 0.02 ms of the same kind.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/verdict"
)

// About is what a reader needs to repeat the sweep.
type About struct {
	Program string // for the heading
	Command string // the line that repeats it
	Facts   []Fact
}

// Fact is a parameter or a property of the machine.
type Fact struct{ Name, Value string }

//go:embed page.html
var source string

type view struct {
	About
	When, What     string
	Sentence, TOML string
	Noisy          bool
	Table, Details verdict.Table
	Plots          []plot
	Failures       []verdict.Failure
}

// HTML writes the page.
func HTML(w io.Writer, r verdict.Result, about About) error {
	t, err := template.New("page").Parse(source)
	if err != nil {
		return err
	}
	sentence := strings.ReplaceAll(r.Advice.Sentence, " %", "\u00a0%") // no line begins with it
	v := view{About: about, Sentence: sentence, TOML: r.Advice.TOML, Noisy: r.Advice.Noisy, What: what(r),
		Table: r.Table(), Details: r.Details(), Failures: r.Failures()}
	if len(r.Runs) > 0 {
		v.When = r.Runs[0].Start.UTC().Format(time.DateTime) + " UTC"
	}
	if v.Plots, err = plots(r); err != nil {
		return fmt.Errorf("the report's plots: %w", err)
	}
	return t.Execute(w, v)
}

func what(r verdict.Result) string {
	shape := "a batch program"
	if r.Experiment.Load != "" {
		shape = "a server under load"
	}
	return fmt.Sprintf("%s, %d caps, %d rounds, %d runs, seed %d", shape, len(r.Outcomes), r.Rounds, len(r.Runs), r.Experiment.Seed)
}

// plots are the pictures that there are data for, two a line: the trade-off fills the line of the metrics, or stands last.
func plots(r verdict.Result) (list []plot, err error) {
	add := func(p plot, ok bool, e error) {
		if err == nil {
			err = e
		}
		if ok && e == nil {
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
	add(bars(r, "Peak virtual size (VmSize) by cap", "median of the runs", func(o verdict.Outcome) uint64 { return o.VirtualPeak }))
	add(bars(r, "Peak resident memory by cap", "median of the runs", func(o verdict.Outcome) uint64 { return o.ResidentPeak }))
	add(lines(r, "Virtual size over time", "the run with the median peak of each cap", func(s sweep.Size) uint64 { return s.Virtual }))
	add(lines(r, "Resident memory over time", "the run with the median peak of each cap", func(s sweep.Size) uint64 { return s.Resident }))
	if len(metrics)%2 == 0 {
		add(tradeOff(r))
	}
	return list, err
}
