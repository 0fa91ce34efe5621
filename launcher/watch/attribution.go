package watch

// This file attributes the value of a metric: it says what the value consists of, and what grew.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"arenacap/launcher/arena"
	"arenacap/policy/text"
)

// part is one share of a process's memory. In the list Grew of an attribution each number is a difference, which may be
// negative.
type part struct {
	Kind     string `json:"kind"`                     // one of the Kind constants of package arena
	Count    int    `json:"count"`                    // how many arenas, stacks or mappings
	Virtual  int64  `json:"virtual_bytes"`            // bytes of address space
	Data     int64  `json:"data_bytes,omitempty"`     // bytes that the metric data counts; in an attribution only for that metric
	Resident int64  `json:"resident_bytes,omitempty"` // bytes in memory; in an attribution only for the metric resident
}

// counted is how many bytes of the part count for a metric.
func (p part) counted(metric string) int64 {
	switch metric {
	case "data":
		return p.Data
	case "resident":
		return p.Resident
	}
	return p.Virtual
}

// forMetric returns the part with its virtual size, and without the other sizes that the metric does not count.
func (p part) forMetric(metric string) part {
	if metric != "data" {
		p.Data = 0
	}
	if metric != "resident" {
		p.Resident = 0
	}
	return p
}

// breakdown is the memory of several processes, by kind.
type breakdown struct {
	parts     []part
	processes int // number of processes; 0: unknown
	largest   int // PID of the process with the largest virtual size
}

// attribution lists the parts that count for a metric and what grew since settle, the largest first. Grew is nil if there is
// no breakdown from the end of the settle time. Processes is how many processes could be inspected.
type attribution struct {
	Parts     []part `json:"parts"`
	Grew      []part `json:"grew"`
	Processes int    `json:"processes"`
	metric    string
}

// maxParts is the largest number of parts in each list of an attribution, so that a line fits maxLine.
const maxParts = 8

// attribute compares the current parts with those at the end of the settle time.
func attribute(metric string, base, now breakdown) *attribution {
	if now.processes == 0 {
		return nil
	}
	a := &attribution{Parts: largest(metric, now.parts), Processes: now.processes, metric: metric}
	if base.processes == 0 {
		return a
	}
	before := map[string]part{}
	for _, p := range base.parts {
		before[p.Kind] = p
	}
	grew := []part{}
	for _, p := range now.parts {
		was := before[p.Kind]
		grew = append(grew, part{p.Kind, p.Count - was.Count, p.Virtual - was.Virtual, p.Data - was.Data, p.Resident - was.Resident})
	}
	a.Grew = largest(metric, grew)
	return a
}

// largest returns at most maxParts parts, sorted by the bytes that count for a metric, the largest first. It leaves out
// the parts of which no byte counts, and in a list of differences the parts that shrank.
func largest(metric string, parts []part) []part {
	sorted := []part{}
	for _, p := range parts {
		if p.counted(metric) > 0 {
			sorted = append(sorted, p.forMetric(metric))
		}
	}
	slices.SortStableFunc(sorted, func(a, b part) int { return cmp.Compare(b.counted(metric), a.counted(metric)) })
	return sorted[:min(len(sorted), maxParts)]
}

// words describes what grew, then the largest parts, for the message of a warning or a breach. If only some of the
// counted processes could be inspected, words also says how many.
func (a *attribution) words(counted int) string {
	if a == nil {
		return ""
	}
	var b strings.Builder
	if a.Processes < counted {
		fmt.Fprintf(&b, "; %d of them could be inspected", a.Processes)
	}
	if len(a.Grew) > 0 {
		total := int64(0)
		for _, p := range a.Grew {
			total += p.counted(a.metric)
		}
		fmt.Fprintf(&b, "; +%s since the settle time ended: %s", text.Size(uint64(total)), a.list(a.Grew, len(a.Grew) > 1))
	}
	if len(a.Parts) > 0 {
		fmt.Fprintf(&b, "; largest parts: %s", a.list(a.Parts, true))
	}
	return b.String()
}

// advised is the process that an advice is about.
type advised struct {
	pid int
	cap int // the planned cap, or without a plan the cap in the environment of the process; 0: none
}

// advice says what to do about the part that grew most or, if none grew, the largest part.
func (a *attribution) advice(metric string, of advised) string {
	reserves := metric == "virtual" || metric == "growth"
	switch kind := a.first(); {
	case metric == "arenas", kind == arena.KindArenas && reserves:
		return "; " + arenasAdvice(of, a.countArenas())
	case kind == arena.KindArenas, kind == arena.KindMainHeap, kind == "" && !reserves:
		return fmt.Sprintf("; run 'arenacap inspect --deep %d' to see how much of the heaps is in use", of.pid)
	case kind == arena.KindOtherAnon && !reserves:
		return fmt.Sprintf("; if the program needs this memory, raise %s in [budget]", metric)
	case kind == arena.KindThreadStacks && metric == "resident":
		return "; use fewer threads"
	case kind == arena.KindFile && metric == "data":
		return ""
	case adviceOf[kind] != "":
		return "; " + adviceOf[kind]
	}
	return ""
}

// first returns the kind of memory that the advice in the message is about: the kind that grew most since the end of
// the settle time, or the largest kind if none grew or that is unknown; "" if both are unknown.
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

// countArenas returns the number of arenas besides the main one, if only one process was inspected; else 0, as if unknown.
func (a *attribution) countArenas() int {
	if a == nil || a.Processes != 1 {
		return 0
	}
	i := slices.IndexFunc(a.Parts, func(p part) bool { return p.Kind == arena.KindArenas })
	if i < 0 {
		return 0
	}
	return a.Parts[i].Count
}

// arenasAdvice says how to limit the arenas. The argument "besides" is the number of arenas besides the main one, 0 if unknown.
func arenasAdvice(of advised, besides int) string {
	switch {
	case of.cap == 0:
		return "set cap in [arenas] to limit the arenas"
	case of.cap == 1, besides >= of.cap:
		return fmt.Sprintf("run 'arenacap inspect %d' to see why it has more arenas than the cap of %d", of.pid, of.cap)
	}
	return fmt.Sprintf("set cap in [arenas] below %d to limit the arenas further", of.cap)
}

var adviceOf = map[string]string{
	arena.KindThreadStacks: "use fewer threads or a smaller 'ulimit -s' to reserve less",
	arena.KindFile:         `a limit on "data" does not count mapped files`,
	arena.KindReserved:     `a limit on "data" or "resident" does not count reserved memory`,
	arena.KindJavaHeap:     "limit the Java heap with -Xmx",
	arena.KindJavaCode:     "limit Java's code cache with -XX:ReservedCodeCacheSize",
	arena.KindJavaClasses:  "limit Java's class space with -XX:CompressedClassSpaceSize",
}

// addPart adds the sizes of p to the part of the same kind, or appends p if there is none.
func addPart(parts []part, p part) []part {
	for i := range parts {
		if parts[i].Kind == p.Kind {
			parts[i].Count += p.Count
			parts[i].Virtual += p.Virtual
			parts[i].Data += p.Data
			parts[i].Resident += p.Resident
			return parts
		}
	}
	return append(parts, p)
}

// list names the three largest parts, or fewer if there are fewer.
func (a *attribution) list(parts []part, sizes bool) string {
	var words []string
	for _, p := range parts[:min(len(parts), 3)] {
		word := kindWords(p)
		if sizes {
			word = text.Size(uint64(p.counted(a.metric))) + " in " + word
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
		return "memory reserved without access (PROT_NONE)"
	case p.Kind == "other anonymous":
		return "other anonymous memory"
	}
	return p.Kind
}
