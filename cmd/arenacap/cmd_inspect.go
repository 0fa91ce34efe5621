package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/arena"
	"arenacap/launcher/inspect"
	"arenacap/launcher/machine"
	"arenacap/launcher/watch"
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
		Flags: []cli.Flag{
			boolFlag("json", "print one JSON list, an object a process"),
			boolFlag("deep", "walk the chunks: in use, free, and what malloc_trim would give back"),
		},
		Action: inspectPIDs,
	}
}

func inspectPIDs(c *cli.Context) error {
	pids, err := pidOperands(c)
	if err != nil {
		return err
	}
	wanted, err := wantedPolicy(c)
	if err != nil {
		return err
	}
	show := inspector{c: c, machine: machine.Find("/", machine.Cores, nil), wanted: wanted, objects: []inspectJSON{}}
	for _, pid := range pids {
		if err := show.one(pid); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		if err := printJSON(c.App.Writer, show.objects); err != nil {
			return err
		}
	}
	if show.bad {
		return say.No
	}
	return nil
}

// wantedPolicy is the policy that should be in force, where --policy or --service asks for one.
func wantedPolicy(c *cli.Context) (*policy.Policy, error) {
	line := lineOf(c)
	_, named := line.Text("policy")
	_, service := line.Text("service")
	if !named && !service {
		return nil, nil
	}
	p, err := line.Policy()
	if err != nil {
		return nil, err
	}
	line.Voice().Notes(p.Notes)
	return &p, nil
}

// inspector shows one process after the other.
type inspector struct {
	c       *cli.Context
	machine policy.Machine
	wanted  *policy.Policy
	shown   int
	objects []inspectJSON
	bad     bool // a cap is not kept, or a process could not be read
}

// one shows one process. The error is that of the output; what is wrong with the process is said.
func (i *inspector) one(pid int) error {
	deep := i.c.Bool("deep")
	report, err := inspect.Look(pid, i.machine, i.wanted)
	if err == nil && deep {
		err = i.walk(report.Process)
	}
	if err != nil || report.Cap.Kept == inspect.No {
		i.bad = true
	}
	switch {
	case i.c.Bool("json"):
		i.objects = append(i.objects, viewReport(pid, report, err))
	case err != nil:
		say.Voice{}.Line(watch.Err, "%s", err)
	default:
		out := &sheet{to: i.c.App.Writer}
		if i.shown++; i.shown > 1 {
			fmt.Fprintln(out)
		}
		printReport(out, report, deep)
		return out.flush()
	}
	return nil
}

// walk walks the chunks, with a bar on stderr where it takes longer than a second and a person waits.
func (i *inspector) walk(p *arena.Process) error {
	if !term.IsTerminal(int(os.Stderr.Fd())) || speaker(i.c).Quiet {
		return p.Walk(i.c.Context, nil)
	}
	started, drawn := time.Now(), false
	err := p.Walk(i.c.Context, func(done, total uint64) {
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
	fmt.Fprintf(w, "%s (PID %d): %s, %s\n", inspect.Printable(p.Name), p.PID, count(p.Threads, "thread"), mallocName(p))
	fmt.Fprintf(w, "%s\n\n", paint(w, bold, fold(r.Verdict, terminalWidth(w), 0)))
	printParts(w, p)
	printLabelled(w, "arenas", arenasLine(p))
	printLabelled(w, "cap", capLine(w, r.Cap))
	if r.Next != "" {
		printLabelled(w, "next", r.Next)
	}
	if deep && len(p.Arenas) > 0 {
		fmt.Fprintln(w)
		printChunks(w, p)
	}
}

func printLabelled(w io.Writer, label, text string) {
	fmt.Fprintf(w, "%-8s%s\n", label, fold(text, terminalWidth(w), 8))
}

// mallocName is whose malloc the process uses.
func mallocName(p *arena.Process) string {
	libc := strings.TrimSpace(cmp.Or(p.Libc, "no C library that is known") + " " + p.LibcVersion)
	switch {
	case p.Allocator == "go" && p.Libc == "":
		return "Go without a C library"
	case p.Allocator == "" || p.Allocator == p.Libc:
		return libc
	}
	return libc + ", malloc by " + p.Allocator
}

// shownParts is how many rows of parts fit into a screenful; the rest is summed up in one row.
const shownParts = 12

// partColumns is what stands left of a part's name at most: three columns of numbers and the gaps.
const partColumns = 34

func printParts(w io.Writer, p *arena.Process) {
	width, room := barWidth(w), 0
	if columns := terminalWidth(w); columns > 0 {
		room = columns - width - partColumns
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "VIRTUAL\tRESIDENT\tCOUNT\t  %s\n", "WHAT")
	rest := arena.Part{Kind: "the rest"}
	for i, part := range p.Parts {
		if i < shownParts {
			printPart(t, part, p.Virtual, width, room)
			continue
		}
		rest.Virtual, rest.Resident, rest.Count = rest.Virtual+part.Virtual, rest.Resident+part.Resident, rest.Count+part.Count
	}
	if rest.Count > 0 {
		printPart(t, rest, p.Virtual, width, room)
	}
	t.Flush()
	fmt.Fprintln(w)
}

func printPart(t io.Writer, part arena.Part, all uint64, width, room int) {
	share := ""
	if width > 0 {
		share = bar(part.Virtual, all, width) + " "
	}
	fmt.Fprintf(t, "%s\t%s\t%d\t  %s%s\n", policy.FormatSize(part.Virtual), policy.FormatSize(part.Resident), part.Count,
		share, partWords(part, room))
}

// partWords says what a part is, to people who have not met arenas.
// A name is cut to fit into so many columns, of which 0 is any.
func partWords(part arena.Part, room int) string {
	switch part.Kind {
	case arena.KindArenas:
		return "arenas (malloc's pools)"
	case arena.KindMainHeap:
		return "main heap (the main arena)"
	case arena.KindReserved:
		return "reserved without access"
	}
	if part.Name == "" {
		return part.Kind
	}
	if room > 0 {
		room = max(room-len(part.Kind)-1, 8)
	}
	return part.Kind + " " + clip(inspect.Printable(part.Name), room)
}

func arenasLine(p *arena.Process) string {
	c := p.Census()
	if c.Arenas == 0 {
		return "none: no C library with arenas was found"
	}
	line := fmt.Sprintf("%d, the main one included", c.Arenas)
	if c.Heaps > 0 {
		line += fmt.Sprintf("; %s: %s reserved, %s committed, %s resident", count(c.Heaps, "heap"),
			policy.FormatSize(c.Reserved), policy.FormatSize(c.Committed), policy.FormatSize(inspect.ArenasResident(p)))
	}
	return line
}

func capLine(w io.Writer, c inspect.Cap) string {
	switch {
	case c.N == 0:
		return c.Why
	case c.Kept == inspect.Yes:
		return fmt.Sprintf("%d (%s): %s", c.N, c.Source, paint(w, green, "kept"))
	case c.Kept == inspect.No:
		return fmt.Sprintf("%d (%s): %s: %s", c.N, c.Source, paint(w, red, "not kept"), c.Why)
	}
	return fmt.Sprintf("%d (%s): %s", c.N, c.Source, c.Why)
}

// shownArenas is how many arenas --deep has rows for; the rest is one row.
const shownArenas = 32

// printChunks is a row an arena of what --deep found, and one for all together.
func printChunks(w io.Writer, p *arena.Process) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "ARENA\tTHREADS\tHEAPS\tRESIDENT\tIN USE\tFREE\tTOP\tLARGEST FREE\tTRIMMABLE\tFRAGMENTED\tSURE\t\n")
	var rest, all chunkRow
	for i, a := range p.Arenas {
		if a.Chunks == nil {
			continue
		}
		row := newChunkRow(i, a)
		all.add(row)
		if i < shownArenas {
			row.print(t)
		} else {
			rest.add(row)
		}
	}
	if rest.rows > 0 {
		rest.name = fmt.Sprintf("%d more", rest.rows)
		rest.print(t)
	}
	if all.rows > 1 {
		all.name = "all"
		all.print(t)
	}
	t.Flush()
	fmt.Fprintln(w, fold("in use includes what glibc keeps in its thread caches; trimmable is what malloc_trim(0) would give back"+all.moved(), terminalWidth(w), 0))
}

// chunkRow is one row of the table of --deep: an arena, or several.
type chunkRow struct {
	name, threads string
	rows, heaps   int
	resident      uint64
	chunks        arena.Chunks
	runs          uint64 // the largest free run of each arena: one arena cannot use another's
}

func newChunkRow(i int, a arena.Arena) chunkRow {
	return chunkRow{arenaName(i, a), threadsOf(a), 1, len(a.Heaps), a.Resident, *a.Chunks, a.Chunks.Largest}
}

func (r *chunkRow) add(o chunkRow) {
	r.rows, r.heaps, r.resident = r.rows+1, r.heaps+o.heaps, r.resident+o.resident
	r.runs += o.runs
	sum, c := &r.chunks, o.chunks
	sum.InUse, sum.Free, sum.Top = sum.InUse+c.InUse, sum.Free+c.Free, sum.Top+c.Top
	sum.Overhead, sum.Unknown, sum.Trimmable = sum.Overhead+c.Overhead, sum.Unknown+c.Unknown, sum.Trimmable+c.Trimmable
	sum.Largest, sum.Moved = max(sum.Largest, c.Largest), sum.Moved || c.Moved
}

func (r chunkRow) print(t io.Writer) {
	c := r.chunks
	fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f %%\t%.0f %%\t\n", r.name, r.threads, r.heaps,
		policy.FormatSize(r.resident), policy.FormatSize(c.InUse), policy.FormatSize(c.Free), policy.FormatSize(c.Top),
		policy.FormatSize(c.Largest), policy.FormatSize(c.Trimmable), 100*r.fragmented(), 100*c.Sure())
}

// fragmented is the share of the free memory that lies outside the largest free run of its arena, from 0 to 1.
func (r chunkRow) fragmented() float64 {
	c := r.chunks
	c.Largest = r.runs
	return c.Fragmentation()
}

func (r chunkRow) moved() string {
	if r.chunks.Moved {
		return "; the process allocated meanwhile, so the figures are of no single moment"
	}
	return ""
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
	Moved     *bool    `json:"moved"`
}

func viewReport(pid int, r inspect.Report, err error) inspectJSON {
	if err != nil {
		text := err.Error()
		return inspectJSON{PID: pid, Name: known(inspect.Name(pid)), Error: &text}
	}
	p, c := r.Process, r.Process.Census()
	out := inspectJSON{
		PID: pid, Name: &p.Name, Threads: &p.Threads, Libc: known(p.Libc), LibcVersion: known(p.LibcVersion),
		Allocator: known(p.Allocator), Arenas: &c.Arenas, Heaps: &c.Heaps,
		Cap: known(r.Cap.N), CapSource: known(r.Cap.Source), Kept: r.Cap.Kept, Why: known(r.Cap.Why),
		Virtual: &p.Virtual, Resident: &p.Resident, ArenaReserved: &c.Reserved, ArenaCommitted: &c.Committed,
		ArenaResident: new(inspect.ArenasResident(p)), Parts: []partJSON{}, Verdict: &r.Verdict, Next: known(r.Next), PerArena: []arenaJSON{},
	}
	for _, part := range p.Parts {
		out.Parts = append(out.Parts, partJSON{part.Kind, known(part.Name), part.Count, part.Virtual, part.Resident})
	}
	for _, a := range p.Arenas {
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
		out.InUse, out.Free, out.Largest, out.Trimmable, out.Sure, out.Moved = &c.InUse, &c.Free, &c.Largest, &c.Trimmable, &sure, &c.Moved
	}
	return out
}
