package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"arenacap/launcher/sweep"
)

func (s *sweepPlan) print(c *cli.Context, r sweep.Result) error {
	switch {
	case c.Bool("json"):
		return printJSON(c.App.Writer, s.json(r, c.IsSet("seed")))
	case c.Bool("csv"):
		return printCSV(c.App.Writer, r)
	}
	out := &sheet{to: c.App.Writer}
	s.printTable(out, r)
	return out.flush()
}

// printTable prints a line a cap, the advice, and what repeats it.
func (s *sweepPlan) printTable(w io.Writer, r sweep.Result) {
	width := terminalWidth(w)
	fmt.Fprintf(w, "%s\n%s\n", tableText(r.Table(), width), paint(w, bold, fold(r.Advice.Sentence, width, 0)))
	if r.Advice.TOML != "" {
		fmt.Fprintf(w, "\n%s", r.Advice.TOML)
	}
	fmt.Fprintf(w, "\n%s\n", fold(fmt.Sprintf("seed %d, %s; medians with intervals of 95 %%; worse: by a rank test, 5 %% for all pairs together",
		r.Experiment.Seed, count(r.Rounds, "round")), width, 0))
}

// tableText lays a table out; where a terminal is too narrow, without the columns that matter least.
func tableText(t sweep.Table, width int) string {
	text := layOut(t, nil)
	for n := range leastColumns {
		if width == 0 || longestLine(text) <= width {
			break
		}
		text = layOut(t, leastColumns[:n+1])
	}
	return text
}

var leastColumns = []string{"CPU", "Arenas", "Resident peak"}

func longestLine(text string) (longest int) {
	for line := range strings.Lines(text) {
		longest = max(longest, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
	}
	return longest
}

func layOut(t sweep.Table, dropped []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	line := func(cell func(column int) string) {
		for i, head := range t.Heads {
			if !slices.Contains(dropped, head) {
				fmt.Fprint(w, cell(i)+"\t")
			}
		}
		fmt.Fprintln(w)
	}
	line(func(i int) string { return strings.ToUpper(t.Heads[i]) })
	for _, row := range t.Rows {
		line(func(i int) string { return cellText(t, row, i) })
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

// cellText marks the advised row and what is worse; the others of its column leave room for the mark, so that the
// numbers stand below each other.
func cellText(t sweep.Table, row sweep.Row, column int) string {
	const mark = " worse"
	text := row.Cells[column].Text
	switch {
	case column == 0 && row.Advised:
		return "→ " + text
	case column == len(t.Heads)-1 || !slices.ContainsFunc(t.Rows, func(r sweep.Row) bool { return r.Cells[column].Worse }):
		return text
	case row.Cells[column].Worse:
		return text + mark
	}
	return text + strings.Repeat(" ", len(mark))
}

// sweepJSON is what programs rely on; see the design. null is what is not known.
type sweepJSON struct {
	Machine    sweepMachineJSON `json:"machine"`
	Program    []string         `json:"program"`
	Path       string           `json:"path"`
	Load       *string          `json:"load"`
	Ready      *string          `json:"ready"`
	Seed       uint64           `json:"seed"`
	Rounds     int              `json:"rounds"`
	Wanted     int              `json:"rounds_wanted"`
	Stopped    bool             `json:"interrupted"`
	Warmup     int              `json:"warmup_rounds"`
	Until      *float64         `json:"until"`
	Throughput metricJSON       `json:"throughput_metric"`
	Latency    *metricJSON      `json:"latency_metric"`
	Command    string           `json:"command"`
	Caps       []capJSON        `json:"caps"`
	Advice     adviceJSON       `json:"advice"`
}

type sweepMachineJSON struct {
	Online       *int     `json:"online_cpus"`
	Affinity     *int     `json:"affinity_cpus"`
	Quota        *float64 `json:"quota_cpus"`
	Memory       *uint64  `json:"memory_bytes"`
	LibcVersion  *string  `json:"libc_version"`
	Allocator    *string  `json:"allocator"`
	GlibcDefault *int     `json:"default_arenas"`
}

type metricJSON struct {
	Pattern *string `json:"pattern"` // null is the wall time in seconds
	Better  string  `json:"better"`
}

type intervalJSON struct {
	Median float64  `json:"median"`
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
}

type capJSON struct {
	Cap                 string        `json:"cap"`
	ArenaMax            *int          `json:"arena_max"`
	Throughput          *intervalJSON `json:"throughput"`
	Latency             *intervalJSON `json:"latency"`
	ThroughputP         *float64      `json:"throughput_p"`
	LatencyP            *float64      `json:"latency_p"`
	Slower              *bool         `json:"throughput_worse"`
	Later               *bool         `json:"latency_worse"`
	VirtualPeak         *uint64       `json:"virtual_peak_bytes"`
	VirtualFinal        *uint64       `json:"virtual_final_bytes"`
	ResidentPeak        *uint64       `json:"resident_peak_bytes"`
	ResidentFinal       *uint64       `json:"resident_final_bytes"`
	Arenas              *int          `json:"arenas"`
	ArenaReserved       *uint64       `json:"arena_reserved_bytes"`
	ArenaResident       *uint64       `json:"arena_resident_bytes"`
	CPU                 *float64      `json:"cpu_seconds"`
	MinorFaults         *float64      `json:"minor_faults"`
	MajorFaults         *float64      `json:"major_faults"`
	VoluntarySwitches   *float64      `json:"voluntary_switches"`
	InvoluntarySwitches *float64      `json:"involuntary_switches"`
	Runs                int           `json:"runs"`
	Failed              int           `json:"failed"`
	Killed              int           `json:"killed"`
}

type adviceJSON struct {
	Cap      *string `json:"cap"`
	Sentence string  `json:"sentence"`
	TOML     *string `json:"toml"`
	Noisy    bool    `json:"noisy"`
	Safer    *string `json:"safer_cap"`
}

func (s *sweepPlan) json(r sweep.Result, seeded bool) sweepJSON {
	x, m := r.Experiment, s.machine
	out := sweepJSON{
		Machine: sweepMachineJSON{known(m.Online.N), known(m.Affinity.N), known(m.Quota.CPUs), known(m.Memory.Bytes),
			known(s.target.LibcVersion), known(s.target.Allocator), known(s.limit)},
		Program: x.Args, Path: x.Path, Load: known(x.Load), Ready: known(x.Ready), Seed: x.Seed,
		Rounds: r.Rounds, Wanted: x.Rounds, Stopped: s.interrupted, Warmup: x.Warmup, Until: known(x.Until), Throughput: newMetricJSON(x.Throughput),
		Command: s.command(seeded), Caps: []capJSON{},
		Advice: adviceJSON{known(r.Advice.Cap), r.Advice.Sentence, known(r.Advice.TOML), r.Advice.Noisy, known(r.Advice.Safer)},
	}
	if x.HasLatency() {
		latency := newMetricJSON(x.Latency)
		out.Latency = &latency
	}
	for _, o := range r.Outcomes {
		out.Caps = append(out.Caps, newCapJSON(o, x.HasLatency()))
	}
	return out
}

func newMetricJSON(m sweep.Metric) metricJSON {
	if m.LowerIsBetter() {
		return metricJSON{known(m.Pattern), "lower"}
	}
	return metricJSON{known(m.Pattern), "higher"}
}

func newCapJSON(o sweep.Outcome, latency bool) capJSON {
	c := capJSON{Cap: o.Name, ArenaMax: known(o.ArenaMax), Runs: o.Runs, Failed: o.Failed, Killed: o.Killed}
	if o.Runs == 0 {
		return c
	}
	c.Throughput, c.ThroughputP, c.Slower = newIntervalJSON(o.Throughput), &o.ThroughputP, &o.Slower
	if latency {
		c.Latency, c.LatencyP, c.Later = newIntervalJSON(o.Latency), &o.LatencyP, &o.Later
	}
	c.VirtualPeak, c.VirtualFinal = known(o.VirtualPeak), known(o.VirtualFinal)
	c.ResidentPeak, c.ResidentFinal = known(o.ResidentPeak), known(o.ResidentFinal)
	c.Arenas, c.ArenaReserved, c.ArenaResident = known(o.Arenas), &o.ArenaReserved, &o.ArenaResident
	if o.Arenas == 0 {
		c.ArenaReserved, c.ArenaResident = nil, nil
	}
	c.CPU, c.MinorFaults, c.MajorFaults = &o.CPU, &o.MinorFaults, &o.MajorFaults
	c.VoluntarySwitches, c.InvoluntarySwitches = &o.VoluntarySwitches, &o.InvoluntarySwitches
	return c
}

func newIntervalJSON(i sweep.Interval) *intervalJSON {
	if !i.Known() {
		return &intervalJSON{Median: i.Median}
	}
	return &intervalJSON{i.Median, &i.Low, &i.High}
}

// printCSV prints each run; what is not known is empty.
func printCSV(w io.Writer, r sweep.Result) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"cap", "round", "throughput", "latency", "wall_seconds", "cpu_seconds", "virtual_peak_bytes", "virtual_final_bytes",
		"resident_peak_bytes", "resident_final_bytes", "arenas", "arena_reserved_bytes", "arena_resident_bytes", "minor_faults", "major_faults",
		"voluntary_switches", "involuntary_switches", "exit_status", "error"})
	for _, run := range r.Runs {
		_ = out.Write(csvRow(run, r.Experiment.HasLatency()))
	}
	out.Flush()
	return out.Error()
}

func csvRow(r sweep.Run, latency bool) []string {
	number := func(v float64, ok bool) string {
		if !ok {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	whole := func(v uint64, ok bool) string {
		if !ok {
			return ""
		}
		return strconv.FormatUint(v, 10)
	}
	good, looked := r.Error == "", r.Arenas > 0
	return []string{r.Cap, strconv.Itoa(r.Round), number(r.Throughput, good), number(r.Latency, good && latency), number(r.Wall, true), number(r.CPU, true),
		whole(r.VirtualPeak, r.VirtualPeak > 0), whole(r.VirtualFinal, r.VirtualFinal > 0), whole(r.ResidentPeak, r.ResidentPeak > 0),
		whole(r.ResidentFinal, r.ResidentFinal > 0), whole(uint64(r.Arenas), looked), whole(r.ArenaReserved, looked), whole(r.ArenaResident, looked),
		strconv.FormatInt(r.MinorFaults, 10), strconv.FormatInt(r.MajorFaults, 10), strconv.FormatInt(r.VoluntarySwitches, 10),
		strconv.FormatInt(r.InvoluntarySwitches, 10), strconv.Itoa(r.Exit), r.Error}
}
