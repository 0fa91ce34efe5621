package verdict

// This file formats the result as tables of text, for the terminal and for the HTML page (package page).

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"arenacap/launcher/sweep"
	"arenacap/policy/text"
)

// Table has at most one row per cap.
type Table struct {
	Heads []string
	Rows  []Row
}

// Row is the row of a cap; Advised marks the row of the advised cap.
type Row struct {
	Advised bool
	Cells   []Cell
}

// Cell is a value as text; "-" or "?" means unknown. Worse marks a value that is measurably worse than the best. It
// also marks the number of runs of a cap if some of its runs failed.
type Cell struct {
	Text  string
	Worse bool
}

// Failure describes the failed runs of a cap. The field What has their number and the reason of the first one; the
// field Tail has the end of its output.
type Failure struct{ Cap, What, Tail string }

// Table returns the measurements on which the advice is based, and the CPU time, with one row for each cap.
func (r *Result) Table() Table {
	t := Table{Heads: []string{"Cap"}}
	for _, m := range r.Experiment.Metrics {
		t.Heads = append(t.Heads, m.Heading())
	}
	t.Heads = append(t.Heads, "VmSize peak", "Resident peak", "Arenas", "CPU", "Runs")
	virtual, resident := sizeTexts(r.Outcomes, Outcome.virtual), sizeTexts(r.Outcomes, func(o Outcome) uint64 { return o.ResidentPeak })
	for i, o := range r.Outcomes {
		cells := []Cell{{Text: o.label()}}
		for _, m := range o.Measures {
			cells = append(cells, Cell{o.whereRan(m.text()), m.Worse})
		}
		cells = append(cells, Cell{Text: virtual[i]}, Cell{Text: resident[i]},
			Cell{Text: o.arenasText()}, Cell{Text: o.whereRan(significant(o.CPU) + " s")}, o.runsCell())
		t.Rows = append(t.Rows, Row{o.Name == r.Advice.Cap, cells})
	}
	return t
}

// Details returns the medians of the measurements that Table leaves out. It has no row for a cap without a successful run.
func (r *Result) Details() Table {
	t := Table{Heads: []string{"Cap", "VmSize at the end", "Resident at the end", "Arenas reserved", "Arenas resident", "Page faults", "Context switches"}}
	final := sizeTexts(r.Outcomes, func(o Outcome) uint64 { return o.VirtualFinal })
	for i, o := range r.Outcomes {
		if !o.ran() {
			continue
		}
		row := Row{Advised: o.Name == r.Advice.Cap}
		for _, text := range []string{o.label(), final[i], sizeText(o.ResidentFinal),
			o.whereLooked(text.Size(o.ArenaReserved)), o.whereLooked(text.Size(o.ArenaResident)),
			fmt.Sprintf("%.0f", math.Round(o.MinorFaults+o.MajorFaults)), fmt.Sprintf("%.0f", math.Round(o.VoluntarySwitches+o.InvoluntarySwitches))} {
			row.Cells = append(row.Cells, Cell{Text: text})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// Failures returns one failure for each cap with failed runs.
func (r *Result) Failures() (list []Failure) {
	for _, o := range r.Outcomes {
		i := slices.IndexFunc(r.Runs, func(run sweep.Run) bool { return run.Cap == o.Name && run.Error != "" })
		if i < 0 {
			continue
		}
		what, tail := r.Runs[i].Failure()
		list = append(list, Failure{o.Name, fmt.Sprintf("%d of %d runs failed; round %d: %s", o.Failed, o.Failed+len(o.Runs), r.Runs[i].Round, what), tail})
	}
	return list
}

// label is the cap as it was written, with the number of arenas that it stands for on this machine.
func (o *Outcome) label() string {
	if n := strconv.Itoa(o.ArenaMax); o.ArenaMax > 0 && n != o.Name {
		return o.Name + " (" + n + ")"
	}
	return o.Name
}

// whereRan returns text, or "-" if no run succeeded.
func (o *Outcome) whereRan(text string) string {
	if !o.ran() {
		return "-"
	}
	return text
}

// whereLooked returns text, or "?" if the arenas were not inspected. Only the number of arenas shows this, because 0
// reserved bytes are valid for a program that has only its main arena.
func (o *Outcome) whereLooked(text string) string {
	if o.Arenas == 0 {
		return "?"
	}
	return text
}

// arenasText is the number of arenas, with a remark if the row is not compared.
func (o *Outcome) arenasText() string {
	text := o.whereLooked(strconv.Itoa(o.Arenas))
	switch {
	case o.missed():
		return text + " (not kept)"
	case o.aside != "":
		return text + " (" + strings.TrimPrefix(o.aside, "in effect ") + ")"
	}
	return text
}

// NotCompared lists the candidates that setAside excluded from all comparisons, with the reason.
func (r *Result) NotCompared() (lines []string) {
	for _, o := range r.Outcomes {
		if o.aside != "" {
			lines = append(lines, fmt.Sprintf("cap %s is not compared: %s", o.Name, o.aside))
		}
	}
	return lines
}

// text returns a median with the width of its interval in percent, if that is known.
func (m *Measure) text() string {
	if !m.Known() {
		return significant(m.Median)
	}
	return fmt.Sprintf("%s ±%.1f%%", significant(m.Median), 100*m.Width())
}

func (o *Outcome) runsCell() Cell {
	if o.Failed == 0 {
		return Cell{Text: strconv.Itoa(len(o.Runs))}
	}
	return Cell{fmt.Sprintf("%d, %d failed", len(o.Runs), o.Failed), true}
}

// sizeTexts formats a size for each cap. If the sizes have a large common part (see the function "Common"), a size that
// differs from it by enough to matter is written as the common part plus the rest.
func sizeTexts(outcomes []Outcome, of func(Outcome) uint64) []string {
	common := Common(outcomes, of)
	texts := make([]string, len(outcomes))
	for i, o := range outcomes {
		if texts[i] = sizeText(of(o)); common > 0 && matters(of(o), common) {
			texts[i] = sizeText(common) + " +" + mebibytes(of(o)-common)
		}
	}
	return texts
}

// Common is the smallest known size, if it is at least 1 TiB and another size differs from it by enough to matter;
// otherwise it is 0. Arenas take less than 1 TiB, so the program itself reserves that much under every cap, and rounding
// such sizes would hide the differences between the caps.
func Common(outcomes []Outcome, of func(Outcome) uint64) uint64 {
	var known []uint64
	for _, o := range outcomes {
		if size := of(o); size != 0 {
			known = append(known, size)
		}
	}
	if len(known) == 0 || slices.Min(known) < 1<<40 || !matters(slices.Max(known), slices.Min(known)) {
		return 0
	}
	return slices.Min(known)
}

func sizeText(bytes uint64) string {
	if bytes == 0 {
		return "?"
	}
	return text.Size(bytes)
}

// significant formats a number with four significant digits, from 1000 on as an integer.
func significant(v float64) string {
	if v == 0 || math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, 3-int(math.Floor(math.Log10(math.Abs(v))))), 64)
}
