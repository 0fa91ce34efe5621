package inspect

import (
	"fmt"
	"runtime"
	"strings"

	"arenacap/launcher/arena"
	"arenacap/policy"
)

// verdict says in one sentence where the virtual size is: its largest parts, each at least a tenth of it, at
// most three, and what is resident.
func verdict(p *arena.Process) string {
	var parts []string
	for _, part := range p.Parts {
		if len(parts) == 3 || part.Virtual*10 < p.Virtual {
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s", policy.FormatSize(part.Virtual), are(part)))
	}
	return fmt.Sprintf("%s virtual: %s; %s are resident",
		policy.FormatSize(p.Virtual), strings.Join(parts, ", "), policy.FormatSize(p.Resident))
}

// are says what a part is, behind its size.
func are(p arena.Part) string {
	switch p.Kind {
	case arena.KindArenas:
		return "are " + plural(p.Count, "arena") + " beside the main one"
	case arena.KindThreadStacks:
		return "are " + plural(p.Count, "thread stack")
	case arena.KindFile:
		return "are mapped from " + p.Name
	case arena.KindReserved:
		return "are reserved without access"
	case arena.KindOtherAnon:
		return "are other anonymous memory"
	case arena.KindNamed, arena.KindShared:
		if p.Name != "" {
			return "are " + p.Kind + " " + p.Name
		}
	}
	return "are " + p.Kind
}

// next is what to type next, where the arenas are worth it.
func next(p *arena.Process, c Cap) string {
	census := p.Census()
	cap := max(2, runtime.NumCPU())
	switch {
	case c.Kept == No:
		return "arenacap plan PROGRAM says whether a cap can work on it; arenacap run starts it under one"
	case c.N == 0 && p.Allocator == "glibc" && census.Arenas > cap && census.Reserved >= p.Virtual/10:
		return fmt.Sprintf("start it with 'arenacap run -- PROGRAM': at 1 arena a core (%d here) it would reserve %s less; 'arenacap sweep' finds the cap that costs no speed",
			cap, policy.FormatSize(saving(census, cap)))
	case c.N == 0 && p.Allocator != "glibc" && p.Allocator != "":
		return fmt.Sprintf("its malloc is %s: MALLOC_ARENA_MAX does nothing here", p.Allocator)
	}
	return ""
}

// saving is the address space that a cap would spare: the share of the arenas over it. Arenas differ in size,
// and which ones would not be there cannot be told, so they count alike.
func saving(c arena.Census, cap int) uint64 {
	others, over := c.Arenas-1, c.Arenas-cap
	if others < 1 || over < 1 {
		return 0
	}
	return c.Reserved / uint64(others) * uint64(min(over, others))
}
