package main

// This file has the command ps, and its JSON.

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/inspect"
	"arenacap/launcher/machine"
	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/metrics"
	"arenacap/launcher/ordered"
	"arenacap/launcher/watch/statefile"
	"arenacap/policy/text"
)

func psCommand() *cli.Command {
	return &cli.Command{
		Name:  "ps",
		Usage: "list the processes of this host that hold arenas",
		UsageText: "arenacap ps [--json] [--all] [--sort KEY]\n" +
			"   arenacap ps --prometheus [--group-by service|unit|name] [--max-groups N]",
		Description: "Lists every process with arenas besides the main one, sorted by the address\n" +
			"space that these arenas reserve. SAVING is the address space that a cap of one\n" +
			"arena per core would save. WATCH is the PID of the watch that samples the\n" +
			"process.\n\n" +
			"With --prometheus, ps prints the series of arenacap-exporter, by service, for\n" +
			"the textfile collector of node_exporter. If an error occurs, ps prints no\n" +
			"series and exits with status 1.",
		Flags: []cli.Flag{
			boolFlag("json", "print a JSON list with one object per process"),
			boolFlag("all", "also list processes that have only the main arena"),
			&cli.StringFlag{Name: "sort", Value: "reserved", Usage: "sort by `KEY`: " + sortKeys},
			boolFlag("prometheus", "print the sums of each group of processes (see --group-by) in the text format of Prometheus"),
			&cli.StringFlag{Name: "group-by", Value: metrics.GroupBys[0], Usage: "group by `KEY`: service, unit or name; processes without a service are grouped by unit, without a unit by name"},
			&cli.IntFlag{Name: "max-groups", Value: metrics.DefaultMaxGroups, Usage: "print at most `N` groups, and the sum of the others as \"other\""},
		},
		Action: ps,
	}
}

const sortKeys = "reserved, resident, arenas, virtual, saving or pid"

// order returns the comparison for one of sortKeys: the row with the larger value comes first. Rows with equal values,
// and all rows for the key "pid", are ordered by PID.
func order(key string) (func(a, b inspect.Row) int, bool) {
	value, ok := map[string]func(inspect.Row) uint64{
		"reserved": func(r inspect.Row) uint64 { return r.ArenaReserved },
		"resident": func(r inspect.Row) uint64 { return r.ArenaResident },
		"arenas":   func(r inspect.Row) uint64 { return uint64(r.Arenas) },
		"virtual":  func(r inspect.Row) uint64 { return r.Virtual },
		"saving":   func(r inspect.Row) uint64 { return r.Saving },
		"pid":      func(inspect.Row) uint64 { return 0 },
	}[key]
	return func(a, b inspect.Row) int {
		return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(a.PID, b.PID))
	}, ok
}

func ps(c *cli.Context) error {
	if err := refuseOperands(c); err != nil {
		return err
	}
	if c.Bool("prometheus") {
		return psPrometheus(c)
	}
	compare, ok := order(c.String("sort"))
	if !ok {
		return say.Usage("ps", "--sort: unknown key "+quote(c.String("sort"))+"; write "+sortKeys)
	}
	host, err := inspect.List(c.Context, machine.Find("/", machine.Cores, nil), c.Bool("all"))
	if err != nil {
		return err
	}
	slices.SortFunc(host.Rows, compare)
	watched := findWatchers()
	show := func(w io.Writer, host inspect.Host) error { return printHost(w, host, watched) }
	if c.Bool("json") {
		show = func(w io.Writer, host inspect.Host) error { return printJSON(w, hostJSON(host, watched)) }
	}
	if err := show(c.App.Writer, host); err != nil {
		return err
	}
	if n := len(host.Unreadable); n > 0 {
		speaker(c).Note("%s could not be read; the first: %s", text.Count(n, "process"), host.Unreadable[0].Err)
	}
	return nil
}

// psPrometheus prints after it has computed all series, so that an error in reading the host leaves no part of them.
func psPrometheus(c *cli.Context) error {
	for _, flag := range []string{"json", "all", "sort"} {
		if c.IsSet(flag) {
			return say.Usage("ps", "--prometheus prints sums of groups; remove --"+flag)
		}
	}
	o := metrics.Options{
		Machine: machine.Find("/", machine.Cores, nil), GroupBy: c.String("group-by"), MaxGroups: c.Int("max-groups"), State: statefile.Path,
	}
	if err := o.Check(); err != nil {
		return say.Usage("ps", err.Error())
	}
	var err error
	if o.Plans, err = lineOf(c).Services(gopsutil.Root("/")); err != nil {
		return err
	}
	families, problems, err := metrics.Look(c.Context, o)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		speaker(c).Note("%s", problem)
	}
	_, err = io.WriteString(c.App.Writer, metrics.Text(families))
	return err
}

func printHost(w io.Writer, host inspect.Host, watched watchers) error {
	if len(host.Rows) == 0 {
		_, err := fmt.Fprintln(w, "no readable process has arenas besides the main one")
		return err
	}
	rows := [][]string{{"PID", "THREADS", "ARENAS", "CAP", "RESERVED", "RESIDENT", "HUGE", "VIRTUAL", "SAVING", "WATCH", "  NAME"}}
	var saving, huge uint64
	watches := 0
	for _, r := range host.Rows {
		saving += r.Saving
		huge += r.Huge
		watch := "-"
		if by := watched.of(r.PID); by != 0 {
			watch = strconv.Itoa(by)
			watches++
		}
		rows = append(rows, []string{strconv.Itoa(r.PID), strconv.Itoa(r.Threads), strconv.Itoa(r.Arenas), capWords(r.Cap),
			text.Size(r.ArenaReserved), text.Size(r.ArenaResident), text.Size(r.Huge), text.Size(r.Virtual),
			text.Size(r.Saving), watch, "  " + text.Quoted(r.Name)})
	}
	if huge == 0 {
		rows = without(rows, []string{"HUGE"})
	}
	if watches == 0 {
		rows = without(rows, []string{"WATCH"})
	}
	width := terminalWidth(w)
	_, err := fmt.Fprintln(w, hostTable(rows, width)+fold(fmt.Sprintf("%s; a cap of %d, one per core, would save %s of address space",
		text.Count(len(host.Rows), "process"), host.OneACore, text.Size(saving)), width, 0))
	return err
}

// leastHostColumns are dropped in this order while the table is wider than the terminal.
var leastHostColumns = []string{"HUGE", "WATCH", "THREADS", "VIRTUAL", "RESIDENT", "SAVING"}

// hostTable formats rows for width columns, 0 for no limit: it drops columns first, then cuts the front of names.
func hostTable(rows [][]string, width int) string {
	text := narrowed(rows, leastHostColumns, width)
	if width == 0 || longestLine(text) <= width {
		return text
	}
	var b strings.Builder
	before := strings.Index(text, "NAME") // bytes are columns here: all left of NAME is ASCII
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "%s%s\n", line[:before], clip(strings.TrimSuffix(line[before:], "\n"), max(width-before, 8)))
	}
	return b.String()
}

// capWords formats a cap for its column: the number, "!" if it is not kept, and its source.
func capWords(c inspect.Cap) string {
	switch {
	case c.N == 0:
		return "-"
	case c.Kept == inspect.No:
		return fmt.Sprintf("%d! %s", c.N, c.Source)
	}
	return fmt.Sprintf("%d %s", c.N, c.Source)
}

// hostJSON's keys are a contract with other programs. null means unknown, or that there is none.
func hostJSON(host inspect.Host, watched watchers) []ordered.Object {
	list := []ordered.Object{}
	for _, r := range host.Rows {
		list = append(list, ordered.Object{
			"pid", r.PID,
			"name", r.Name,
			"threads", r.Threads,
			"arenas", r.Arenas,
			"cap", known(r.Cap.N),
			"cap_source", known(r.Cap.Source),
			"kept", r.Cap.Kept,
			"arena_reserved_bytes", r.ArenaReserved,
			"arena_resident_bytes", r.ArenaResident,
			"virtual_bytes", r.Virtual,
			"resident_bytes", r.Resident,
			"huge_bytes", r.Huge,
			"saving_bytes", r.Saving,
			"watched_by", known(watched.of(r.PID)),
		})
	}
	return list
}
