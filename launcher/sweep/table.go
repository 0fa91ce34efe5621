package sweep

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"arenacap/policy"
)

// Table is what was measured, a row a cap, in words: for a terminal and for the report alike.
type Table struct {
	Heads []string
	Rows  []Row
}

// Row is a cap's; Advised is the one to choose.
type Row struct {
	Advised bool
	Cells   []Cell
}

// Cell is a value, or what stands for one that is not known. Worse is one that is measurably worse than the best, and
// a number of runs of which some failed.
type Cell struct {
	Text  string
	Worse bool
}

// Failure is the first run that failed under a cap: what happened, and the end of its output.
type Failure struct{ Cap, What, Tail string }

// Table is what the advice rests on.
func (r *Result) Table() Table {
	t := Table{Heads: []string{"Cap"}}
	for _, m := range r.Experiment.Metrics {
		t.Heads = append(t.Heads, m.Heading())
	}
	t.Heads = append(t.Heads, "VmSize peak", "Resident peak", "Arenas", "CPU", "Runs")
	for _, o := range r.Outcomes {
		cells := []Cell{{Text: o.label()}}
		for _, m := range o.Measures {
			cells = append(cells, Cell{o.interval(m.Interval), m.Worse})
		}
		t.Rows = append(t.Rows, Row{o.Name == r.Advice.Cap, append(cells, Cell{Text: sizeText(o.VirtualPeak)}, Cell{Text: sizeText(o.ResidentPeak)},
			Cell{Text: o.arenasText()}, Cell{Text: o.cpuText()}, o.runsCell())})
	}
	return t
}

// Details is what was measured besides: medians.
func (r *Result) Details() Table {
	t := Table{Heads: []string{"Cap", "VmSize at the end", "Resident at the end", "Arenas reserved", "Arenas resident", "Page faults", "Context switches"}}
	for _, o := range r.Outcomes {
		if o.Runs == 0 {
			continue
		}
		reserved, resident := "?", "?"
		if o.Arenas > 0 { // with the main arena alone 0 bytes are known
			reserved, resident = policy.FormatSize(o.ArenaReserved), policy.FormatSize(o.ArenaResident)
		}
		row := Row{Advised: o.Name == r.Advice.Cap}
		for _, text := range []string{o.label(), sizeText(o.VirtualFinal), sizeText(o.ResidentFinal), reserved, resident,
			countText(o.MinorFaults + o.MajorFaults), countText(o.VoluntarySwitches + o.InvoluntarySwitches)} {
			row.Cells = append(row.Cells, Cell{Text: text})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// Failures are those of the caps that had any.
func (r *Result) Failures() (list []Failure) {
	for _, o := range r.Outcomes {
		i := slices.IndexFunc(r.Runs, func(run Run) bool { return run.Cap == o.Name && run.Error != "" })
		if i < 0 {
			continue
		}
		run := r.Runs[i]
		what := fmt.Sprintf("%d of %d runs failed; round %d: %s", o.Failed, o.Failed+o.Runs, run.Round, shownText(run.Error))
		list = append(list, Failure{o.Name, what, shownText(run.Tail)}) // a journal's text may be anybody's
	}
	return list
}

// label is the cap as it was written, with what it is here.
func (o *Outcome) label() string {
	if n := strconv.Itoa(o.ArenaMax); o.ArenaMax > 0 && n != o.Name {
		return o.Name + " (" + n + ")"
	}
	return o.Name
}

// interval is a median with how far its interval reaches.
func (o *Outcome) interval(i Interval) string {
	switch {
	case o.Runs == 0:
		return "-"
	case !i.Known():
		return significant(i.Median)
	}
	return fmt.Sprintf("%s ±%.1f%%", significant(i.Median), 100*i.Width())
}

func (o *Outcome) arenasText() string {
	if o.Arenas == 0 {
		return "?"
	}
	return strconv.Itoa(o.Arenas)
}

func (o *Outcome) cpuText() string {
	if o.Runs == 0 {
		return "-"
	}
	return significant(o.CPU) + " s"
}

func (o *Outcome) runsCell() Cell {
	if o.Failed == 0 {
		return Cell{Text: strconv.Itoa(o.Runs)}
	}
	return Cell{fmt.Sprintf("%d, %d failed", o.Runs, o.Failed), true}
}

func sizeText(bytes uint64) string {
	if bytes == 0 {
		return "?"
	}
	return policy.FormatSize(bytes)
}

func countText(n float64) string { return strconv.FormatFloat(math.Round(n), 'f', 0, 64) }

// significant writes a number with the four digits that matter.
func significant(v float64) string {
	if v == 0 || math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, 3-int(math.Floor(math.Log10(math.Abs(v))))), 64)
}
