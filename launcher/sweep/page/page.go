// Package page writes the report of a sweep as one self-contained HTML page. Its plots are SVG by go-analyze/charts; its
// colours follow the reader's light or dark scheme.
//
// Initialising the charts library costs 0.17 ms at the start of arenacap, half of it in go-humanize, which the library
// imports; html/template costs 0.02 ms. An ordinary launch does not pay this, because it happens before the
// initialisation (package early).
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

// About is the information that a reader needs to repeat the sweep.
type About struct {
	Program string // name of the program, for the heading
	Command string // the command line that repeats the sweep
	Facts   []Fact
}

// Fact is a parameter or a property of the machine.
type Fact struct{ Name, Value string }

//go:embed page.html
var source string

// view is the data of the page's template.
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
		return fmt.Errorf("cannot draw the plots of the report: %w", err)
	}
	return t.Execute(w, view{about, &r, pictures})
}

// Sentence returns the advice, with non-breaking spaces before percent signs.
func (v view) Sentence() string { return strings.ReplaceAll(v.Advice.Sentence, " %", "\u00a0%") }

// When returns the time of the first run.
func (v view) When() string {
	if len(v.Runs) == 0 {
		return ""
	}
	return v.Runs[0].Start.UTC().Format(time.DateTime) + " UTC"
}

// What summarizes the experiment.
func (v view) What() string {
	shape := "a batch program"
	if v.Experiment.Load != "" {
		shape = "a server under load"
	}
	return fmt.Sprintf("%s, %d caps, %d rounds, %d runs, seed %d", shape, len(v.Outcomes), v.Rounds, len(v.Runs), v.Experiment.Seed)
}
