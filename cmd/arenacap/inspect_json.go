package main

// The JSON of inspect.

import (
	"arenacap/launcher/arena"
	"arenacap/launcher/inspect"
	"arenacap/launcher/sweep/ordered"
)

// reportJSON is what programs rely on; see the design. null is what is not known: nearly all of it after an error.
func reportJSON(pid int, r inspect.Report, err error) ordered.Object {
	read, reason := err == nil, ""
	if !read {
		r = inspect.Report{Process: &arena.Process{Name: inspect.Name(pid)}}
		reason = err.Error()
	}
	p, c := r.Process, r.Process.Census()
	parts, arenas := []ordered.Object{}, []ordered.Object{}
	for _, part := range p.Parts {
		parts = append(parts, ordered.Object{"kind", part.Kind, "name", known(part.Name), "count", part.Count,
			"virtual_bytes", part.Virtual, "resident_bytes", part.Resident})
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
