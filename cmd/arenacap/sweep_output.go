package main

// This file prints the result of a sweep as a table, as JSON and as CSV. It also collects the facts for the HTML page, and
// prints warnings about the runs.

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/ordered"
	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/page"
	"arenacap/launcher/sweep/verdict"
	"arenacap/launcher/version"
	"arenacap/policy"
	"arenacap/policy/text"
)

func (s *sweepPlan) print(c *cli.Context, r verdict.Result) error {
	switch {
	case c.Bool("json"):
		return printJSON(c.App.Writer, s.json(r))
	case c.Bool("csv"):
		return printCSV(c.App.Writer, r)
	}
	_, err := io.WriteString(c.App.Writer, resultText(c.App.Writer, r))
	return err
}

// resultText returns a line per cap, the advice, and the seed, with which --seed repeats the sweep. If the writer is a
// terminal, the text fits its width.
func resultText(to io.Writer, r verdict.Result) string {
	width := terminalWidth(to)
	said := tableText(r.Table(), width) + "\n" + paint(to, bold, fold(r.Advice.Sentence, width, 0)) + "\n"
	if r.Advice.TOML != "" {
		said += "\n" + r.Advice.TOML
	}
	return said + "\n" + fold(fmt.Sprintf("seed %d, %s; medians with 95 %% intervals; \"worse\" than the best by a rank test at 5 %%, corrected for all pairs",
		r.Experiment.Seed, text.Count(r.Rounds, "round")), width, 0) + "\n"
}

// leastColumns are dropped in this order while the table is wider than the terminal.
var leastColumns = []string{"CPU", "ARENAS", "RESIDENT PEAK"}

func tableText(t verdict.Table, width int) string {
	rows := [][]string{nil}
	for _, head := range t.Heads {
		rows[0] = append(rows[0], strings.ToUpper(head))
	}
	for _, row := range t.Rows {
		var cells []string
		for i := range t.Heads {
			cells = append(cells, cellText(t, row, i))
		}
		rows = append(rows, cells)
	}
	for i := range rows {
		rows[i] = append(rows[i], "") // package tabwriter does not align the last cell of a row, so the last cell is an empty one
	}
	return narrowed(rows, leastColumns, width)
}

// cellText marks the advised row, and each value that is worse than the best one. In a column with such values the
// other cells end with blanks as wide as the mark, so that the numbers align. The last column, "Runs", has no mark.
func cellText(t verdict.Table, row verdict.Row, column int) string {
	const mark = " worse"
	text := row.Cells[column].Text
	switch {
	case column == 0 && row.Advised:
		return "→ " + text
	case column == len(t.Heads)-1 || !slices.ContainsFunc(t.Rows, func(r verdict.Row) bool { return r.Cells[column].Worse }):
		return text
	case row.Cells[column].Worse:
		return text + mark
	}
	return text + strings.Repeat(" ", len(mark))
}

// json returns the result as JSON. Other programs rely on its keys.
func (s *sweepPlan) json(r verdict.Result) ordered.Object {
	x, m, a := &r.Experiment, s.machine, r.Advice
	out := ordered.Object{
		"machine", ordered.Object{"online_cpus", known(m.Online.N), "affinity_cpus", known(m.Affinity.N), "quota_cpus", known(m.Quota.N),
			"memory_bytes", known(m.Memory.N), "libc_version", known(s.target.LibcVersion), "allocator", known(s.target.Allocator), "default_arenas", known(s.limit)},
		"program", x.Args, "path", x.Path, "load", known(x.Load), "ready", known(x.Ready), "seed", x.Seed, "rounds", r.Rounds, "rounds_wanted", x.Rounds,
		"interrupted", s.interrupted, "warmup_rounds", x.Warmup, "until", known(x.Until)}
	for _, m := range sweep.Metrics {
		out = append(out, m.Name+"_metric", metricJSON(x, m))
	}
	caps := []ordered.Object{}
	for _, o := range r.Outcomes {
		caps = append(caps, capJSON(x, o))
	}
	return append(out, "command", s.command(), "caps", caps, "advice",
		ordered.Object{"cap", known(a.Cap), "sentence", a.Sentence, "toml", known(a.TOML), "noisy", a.Noisy, "safer_cap", known(a.Safer)})
}

// metricJSON describes a metric. A null pattern means the wall time in seconds.
func metricJSON(x *sweep.Experiment, m sweep.Metric) any {
	i := x.Index(m)
	if i < 0 {
		return nil
	}
	better := "higher"
	if x.Metrics[i].LowerIsBetter() {
		better = "lower"
	}
	return ordered.Object{"pattern", known(x.Metrics[i].Pattern), "better", better}
}

func capJSON(x *sweep.Experiment, o verdict.Outcome) ordered.Object {
	out := ordered.Object{"cap", o.Name, "arena_max", known(o.ArenaMax)}
	measures := func(suffix string, value func(verdict.Measure) any) {
		for _, m := range sweep.Metrics {
			out = append(out, m.Name+suffix, nil)
			if i := x.Index(m); i >= 0 && len(o.Runs) > 0 {
				out[len(out)-1] = value(o.Measures[i])
			}
		}
	}
	measures("", func(m verdict.Measure) any {
		return ordered.Object{"median", m.Median, "low", knownIf(m.Known(), m.Low), "high", knownIf(m.Known(), m.High)}
	})
	measures("_p", func(m verdict.Measure) any { return m.P })
	measures("_worse", func(m verdict.Measure) any { return m.Worse })
	ran, looked := len(o.Runs) > 0, o.Arenas > 0
	return append(out, "virtual_peak_bytes", known(o.VirtualPeak), "virtual_final_bytes", known(o.VirtualFinal),
		"resident_peak_bytes", known(o.ResidentPeak), "resident_final_bytes", known(o.ResidentFinal),
		"arenas", known(o.Arenas), "arena_reserved_bytes", knownIf(looked, o.ArenaReserved), "arena_resident_bytes", knownIf(looked, o.ArenaResident),
		"cpu_seconds", knownIf(ran, o.CPU), "minor_faults", knownIf(ran, o.MinorFaults), "major_faults", knownIf(ran, o.MajorFaults),
		"voluntary_switches", knownIf(ran, o.VoluntarySwitches), "involuntary_switches", knownIf(ran, o.InvoluntarySwitches),
		"kept", knownIf(o.ArenaMax != 0 && looked, o.Kept()), "runs", len(o.Runs), "failed", o.Failed, "killed", o.Killed)
}

// printCSV prints a line of heads, and one line per run.
func printCSV(w io.Writer, r verdict.Result) error {
	out := csv.NewWriter(w)
	write := func(row ordered.Object, first int) {
		var cells []string
		for i := first; i < len(row); i += 2 {
			cells = append(cells, csvCell(row[i]))
		}
		_ = out.Write(cells) // the call of out.Error below returns this error too
	}
	write(csvRow(&r.Experiment, sweep.Run{}), 0)
	for _, run := range r.Runs {
		write(csvRow(&r.Experiment, run), 1)
	}
	out.Flush()
	return out.Error()
}

// csvRow returns the line of a run: heads and cells alternate.
func csvRow(x *sweep.Experiment, r sweep.Run) ordered.Object {
	row := ordered.Object{"cap", r.Cap, "round", r.Round}
	for _, m := range sweep.Metrics {
		row = append(row, m.Name, knownIf(r.Error == "" && x.Index(m) >= 0, m.Of(r)))
	}
	size := func(n uint64) any { return knownIf(n > 0, n) }
	looked := r.Arenas > 0
	return append(row, "wall_seconds", r.Wall, "cpu_seconds", r.CPU, "virtual_peak_bytes", size(r.VirtualPeak), "virtual_final_bytes", size(r.VirtualFinal),
		"resident_peak_bytes", size(r.ResidentPeak), "resident_final_bytes", size(r.ResidentFinal), "arenas", knownIf(looked, r.Arenas),
		"arena_reserved_bytes", knownIf(looked, r.ArenaReserved), "arena_resident_bytes", knownIf(looked, r.ArenaResident),
		"minor_faults", r.MinorFaults, "major_faults", r.MajorFaults, "voluntary_switches", r.VoluntarySwitches,
		"involuntary_switches", r.InvoluntarySwitches, "exit_status", r.Exit, "error", r.Error)
}

func csvCell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// about returns what a reader of the report needs to repeat the sweep.
func (s *sweepPlan) about() page.About {
	x, m := s.experiment, s.machine
	about := page.About{Program: programName(x.Args), Command: s.command()}
	add := func(name, format string, args ...any) {
		about.Facts = append(about.Facts, page.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	add("program", "%s", x.Path)
	if x.Load != "" {
		add("load", "%s", x.Load)
		ready := x.Ready
		if ready == "" {
			ready = "when it listens on a socket"
		}
		add("ready", "%s", ready)
	}
	for _, m := range x.Metrics {
		add(m.Name, "%s", metricWords(m))
	}
	for _, c := range x.Candidates {
		add("cap "+c.Name, "%s", candidateWords(c))
	}
	add("rounds", "%s", roundsWords(x))
	add("seed", "%d", x.Seed)
	add("statistics", "median with its 95 %% interval of order statistics; Mann-Whitney U test, corrected by Holm for all pairs and metrics, at 5 %%; peak memory: the same test, of each cap against glibc's own limit, or against the largest cap if glibc's own limit has no result")
	add("CPUs", "%s", strings.Join(m.CPUs(), "; "))
	add("memory", "%s", text.Size(m.Memory.N))
	add("libc", "%s %s", s.target.Libc, s.target.LibcVersion)
	if s.limit > 0 {
		add("glibc's own limit", "%d arenas", s.limit)
	}
	add("arenacap", "%s", version.Text())
	return about
}

// programName returns the command line if it is short enough for a heading, else the program's name.
func programName(args []string) string {
	if line := shellWords(args); len(line) <= 60 {
		return line
	}
	return filepath.Base(args[0])
}

func metricWords(m sweep.Metric) string {
	if m.Pattern == "" {
		return "wall time in seconds, " + m.Better()
	}
	return m.Pattern + " in the output, " + m.Better()
}

func candidateWords(c sweep.Candidate) string {
	switch {
	case c.ArenaMax > 0:
		return "MALLOC_ARENA_MAX=" + strconv.Itoa(c.ArenaMax)
	case c.Name == policy.Off:
		return "inherited environment, without a cap"
	}
	return "MALLOC_ARENA_MAX=0, glibc's own limit"
}

func roundsWords(x sweep.Experiment) string {
	text := fmt.Sprintf("%d, after %d to warm up", x.Rounds, x.Warmup)
	if x.Until > 0 {
		text = fmt.Sprintf("at least %s, until each median is accurate to %g %%, at most %s", text, 100*x.Until, x.MaxTime)
	}
	return text
}

// command returns the sh command line that repeats the sweep.
func (s *sweepPlan) command() string {
	operands := len(os.Args) - len(s.experiment.Args)
	flags := os.Args[1:operands]
	if n := len(flags); flags[n-1] == "--" {
		flags = flags[:n-1]
	}
	var seed []string
	if !s.seeded {
		seed = []string{"--seed", strconv.FormatUint(s.experiment.Seed, 10)}
	}
	return shellWords(slices.Concat([]string{"arenacap"}, flags, seed, []string{"--"}, s.experiment.Args))
}

// tellZeros warns of values of 0 or less: then the expression of the flag probably matches the wrong number.
func tellZeros(v say.Voice, r verdict.Result) {
	good := slices.DeleteFunc(slices.Clone(r.Runs), func(run sweep.Run) bool { return run.Error != "" })
	for _, m := range r.Experiment.Metrics {
		zeros := slices.DeleteFunc(slices.Clone(good), func(run sweep.Run) bool { return m.Of(run) > 0 })
		if m.Pattern != "" && len(zeros) > 0 {
			v.Note("--%s found 0 or less in %d of %s; check that %q matches the right number", m.Flag, len(zeros), text.Count(len(good), "run"), m.Pattern)
		}
	}
}

// tellFailures reports the failures of each cap, with the end of the first failed run's output.
func tellFailures(v say.Voice, r verdict.Result) {
	for _, f := range r.Failures() {
		v.Note("cap %s: %s", f.Cap, f.What)
		for line := range strings.Lines(f.Tail) {
			v.Note("  | %s", strings.TrimRight(line, "\n"))
		}
	}
}

// tellKilled warns once that servers were killed, which lengthens each run and may damage a server's files.
func tellKilled(v say.Voice, r verdict.Result) {
	for _, o := range r.Outcomes {
		if o.Killed > 0 {
			v.Note("cap %s: the server did not end within %s of SIGTERM and was killed; raise --grace", o.Name, r.Experiment.Grace)
			return
		}
	}
}
