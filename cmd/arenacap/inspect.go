package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"arenacap/launcher/arena"
	"arenacap/launcher/inspect"
	"arenacap/policy"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show where the virtual memory of live processes is, and whether the cap is kept",
		UsageText: "arenacap inspect [--json] [--deep] PID…",
		Description: "Reads each process from outside: nothing is stopped, attached or asked of it. The cap is the one that its\n" +
			"own glibc read when it started; with --policy or --service it is the one that the policy wants.\n\n" +
			"Exit status: 0 if every cap is kept or there is none, 1 if one is not kept or a process cannot be read.",
		Flags: slices.Concat(globalFlags(), []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print one JSON list, an object a process", DisableDefaultText: true},
			&cli.BoolFlag{Name: "deep", Usage: "walk the chunks: in use, free, and what malloc_trim would give back", DisableDefaultText: true},
		}),
		Action: inspectPIDs,
	}
}

func inspectPIDs(c *cli.Context) error {
	if err := refuseFlags(c); err != nil {
		return err
	}
	if c.NArg() == 0 {
		return &usageError{"inspect", "no PID to inspect"}
	}
	pids, err := parsePIDs("inspect", c.Args().Slice())
	if err != nil {
		return err
	}
	wanted, err := wantedPlan(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	show := inspector{c: c, ctx: ctx, wanted: wanted, json: c.Bool("json")}
	for _, pid := range pids {
		show.one(pid)
	}
	if show.json {
		if err := printJSON(c.App.Writer, show.objects); err != nil {
			return err
		}
	}
	if show.bad {
		return noError{}
	}
	return nil
}

// wantedPlan is the plan that should be in force, where --policy or --service asks for one.
func wantedPlan(c *cli.Context) (*policy.Plan, error) {
	_, named := globalString(c, "policy")
	_, service := globalString(c, "service")
	if !named && !service {
		return nil, nil
	}
	plan, err := makePlan(c, false)
	if err != nil {
		return nil, err
	}
	return &plan, nil
}

// inspector shows one process after the other.
type inspector struct {
	c       *cli.Context
	ctx     context.Context
	wanted  *policy.Plan
	json    bool
	shown   int
	objects []inspectJSON
	bad     bool // a cap is not kept, or a process could not be read
}

func (i *inspector) one(pid int) {
	report, err := inspect.Look(pid, i.wanted)
	if err == nil && i.c.Bool("deep") {
		err = i.walk(report.Process)
	}
	if err != nil || report.Cap.Kept == inspect.No {
		i.bad = true
	}
	switch {
	case i.json:
		i.objects = append(i.objects, viewReport(pid, report, err))
	case err != nil:
		newVoice(false, false).line("%s", err)
	default:
		if i.shown > 0 {
			fmt.Fprintln(i.c.App.Writer)
		}
		i.shown++
		printReport(i.c.App.Writer, report, i.c.Bool("deep"))
	}
}

// walk walks the chunks, with a bar on stderr where it takes longer than a second and a person waits.
func (i *inspector) walk(p *arena.Process) error {
	if !term.IsTerminal(int(os.Stderr.Fd())) || speaker(i.c).quiet {
		return p.Walk(i.ctx, nil)
	}
	started, drawn := time.Now(), false
	err := p.Walk(i.ctx, func(done, total uint64) {
		if time.Since(started) > time.Second && total > 0 {
			drawn = true
			fmt.Fprintf(os.Stderr, "\r%s of %s walked %s ", policy.FormatSize(done), policy.FormatSize(total), bar(done, total, 30))
		}
	})
	if drawn {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	return err
}

// printReport shows one process in a screenful.
func printReport(w io.Writer, r inspect.Report, deep bool) {
	p := r.Process
	fmt.Fprintf(w, "%s (PID %d): %s, %s\n", printable(p.Name), p.PID, count(p.Threads, "thread"), mallocName(p))
	fmt.Fprintf(w, "%s\n\n", paint(w, bold, r.Verdict))
	printParts(w, p)
	printArenas(w, p)
	printCap(w, r)
	if deep {
		fmt.Fprintln(w)
		printChunks(w, p)
	}
}

// mallocName is whose malloc the process uses.
func mallocName(p *arena.Process) string {
	libc := strings.TrimSpace(cmp.Or(p.Libc, "no libc that is known") + " " + p.LibcVersion)
	if p.Allocator == "" || p.Allocator == p.Libc {
		return libc
	}
	return libc + ", malloc by " + p.Allocator
}

// shownParts is how many rows of parts fit into a screenful; the rest is summed up in one row.
const shownParts = 12

func printParts(w io.Writer, p *arena.Process) {
	width := barWidth(w)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "VIRTUAL\tRESIDENT\tCOUNT\t  %s\n", "WHAT")
	parts, rest := p.Parts, arena.Part{Kind: "the rest"}
	for i, part := range parts {
		if i >= shownParts {
			rest.Virtual, rest.Resident, rest.Count = rest.Virtual+part.Virtual, rest.Resident+part.Resident, rest.Count+part.Count
			continue
		}
		printPart(t, part, p.Virtual, width)
	}
	if rest.Count > 0 {
		printPart(t, rest, p.Virtual, width)
	}
	t.Flush()
	fmt.Fprintln(w)
}

func printPart(w io.Writer, part arena.Part, all uint64, width int) {
	what := part.Kind
	if part.Name != "" {
		what += " " + printable(part.Name)
	}
	share := ""
	if width > 0 {
		share = bar(part.Virtual, all, width) + " "
	}
	fmt.Fprintf(w, "%s\t%s\t%d\t  %s\n", policy.FormatSize(part.Virtual), policy.FormatSize(part.Resident), part.Count, share+what)
}

func printArenas(w io.Writer, p *arena.Process) {
	c, resident := p.Census(), uint64(0)
	for _, a := range p.Arenas {
		if !a.Main {
			resident += a.Resident
		}
	}
	if c.Arenas == 0 {
		fmt.Fprintln(w, "arenas  none: no glibc is mapped")
		return
	}
	fmt.Fprintf(w, "arenas  %d, the main one included", c.Arenas)
	if c.Heaps > 0 {
		fmt.Fprintf(w, "; %s: %s reserved, %s committed, %s resident", count(c.Heaps, "heap"),
			policy.FormatSize(c.Reserved), policy.FormatSize(c.Committed), policy.FormatSize(resident))
	}
	fmt.Fprintln(w)
}

func printCap(w io.Writer, r inspect.Report) {
	switch c := r.Cap; {
	case c.N == 0:
		fmt.Fprintf(w, "cap     %s\n", c.Why)
	case c.Kept == inspect.Yes:
		fmt.Fprintf(w, "cap     %d (%s): %s\n", c.N, c.Source, paint(w, green, "kept"))
	case c.Kept == inspect.No:
		fmt.Fprintf(w, "cap     %d (%s): %s: %s\n", c.N, c.Source, paint(w, red, "not kept"), c.Why)
	default:
		fmt.Fprintf(w, "cap     %d (%s): %s\n", c.N, c.Source, c.Why)
	}
	if r.Next != "" {
		fmt.Fprintf(w, "next    %s\n", r.Next)
	}
}

// printChunks is a row an arena of what --deep found.
func printChunks(w io.Writer, p *arena.Process) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "ARENA\tTHREADS\tHEAPS\tRESIDENT\tIN USE\tFREE\tTOP\tLARGEST FREE\tTRIMMABLE\tFRAGMENTED\tSURE\t\n")
	for i, a := range p.Arenas {
		c := a.Chunks
		if c == nil {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f %%\t%.0f %%\t\n", arenaName(i, a), threadsOf(a), len(a.Heaps),
			policy.FormatSize(a.Resident), policy.FormatSize(c.InUse), policy.FormatSize(c.Free), policy.FormatSize(c.Top),
			policy.FormatSize(c.Largest), policy.FormatSize(c.Trimmable), 100*c.Fragmentation(), 100*c.Sure())
	}
	t.Flush()
	fmt.Fprintln(w, "in use includes what glibc keeps in its thread caches; trimmable is what malloc_trim(0) would give back")
}

func arenaName(i int, a arena.Arena) string {
	if a.Main {
		return "main"
	}
	return fmt.Sprint(i)
}

func threadsOf(a arena.Arena) string {
	if !a.ThreadsKnown {
		return "?"
	}
	return fmt.Sprint(a.Threads)
}

// inspectJSON is what programs rely on; see the design. null is what is not known.
type inspectJSON struct {
	PID            int          `json:"pid"`
	Name           *string      `json:"name"`
	Threads        *int         `json:"threads"`
	Libc           *string      `json:"libc"`
	LibcVersion    *string      `json:"libc_version"`
	Allocator      *string      `json:"allocator"`
	Arenas         *int         `json:"arenas"`
	Heaps          *int         `json:"heaps"`
	Cap            *int         `json:"cap"`
	CapSource      *string      `json:"cap_source"`
	Kept           inspect.Kept `json:"kept"`
	Why            *string      `json:"why"`
	Error          *string      `json:"error"`
	Virtual        *uint64      `json:"virtual_bytes"`
	Resident       *uint64      `json:"resident_bytes"`
	ArenaReserved  *uint64      `json:"arena_reserved_bytes"`
	ArenaCommitted *uint64      `json:"arena_committed_bytes"`
	ArenaResident  *uint64      `json:"arena_resident_bytes"`
	Parts          []partJSON   `json:"parts"`
	Verdict        *string      `json:"verdict"`
	Next           *string      `json:"next"`
	PerArena       []arenaJSON  `json:"per_arena"`
}

type partJSON struct {
	Kind     string  `json:"kind"`
	Name     *string `json:"name"`
	Count    int     `json:"count"`
	Virtual  uint64  `json:"virtual_bytes"`
	Resident uint64  `json:"resident_bytes"`
}

type arenaJSON struct {
	Main      bool     `json:"main"`
	Threads   *int     `json:"threads"`
	Heaps     int      `json:"heaps"`
	Reserved  uint64   `json:"reserved_bytes"`
	Committed uint64   `json:"committed_bytes"`
	Resident  uint64   `json:"resident_bytes"`
	System    uint64   `json:"system_bytes"`
	Top       uint64   `json:"top_bytes"`
	InUse     *uint64  `json:"in_use_bytes"`
	Free      *uint64  `json:"free_bytes"`
	Largest   *uint64  `json:"largest_free_bytes"`
	Trimmable *uint64  `json:"trimmable_bytes"`
	Sure      *float64 `json:"sure"`
}

func viewReport(pid int, r inspect.Report, err error) inspectJSON {
	if err != nil {
		text := err.Error()
		return inspectJSON{PID: pid, Error: &text}
	}
	p, c := r.Process, r.Process.Census()
	out := inspectJSON{
		PID: pid, Name: &p.Name, Threads: &p.Threads, Libc: known(p.Libc), LibcVersion: known(p.LibcVersion),
		Allocator: known(p.Allocator), Arenas: &c.Arenas, Heaps: &c.Heaps,
		Cap: known(r.Cap.N), CapSource: known(r.Cap.Source), Kept: r.Cap.Kept, Why: known(r.Cap.Why),
		Virtual: &p.Virtual, Resident: &p.Resident, ArenaReserved: &c.Reserved, ArenaCommitted: &c.Committed,
		ArenaResident: new(uint64), Parts: []partJSON{}, Verdict: &r.Verdict, Next: known(r.Next), PerArena: []arenaJSON{},
	}
	for _, part := range p.Parts {
		out.Parts = append(out.Parts, partJSON{part.Kind, known(part.Name), part.Count, part.Virtual, part.Resident})
	}
	for _, a := range p.Arenas {
		if !a.Main {
			*out.ArenaResident += a.Resident
		}
		out.PerArena = append(out.PerArena, viewArena(a))
	}
	return out
}

func viewArena(a arena.Arena) arenaJSON {
	out := arenaJSON{Main: a.Main, Heaps: len(a.Heaps), Reserved: a.Reserved, Committed: a.Committed,
		Resident: a.Resident, System: a.SystemMem, Top: a.Top}
	if a.ThreadsKnown {
		out.Threads = &a.Threads
	}
	if c := a.Chunks; c != nil {
		sure := c.Sure()
		out.InUse, out.Free, out.Largest, out.Trimmable, out.Sure = &c.InUse, &c.Free, &c.Largest, &c.Trimmable, &sure
	}
	return out
}
