package main

// The JSON of inspect.

import (
	"arenacap/launcher/arena"
	"arenacap/launcher/inspect"
)

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
