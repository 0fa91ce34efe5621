// Package page writes what a sweep found as one HTML page that loads nothing: its plots are SVG by
// go-analyze/charts, its colours follow the reader's choice of light or dark.
package page

import (
	_ "embed"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/template"
	"time"

	"arenacap/launcher/sweep"
	"arenacap/policy"
)

// About is what a reader needs to repeat the sweep.
type About struct {
	Program string // for the heading
	Command string // the line that repeats it
	Facts   []Fact
}

// Fact is a parameter or a property of the machine.
type Fact struct{ Name, Value string }

// text/template, not html/template, whose initialisation costs every launch 0.1 ms: the page escapes each value.
//
//go:embed page.html
var source string

type view struct {
	About
	When, What     string
	Sentence, TOML string
	Noisy          bool
	Table, Details grid
	Plots          []plot
	Failures       []failure
}

type grid struct {
	Heads []string
	Rows  []row
}

type row struct {
	Chosen bool
	Cells  []cell
}

type cell struct {
	Text  string
	Worse bool
}

type failure struct{ Cap, What, Tail string }

// HTML writes the page.
func HTML(w io.Writer, r sweep.Result, about About) error {
	t, err := template.New("page").Parse(source)
	if err != nil {
		return err
	}
	v := view{About: about, Sentence: r.Advice.Sentence, TOML: r.Advice.TOML, Noisy: r.Advice.Noisy, What: what(r)}
	if len(r.Runs) > 0 {
		v.When = r.Runs[0].Start.UTC().Format(time.DateTime) + " UTC"
	}
	v.Table, v.Details = table(r), details(r)
	v.Failures = failures(r)
	if v.Plots, err = plots(r); err != nil {
		return fmt.Errorf("the report's plots: %w", err)
	}
	return t.Execute(w, v)
}

func what(r sweep.Result) string {
	shape := "a batch program"
	if r.Experiment.Load != "" {
		shape = "a server under load"
	}
	return fmt.Sprintf("%s, %d caps, %d rounds, %d runs, seed %d", shape, len(r.Outcomes), r.Rounds, len(r.Runs), r.Experiment.Seed)
}

// plots are the pictures that there are data for.
func plots(r sweep.Result) (list []plot, err error) {
	add := func(p plot, ok bool, e error) {
		if err == nil {
			err = e
		}
		if ok && e == nil {
			list = append(list, p)
		}
	}
	const boxes = "; dot: median, box: its 95 % interval, line: all runs"
	throughput, better := metricName(r.Experiment.Throughput, "Throughput")
	add(intervals(r, throughput+" by cap", better+boxes,
		func(o sweep.Outcome) sweep.Interval { return o.Throughput }, func(r sweep.Run) float64 { return r.Throughput }))
	add(tradeOff(r, "The trade-off", throughput+" ("+better+") against peak virtual size; diamond: the cap that is advised"))
	add(bars(r, "Peak virtual size (VmSize) by cap", "median of the runs", func(o sweep.Outcome) uint64 { return o.VirtualPeak }))
	add(bars(r, "Peak resident memory by cap", "median of the runs", func(o sweep.Outcome) uint64 { return o.ResidentPeak }))
	add(lines(r, "Virtual size over time", "the run with the median peak of each cap", func(s sweep.Size) uint64 { return s.Virtual }))
	add(lines(r, "Resident memory over time", "the run with the median peak of each cap", func(s sweep.Size) uint64 { return s.Resident }))
	if r.Experiment.HasLatency() {
		latency, better := metricName(r.Experiment.Latency, "Latency")
		add(intervals(r, latency+" by cap", better+boxes,
			func(o sweep.Outcome) sweep.Interval { return o.Latency }, func(r sweep.Run) float64 { return r.Latency }))
	}
	return list, err
}

func metricName(m sweep.Metric, name string) (title, better string) {
	if m.Pattern == "" {
		name = "Wall time in seconds"
	}
	if m.LowerIsBetter() {
		return name, "less is better"
	}
	return name, "more is better"
}

// table is what the advice rests on.
func table(r sweep.Result) grid {
	throughput, _ := metricName(r.Experiment.Throughput, "Throughput")
	latency := r.Experiment.HasLatency()
	g := grid{Heads: []string{"Cap", throughput}}
	if latency {
		g.Heads = append(g.Heads, "Latency")
	}
	g.Heads = append(g.Heads, "VmSize peak", "Resident peak", "Arenas", "Runs")
	for _, o := range r.Outcomes {
		cells := []cell{{Text: capName(o)}, {interval(o.Throughput, o), o.Slower}}
		if latency {
			cells = append(cells, cell{interval(o.Latency, o), o.Later})
		}
		runs := cell{strconv.Itoa(o.Runs), o.Failed > 0}
		if o.Failed > 0 {
			runs.Text += fmt.Sprintf(", %d failed", o.Failed)
		}
		cells = append(cells, cell{Text: size(o.VirtualPeak)}, cell{Text: size(o.ResidentPeak)}, cell{Text: whole(o.Arenas)}, runs)
		g.Rows = append(g.Rows, row{o.Name == r.Advice.Cap, cells})
	}
	return g
}

// details is what was measured besides: medians.
func details(r sweep.Result) grid {
	g := grid{Heads: []string{"Cap", "VmSize at the end", "Resident at the end", "Arenas reserved", "Arenas resident", "CPU", "Page faults", "Context switches"}}
	for _, o := range r.Outcomes {
		cells := []cell{{Text: capName(o)}, {Text: size(o.VirtualFinal)}, {Text: size(o.ResidentFinal)}}
		reserved, resident := "?", "?"
		if o.Arenas > 0 {
			reserved, resident = policy.FormatSize(o.ArenaReserved), policy.FormatSize(o.ArenaResident)
		}
		for _, text := range []string{reserved, resident, sweep.Significant(o.CPU) + " s", sweep.Significant(math.Round(o.MinorFaults + o.MajorFaults)),
			sweep.Significant(math.Round(o.VoluntarySwitches + o.InvoluntarySwitches))} {
			cells = append(cells, cell{Text: text})
		}
		if o.Runs > 0 {
			g.Rows = append(g.Rows, row{o.Name == r.Advice.Cap, cells})
		}
	}
	return g
}

func capName(o sweep.Outcome) string {
	if n := strconv.Itoa(o.ArenaMax); o.ArenaMax > 0 && n != o.Name {
		return o.Name + " (" + n + ")"
	}
	return o.Name
}

func whole(n int) string {
	if n == 0 {
		return "?"
	}
	return strconv.Itoa(n)
}

func interval(i sweep.Interval, o sweep.Outcome) string {
	switch {
	case o.Runs == 0:
		return "–"
	case !i.Known():
		return sweep.Significant(i.Median)
	}
	return fmt.Sprintf("%s ±%.1f %%", sweep.Significant(i.Median), 100*i.Width())
}

func size(bytes uint64) string {
	if bytes == 0 {
		return "?"
	}
	return policy.FormatSize(bytes)
}

// failures is the first run that failed under each cap.
func failures(r sweep.Result) (list []failure) {
	for _, o := range r.Outcomes {
		for _, run := range r.Runs {
			if run.Cap == o.Name && run.Error != "" {
				list = append(list, failure{o.Name, fmt.Sprintf("%d of %d runs failed; round %d: %s", o.Failed, o.Failed+o.Runs, run.Round, run.Error), run.Tail})
				break
			}
		}
	}
	return list
}
