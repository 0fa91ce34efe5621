package main

// The command ps, and its JSON.

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
	"arenacap/policy"
)

func psCommand() *cli.Command {
	return &cli.Command{
		Name:      "ps",
		Usage:     "list the processes of this host that hold arenas",
		UsageText: "arenacap ps [--json] [--all] [--sort reserved|resident|arenas|virtual|saving|pid]",
		Description: "Every process with arenas beside the main one, by the address space they reserve. SAVING is the address\n" +
			"space that a cap of one arena a core would spare.",
		Flags: []cli.Flag{
			boolFlag("json", "print one JSON list, an object a process"),
			boolFlag("all", "also processes that have the main arena only"),
			&cli.StringFlag{Name: "sort", Value: "reserved", Usage: "sort by `KEY`: reserved, resident, arenas, virtual, saving or pid"},
		},
		Action: ps,
	}
}

// order gives what rows are sorted by, largest first; for pid smallest first.
func order(key string) (func(a, b inspect.Row) int, bool) {
	by := func(value func(inspect.Row) uint64) func(a, b inspect.Row) int {
		return func(a, b inspect.Row) int {
			return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(a.PID, b.PID))
		}
	}
	switch key {
	case "reserved":
		return by(func(r inspect.Row) uint64 { return r.ArenaReserved }), true
	case "resident":
		return by(func(r inspect.Row) uint64 { return r.ArenaResident }), true
	case "arenas":
		return by(func(r inspect.Row) uint64 { return uint64(r.Arenas) }), true
	case "virtual":
		return by(func(r inspect.Row) uint64 { return r.Virtual }), true
	case "saving":
		return by(func(r inspect.Row) uint64 { return r.Saving }), true
	case "pid":
		return by(func(inspect.Row) uint64 { return 0 }), true
	}
	return nil, false
}

func ps(c *cli.Context) error {
	if err := refuseOperands(c); err != nil {
		return err
	}
	compare, ok := order(c.String("sort"))
	if !ok {
		return say.Usage("ps", "--sort "+quote(c.String("sort"))+" is not one; write reserved, resident, arenas, virtual, saving or pid")
	}
	host, err := inspect.List(c.Context, machine.Find("/", machine.Cores, nil), c.Bool("all"))
	if err != nil {
		return err
	}
	slices.SortFunc(host.Rows, compare)
	out := &sheet{to: c.App.Writer}
	if !c.Bool("json") {
		printHost(out, host)
	} else if err := printJSON(out, viewHost(host)); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	if n := len(host.Unreadable); n > 0 {
		speaker(c).Note("%s could not be read; the first: %s", count(n, "process"), host.Unreadable[0])
	}
	return nil
}

func printHost(w io.Writer, host inspect.Host) {
	if len(host.Rows) == 0 {
		fmt.Fprintln(w, "no process that can be read has an arena beside its main one")
		return
	}
	rows := [][]string{{"PID", "THREADS", "ARENAS", "CAP", "RESERVED", "RESIDENT", "VIRTUAL", "SAVING", "  NAME"}}
	var saving uint64
	for _, r := range host.Rows {
		saving += r.Saving
		rows = append(rows, []string{strconv.Itoa(r.PID), strconv.Itoa(r.Threads), strconv.Itoa(r.Arenas), capWords(r.Cap),
			policy.FormatSize(r.ArenaReserved), policy.FormatSize(r.ArenaResident), policy.FormatSize(r.Virtual),
			policy.FormatSize(r.Saving), "  " + inspect.Printable(r.Name)})
	}
	width := terminalWidth(w)
	fmt.Fprint(w, hostTable(rows, width))
	fmt.Fprintln(w, fold(fmt.Sprintf("%s; a cap of %d, one a core, would spare %s of address space", count(len(host.Rows), "process"),
		host.OneACore, policy.FormatSize(saving)), width, 0))
}

// leastHostColumns are left out one after the other where a terminal is too narrow.
var leastHostColumns = []string{"THREADS", "VIRTUAL", "RESIDENT", "SAVING"}

// hostTable lays rows out in so many columns, of which 0 is any: with less of them, and then with the ends of names.
func hostTable(rows [][]string, width int) string {
	text := narrowed(rows, leastHostColumns, width)
	if width == 0 || longestLine(text) <= width {
		return text
	}
	var b strings.Builder
	before := strings.Index(text, "NAME") // columns, since what stands left of names is ASCII
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "%s%s\n", line[:before], clip(strings.TrimSuffix(line[before:], "\n"), max(width-before, 8)))
	}
	return b.String()
}

// capWords is a cap in a column: the number, "!" where it is not kept, and where it comes from.
func capWords(c inspect.Cap) string {
	switch {
	case c.N == 0:
		return "-"
	case c.Kept == inspect.No:
		return fmt.Sprintf("%d! %s", c.N, c.Source)
	}
	return fmt.Sprintf("%d %s", c.N, c.Source)
}

// psJSON is what programs rely on; see the design.
type psJSON struct {
	PID           int          `json:"pid"`
	Name          string       `json:"name"`
	Threads       int          `json:"threads"`
	Arenas        int          `json:"arenas"`
	Cap           *int         `json:"cap"`
	CapSource     *string      `json:"cap_source"`
	Kept          inspect.Kept `json:"kept"`
	ArenaReserved uint64       `json:"arena_reserved_bytes"`
	ArenaResident uint64       `json:"arena_resident_bytes"`
	Virtual       uint64       `json:"virtual_bytes"`
	Resident      uint64       `json:"resident_bytes"`
	Saving        uint64       `json:"saving_bytes"`
}

func viewHost(host inspect.Host) []psJSON {
	list := []psJSON{}
	for _, r := range host.Rows {
		list = append(list, psJSON{r.PID, r.Name, r.Threads, r.Arenas, known(r.Cap.N), known(r.Cap.Source), r.Cap.Kept,
			r.ArenaReserved, r.ArenaResident, r.Virtual, r.Resident, r.Saving})
	}
	return list
}
