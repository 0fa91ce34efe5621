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

// view is what the page shows.
type view struct {
	About
	*verdict.Result
	Plots []plot
}

// HTML writes the page.
func HTML(w io.Writer, r verdict.Result, about About) error {
	t, err := template.New("page").Parse(source)
	if err != nil {
		return err
	}
	pictures, err := plots(r)
	if err != nil {
		return fmt.Errorf("the report's plots: %w", err)
	}
	return t.Execute(w, view{about, &r, pictures})
}

// Sentence is the advice; no line begins with a percent sign.
func (v view) Sentence() string { return strings.ReplaceAll(v.Advice.Sentence, " %", "\u00a0%") }

// When is the time of the first run.
func (v view) When() string {
	if len(v.Runs) == 0 {
		return ""
	}
	return v.Runs[0].Start.UTC().Format(time.DateTime) + " UTC"
}

// What is the shape of the experiment.
func (v view) What() string {
	shape := "a batch program"
	if v.Experiment.Load != "" {
		shape = "a server under load"
	}
	return fmt.Sprintf("%s, %d caps, %d rounds, %d runs, seed %d", shape, len(v.Outcomes), v.Rounds, len(v.Runs), v.Experiment.Seed)
}
