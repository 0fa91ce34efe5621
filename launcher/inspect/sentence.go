package inspect

// This file writes the sentences about one process: what its virtual size consists of, and what to do.

import (
	"fmt"
	"strings"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/machine"
	"arenacap/policy/text"
)

// verdict describes the virtual size in one sentence: its largest parts, at most three, the resident size, and the huge
// pages of the arenas if they matter (hugeMatters).
func verdict(p *arena.Process) string {
	var parts []string
	for i, part := range p.Parts {
		if len(parts) < 3 && (i == 0 || large(p, part)) {
			parts = append(parts, text.Size(part.Virtual)+" "+are(part))
		}
	}
	said := fmt.Sprintf("%s of virtual size: %s; %s are resident",
		text.Size(p.Virtual), strings.Join(parts, ", "), text.Size(p.Resident))
	if huge := hugeInArenas(p); hugeMatters(p) {
		said += fmt.Sprintf("; %s of the %s resident in arenas are huge pages, and at most %s of the arenas are in use",
			text.Size(huge), text.Size(ArenasResident(p)), text.Size(used(p)))
	}
	return said
}

// hugeMatters reports whether huge pages make the arenas' resident size large: at least half of the resident bytes are in
// huge pages, and the bytes in use are at most half of those in huge pages.
func hugeMatters(p *arena.Process) bool {
	huge := hugeInArenas(p)
	return huge > 0 && huge >= ArenasResident(p)/2 && used(p) <= huge/2
}

// sumArenas adds up the figure of all arenas but the main ones: each copy of glibc in the process has a main arena.
func sumArenas(p *arena.Process, figure func(arena.Arena) uint64) (sum uint64) {
	for _, a := range p.Arenas {
		if !a.Main {
			sum += figure(a)
		}
	}
	return sum
}

// ArenasResident returns the resident bytes of all arenas but the main ones.
func ArenasResident(p *arena.Process) uint64 {
	return sumArenas(p, func(a arena.Arena) uint64 { return a.Resident })
}

func hugeInArenas(p *arena.Process) uint64 {
	return sumArenas(p, func(a arena.Arena) uint64 { return a.Huge })
}

// used returns an upper bound of the bytes in use in all arenas but the main ones: their memory without the top chunks, which
// are free.
func used(p *arena.Process) uint64 {
	return sumArenas(p, func(a arena.Arena) uint64 { return a.SystemMem - min(a.Top, a.SystemMem) })
}

// hugeAdvice says what to do if hugeMatters; mode is the kernel's huge page mode. The advice is "" if the program itself
// requests huge pages, since no setting from outside prevents that.
func hugeAdvice(env []string, v glibc.Version, mode string) string {
	switch why, mapped := environ.HugePages(env, v); {
	case mode == "always" && !mapped:
		return "the kernel gives every program huge pages: " + machine.HugePagesHelp
	case why != "":
		return "write huge_pages = \"off\" in [arenas] of the program's policy and start the program with 'arenacap run': " + why
	}
	return ""
}

// large reports whether a part is at least a tenth of the virtual size. Memory reserved without access does not count as
// virtual size here, since some programs reserve terabytes; it counts only if the part is itself such memory.
func large(p *arena.Process, part arena.Part) bool {
	whole := p.Virtual
	if part.Kind != arena.KindReserved {
		for _, other := range p.Parts {
			if other.Kind == arena.KindReserved {
				whole -= other.Virtual
			}
		}
	}
	return part.Virtual >= whole/10
}

// are returns the text that follows the size of a part: "are 15 arenas beside the main one".
func are(p arena.Part) string {
	switch p.Kind {
	case arena.KindArenas:
		return "are " + text.Count(p.Count, "arena") + " beside the main one"
	case arena.KindThreadStacks:
		return "are " + text.Count(p.Count, "thread stack")
	case arena.KindFile:
		return "are mapped from " + text.Quoted(p.Name)
	case arena.KindReserved:
		return "are reserved without access (PROT_NONE)"
	case arena.KindOtherAnon:
		return "are other anonymous memory"
	}
	if p.Name != "" {
		return "are " + p.Kind + " " + text.Quoted(p.Name)
	}
	return "are " + p.Kind
}

// next returns the advice on what to do about a cap that is not kept. For a process without a cap whose arenas are a
// large part of its size, it returns the advice of c, or else how much the cap oneACore would save.
func next(p *arena.Process, c Cap, oneACore int) string {
	spared := saving(p, oneACore)
	switch {
	case c.N != 0:
		return c.advice
	case p.Allocator != "glibc" || spared == 0 || !large(p, arena.Part{Kind: arena.KindArenas, Virtual: p.Census().Reserved}):
		return ""
	case c.advice != "":
		return c.advice
	}
	each := "one per core here"
	if n := len(perLibc(p)); n > 1 {
		each += fmt.Sprintf(", in each of %d C libraries", n)
	}
	return fmt.Sprintf("put 'arenacap run --' in front of the start command: with %d arenas, %s, the process would reserve %s less; 'arenacap sweep' finds the cap that costs no speed",
		oneACore, each, text.Size(spared))
}

// perLibc counts the arenas of each copy of the C library.
func perLibc(p *arena.Process) map[int]int {
	n := map[int]int{}
	for _, a := range p.Arenas {
		n[a.Libc]++
	}
	return n
}

// saving estimates the address space in bytes that a cap would save: the reserved size times the share of arenas beyond the
// cap. The cap applies to each copy of the C library. All arenas count as equally large, since it is unknown which of them
// the cap would have prevented.
func saving(p *arena.Process, cap int) uint64 {
	over, others := 0, 0
	for _, n := range perLibc(p) {
		over += min(max(0, n-cap), n-1)
		others += n - 1
	}
	if over == 0 {
		return 0
	}
	return p.Census().Reserved / uint64(others) * uint64(over)
}
