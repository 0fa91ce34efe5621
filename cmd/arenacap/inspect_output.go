package main

// This file formats the output of inspect for a process: one screen of text (longer with --deep), or JSON.

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"arenacap/launcher/arena"
	"arenacap/launcher/inspect"
	"arenacap/launcher/ordered"
	"arenacap/launcher/proc"
	"arenacap/policy/text"
)

// reportText formats a report for the writer out. watchWords describes the watch of the process, and pod is the UID of the
// process's pod; each is "" if there is none.
func reportText(out io.Writer, r inspect.Report, watchWords, pod string, deep bool) string {
	p, width := r.Process, terminalWidth(out)
	var b strings.Builder
	labelled := func(label, text string) { fmt.Fprintf(&b, "%-8s%s\n", label, fold(text, width, 8)) }
	fmt.Fprintf(&b, "%s (PID %d): %s, %s\n", text.Quoted(p.Name), p.PID, text.Count(p.Threads, "thread"), mallocName(p))
	fmt.Fprintf(&b, "%s\n\n%s\n", paint(out, bold, fold(r.Verdict, width, 0)), partsTable(p, width))
	labelled("arenas", arenasLine(p))
	labelled("cap", capLine(out, r.Cap))
	if watchWords != "" {
		labelled("watched", watchWords)
	}
	if pod != "" {
		labelled("pod", pod)
	}
	if r.Upgrade != "" {
		labelled("upgrade", r.Upgrade)
	}
	if r.Next != "" {
		labelled("next", r.Next)
	}
	if deep && len(p.Arenas) > 0 {
		fmt.Fprintf(&b, "\n%s", chunksTable(p, width))
	}
	return b.String()
}

// mallocName names the C library and the malloc of the process.
func mallocName(p *arena.Process) string {
	version := p.LibcVersion
	if version == "" && p.LibcAtLeast != "" {
		version = p.LibcAtLeast + " or later"
	}
	libc := strings.TrimSpace(cmp.Or(p.Libc, "unknown C library") + " " + version)
	switch {
	case p.Allocator == "go" && p.Libc == "":
		return "Go without a C library"
	case p.Allocator == "" && p.MallocIn != "":
		return libc + ", malloc in " + text.Quoted(p.MallocIn)
	case p.Allocator == "" || p.Allocator == p.Libc:
		return libc
	}
	return libc + ", malloc by " + p.Allocator
}

// shownParts limits the table to one screen; one more row sums up the rest.
const shownParts = 12

// partColumns is the largest width of what stands left of a part's name: three columns of numbers and their gaps.
const partColumns = 34

func partsTable(p *arena.Process, width int) string {
	bars, room := barWidth(width), 0
	if width > 0 {
		room = width - bars - partColumns
	}
	rows := [][]string{{"VIRTUAL", "RESIDENT", "COUNT", "  WHAT"}}
	add := func(part arena.Part) {
		share := ""
		if bars > 0 {
			share = bar(part.Virtual, p.Virtual, bars) + " "
		}
		rows = append(rows, []string{text.Size(part.Virtual), text.Size(part.Resident), strconv.Itoa(part.Count),
			"  " + share + partWords(part, room)})
	}
	rest := arena.Part{Kind: "the rest"}
	for i, part := range p.Parts {
		if i < shownParts {
			add(part)
			continue
		}
		rest.Virtual, rest.Resident, rest.Count = rest.Virtual+part.Virtual, rest.Resident+part.Resident, rest.Count+part.Count
		rest.Huge += part.Huge
	}
	if rest.Count > 0 {
		add(rest)
	}
	return columns(rows)
}

// partWords describes a part for readers who do not know arenas. It cuts a name to room columns, 0 for no limit.
func partWords(part arena.Part, room int) string {
	if part.Huge > 0 {
		huge := fmt.Sprintf(" (%s in huge pages)", text.Size(part.Huge))
		part.Huge = 0
		if room > 0 {
			room = max(room-len(huge), 8)
		}
		return partWords(part, room) + huge
	}
	switch part.Kind {
	case arena.KindArenas:
		return "arenas (malloc's pools)"
	case arena.KindMainHeap:
		return "main heap (the main arena)"
	case arena.KindReserved:
		return "reserved without access (PROT_NONE)"
	}
	if part.Name == "" {
		return part.Kind
	}
	if room > 0 {
		room = max(room-len(part.Kind)-1, 8)
	}
	return part.Kind + " " + clip(text.Quoted(part.Name), room)
}

func arenasLine(p *arena.Process) string {
	c := p.Census()
	if c.Arenas == 0 {
		return "none: no C library with arenas was found"
	}
	line := fmt.Sprintf("%d, the main one included", c.Arenas)
	if c.Heaps > 0 {
		line += fmt.Sprintf("; %s: %s reserved, %s committed, %s resident", text.Count(c.Heaps, "heap"),
			text.Size(c.Reserved), text.Size(c.Committed), text.Size(inspect.ArenasResident(p)))
	}
	return line
}

func capLine(to io.Writer, c inspect.Cap) string {
	switch {
	case c.N == 0:
		return c.Why
	case c.Kept == inspect.Yes:
		return fmt.Sprintf("%d (%s): %s", c.N, c.Source, paint(to, green, "kept"))
	case c.Kept == inspect.No:
		return fmt.Sprintf("%d (%s): %s: %s", c.N, c.Source, paint(to, red, "not kept"), c.Why)
	}
	return fmt.Sprintf("%d (%s): %s", c.N, c.Source, c.Why)
}

// shownArenas limits the table of --deep; one more row sums up the rest.
const shownArenas = 32

// leastChunkColumns are dropped in this order while the table is wider than the terminal. --json has all of them except
// FRAGMENTED.
var leastChunkColumns = []string{"LARGEST FREE", "SURE", "FRAGMENTED", "HEAPS", "THREADS"}

// chunksTable has one row for each walked arena among the first shownArenas, one for the other walked arenas, and one
// for the sum of all. It has no row for the sum of a single arena.
func chunksTable(p *arena.Process, width int) string {
	rows := [][]string{{"ARENA", "THREADS", "HEAPS", "RESIDENT", "IN USE", "FREE", "TOP", "LARGEST FREE", "TRIMMABLE", "FRAGMENTED", "SURE", ""}}
	var rest, all chunkRow
	for i, a := range p.Arenas {
		if a.Chunks == nil {
			continue
		}
		row := newChunkRow(i, a)
		all.add(row)
		if i < shownArenas {
			rows = append(rows, row.cells())
		} else {
			rest.add(row)
		}
	}
	if rest.rows > 0 {
		rest.name = fmt.Sprintf("%d more", rest.rows)
		rows = append(rows, rest.cells())
	}
	if all.rows > 1 {
		all.name = "all"
		rows = append(rows, all.cells())
	}
	if all.rows == 0 {
		return "no arena has been used yet\n"
	}
	note := "IN USE includes glibc's thread caches; FREE includes TOP, the free chunk at the end of the arena; TRIMMABLE is what " +
		"malloc_trim(0) would release; FRAGMENTED is the share of FREE outside the largest free chunk of each arena; SURE is the " +
		"share of the arena that was walked" + all.moved()
	return narrowed(rows, leastChunkColumns, width) + fold(note, width, 0) + "\n"
}

// chunkRow is one row of the table of --deep: an arena, or several.
type chunkRow struct {
	name, threads string
	rows, heaps   int
	resident      uint64
	chunks        arena.Chunks
	largestSum    uint64 // sum of the largest free chunk of each arena; no arena can use the chunk of another
}

func newChunkRow(i int, a arena.Arena) chunkRow {
	return chunkRow{arenaName(i, a), threadsOf(a), 1, len(a.Heaps), a.Resident, *a.Chunks, a.Chunks.Largest}
}

func (r *chunkRow) add(o chunkRow) {
	r.rows, r.heaps, r.resident = r.rows+1, r.heaps+o.heaps, r.resident+o.resident
	r.largestSum += o.largestSum
	sum, c := &r.chunks, o.chunks
	sum.InUse, sum.Free, sum.Top = sum.InUse+c.InUse, sum.Free+c.Free, sum.Top+c.Top
	sum.Overhead, sum.Unknown, sum.Trimmable = sum.Overhead+c.Overhead, sum.Unknown+c.Unknown, sum.Trimmable+c.Trimmable
	sum.Largest, sum.Moved = max(sum.Largest, c.Largest), sum.Moved || c.Moved
}

func (r chunkRow) cells() []string {
	cells, c := []string{r.name, r.threads, strconv.Itoa(r.heaps)}, r.chunks
	for _, size := range []uint64{r.resident, c.InUse, c.Free + c.Top, c.Top, c.Largest, c.Trimmable} {
		cells = append(cells, text.Size(size))
	}
	return append(cells, fmt.Sprintf("%.0f %%", 100*r.fragmented()), fmt.Sprintf("%.0f %%", 100*c.Sure()), "")
}

// fragmented returns the share of free memory outside the largest free chunk of its arena, from 0 to 1.
func (r chunkRow) fragmented() float64 {
	c := r.chunks
	c.Largest = r.largestSum
	return c.Fragmentation()
}

func (r chunkRow) moved() string {
	if r.chunks.Moved {
		return "; the process allocated during the walk, so the figures may not add up"
	}
	return ""
}

func arenaName(i int, a arena.Arena) string {
	switch {
	case a.Main && a.Libc > 0: // the main arena of a C library that dlmopen(3) loaded
		return fmt.Sprintf("main %d", a.Libc+1)
	case a.Main:
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

// reportJSON's keys are a contract with other programs. null means unknown, or that there is none; after an error most
// values are unknown.
func reportJSON(pid int, r inspect.Report, err error) ordered.Object {
	read, reason := err == nil, ""
	if !read {
		stat, _ := proc.Here.Stat(pid) // the file "stat" is readable also for zombies, kernel threads and processes of other users
		r = inspect.Report{Process: &arena.Process{Name: stat.Name}}
		reason = err.Error()
	}
	p, c := r.Process, r.Process.Census()
	parts, arenas := []ordered.Object{}, []ordered.Object{}
	for _, part := range p.Parts {
		parts = append(parts, ordered.Object{"kind", part.Kind, "name", known(part.Name), "count", part.Count,
			"virtual_bytes", part.Virtual, "resident_bytes", part.Resident, "huge_bytes", part.Huge})
	}
	for _, a := range p.Arenas {
		arenas = append(arenas, arenaJSON(a))
	}
	return ordered.Object{
		"pid", pid,
		"name", knownIf(read || p.Name != "", p.Name),
		"threads", knownIf(read, p.Threads),
		"libc", known(p.Libc),
		"libc_version", known(p.LibcVersion),
		"allocator", known(p.Allocator),
		"arenas", knownIf(read, c.Arenas),
		"heaps", knownIf(read, c.Heaps),
		"cap", known(r.Cap.N),
		"cap_source", known(r.Cap.Source),
		"kept", r.Cap.Kept,
		"why", known(r.Cap.Why),
		"error", known(reason),
		"virtual_bytes", knownIf(read, p.Virtual),
		"resident_bytes", knownIf(read, p.Resident),
		"arena_reserved_bytes", knownIf(read, c.Reserved),
		"arena_committed_bytes", knownIf(read, c.Committed),
		"arena_resident_bytes", knownIf(read, inspect.ArenasResident(p)),
		"parts", knownIf(read, parts),
		"verdict", knownIf(read, r.Verdict),
		"upgrade", known(r.Upgrade),
		"next", known(r.Next),
		"per_arena", knownIf(read, arenas),
	}
}

func arenaJSON(a arena.Arena) ordered.Object {
	var c arena.Chunks
	walked := a.Chunks != nil
	if walked {
		c = *a.Chunks
	}
	return ordered.Object{
		"main", a.Main,
		"threads", knownIf(a.ThreadsKnown, a.Threads),
		"heaps", len(a.Heaps),
		"reserved_bytes", a.Reserved,
		"committed_bytes", a.Committed,
		"resident_bytes", a.Resident,
		"huge_bytes", a.Huge,
		"system_bytes", a.SystemMem,
		"top_bytes", a.Top,
		"in_use_bytes", knownIf(walked, c.InUse),
		"free_bytes", knownIf(walked, c.Free),
		"largest_free_bytes", knownIf(walked, c.Largest),
		"trimmable_bytes", knownIf(walked, c.Trimmable),
		"sure", knownIf(walked, c.Sure()),
		"moved", knownIf(walked, c.Moved),
	}
}
