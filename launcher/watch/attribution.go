package watch

// This file attributes a virtual size: it says what the size consists of, and what grew.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"arenacap/launcher/arena"
	"arenacap/policy/text"
)

// part is one share of a process's virtual size.
type part struct {
	Kind    string `json:"kind"`  // one of the Kind constants of package arena
	Count   int    `json:"count"` // how many arenas, stacks or mappings; in Grew the difference, which may be negative
	Virtual uint64 `json:"virtual_bytes"`
}

// breakdown is the total virtual size of several processes, by kind.
type breakdown struct {
	parts     []part
	processes int // number of processes; 0: unknown
}

// attribution lists the parts of the virtual size and what grew since settle, the largest first. Grew is nil if there is no
// breakdown from the end of the settle time. Processes is how many processes could be inspected.
type attribution struct {
	Parts     []part `json:"parts"`
	Grew      []part `json:"grew"`
	Processes int    `json:"processes"`
}

// maxParts bounds the length of a line.
const maxParts = 8

// attribute compares the current parts with those at the end of the settle time.
func attribute(base, now breakdown) *attribution {
	if now.processes == 0 {
		return nil
	}
	a := &attribution{Parts: largest(now.parts), Processes: now.processes}
	if base.processes == 0 {
		return a
	}
	before := map[string]part{}
	for _, p := range base.parts {
		before[p.Kind] = p
	}
	grew := []part{}
	for _, p := range now.parts {
		if was := before[p.Kind]; p.Virtual > was.Virtual {
			grew = append(grew, part{p.Kind, p.Count - was.Count, p.Virtual - was.Virtual})
		}
	}
	a.Grew = largest(grew)
	return a
}

// largest returns the maxParts largest parts, sorted, without the empty ones.
func largest(parts []part) []part {
	sorted := slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.Virtual == 0 })
	slices.SortStableFunc(sorted, func(a, b part) int { return cmp.Compare(b.Virtual, a.Virtual) })
	return sorted[:min(len(sorted), maxParts)]
}

// words describes what grew, then the largest parts, for the end of a warning or breach. If only some of the counted
// processes could be inspected, it gives their number.
func (a *attribution) words(counted int) string {
	if a == nil {
		return ""
	}
	var b strings.Builder
	if a.Processes < counted {
		fmt.Fprintf(&b, "; %d of them could be inspected", a.Processes)
	}
	if len(a.Grew) > 0 {
		total := uint64(0)
		for _, p := range a.Grew {
			total += p.Virtual
		}
		fmt.Fprintf(&b, "; +%s since the settle time ended: %s", text.Size(total), list(a.Grew, len(a.Grew) > 1))
	}
	if len(a.Parts) > 0 {
		fmt.Fprintf(&b, "; largest parts: %s", list(a.Parts, true))
	}
	return b.String()
}

// advice says what to do about the part that grew most or, if none grew, the largest part. The argument planned is the cap
// in the plan; 0: none.
func (a *attribution) advice(metric string, planned int) string {
	switch kind := a.first(); {
	case metric == "arenas", kind == arena.KindArenas && metric != "resident":
		return "; " + arenasAdvice(planned)
	case metric == "data", metric == "resident":
		return "; run 'arenacap inspect --deep' to see how much of the heaps is in use"
	case adviceOf[kind] != "":
		return "; " + adviceOf[kind]
	}
	return ""
}

// first is the kind that the advice is about; "": unknown.
func (a *attribution) first() string {
	switch {
	case a == nil:
	case len(a.Grew) > 0:
		return a.Grew[0].Kind
	case len(a.Parts) > 0:
		return a.Parts[0].Kind
	}
	return ""
}

func arenasAdvice(planned int) string {
	switch planned {
	case 0:
		return "set cap in [arenas] to limit the arenas"
	case 1:
		return "run 'arenacap inspect' to see why the cap of 1 is not kept"
	}
	return fmt.Sprintf("set cap in [arenas] below %d to limit the arenas further", planned)
}

// adviceOf applies to the metrics virtual and growth.
var adviceOf = map[string]string{
	arena.KindThreadStacks: "use fewer threads or a smaller 'ulimit -s' to reserve less",
	arena.KindMainHeap:     "run 'arenacap inspect --deep' to see how much of the heap is in use",
	arena.KindFile:         `a limit on "data" does not count mapped files`,
	arena.KindReserved:     `a limit on "data" or "resident" does not count reserved memory`,
	arena.KindJavaHeap:     "limit the Java heap with -Xmx",
	arena.KindJavaCode:     "limit Java's code cache with -XX:ReservedCodeCacheSize",
	arena.KindJavaClasses:  "limit Java's class space with -XX:CompressedClassSpaceSize",
}

// addPart adds to the part of the same kind.
func addPart(parts []part, p part) []part {
	for i := range parts {
		if parts[i].Kind == p.Kind {
			parts[i].Count += p.Count
			parts[i].Virtual += p.Virtual
			return parts
		}
	}
	return append(parts, p)
}

// list names the three largest parts.
func list(parts []part, sizes bool) string {
	var words []string
	for _, p := range parts[:min(len(parts), 3)] {
		word := kindWords(p)
		if sizes {
			word = text.Size(p.Virtual) + " in " + word
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// kindWords names a part, with its count if it is arenas or stacks.
func kindWords(p part) string {
	switch {
	case p.Kind == "arenas" && p.Count == 1:
		return "1 arena"
	case p.Kind == "thread stacks" && p.Count == 1:
		return "1 thread stack"
	case (p.Kind == "arenas" || p.Kind == "thread stacks") && p.Count > 0:
		return fmt.Sprintf("%d %s", p.Count, p.Kind)
	case p.Kind == "file":
		return "mapped files"
	case p.Kind == "reserved":
		return "memory reserved without access"
	case p.Kind == "other anonymous":
		return "other anonymous memory"
	}
	return p.Kind
}
