package inspect

import (
	"fmt"
	"strconv"
	"strings"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/policy"
)

// verdict says in one sentence where the virtual size is: its largest parts, at most three, and what is
// resident.
func verdict(p *arena.Process) string {
	var parts []string
	for i, part := range p.Parts {
		if len(parts) < 3 && (i == 0 || large(p, part)) {
			parts = append(parts, policy.FormatSize(part.Virtual)+" "+are(part))
		}
	}
	said := fmt.Sprintf("%s virtual: %s; %s are resident",
		policy.FormatSize(p.Virtual), strings.Join(parts, ", "), policy.FormatSize(p.Resident))
	if huge := hugeInArenas(p); hugeMatters(p) {
		said += fmt.Sprintf("; %s of the %s resident in arenas are huge pages, and at most %s of the arenas are in use",
			policy.FormatSize(huge), policy.FormatSize(ArenasResident(p)), policy.FormatSize(used(p)))
	}
	return said
}

// hugeMatters reports whether huge pages are what makes the arenas large in memory: they are most of it, and most of them
// are not in use.
func hugeMatters(p *arena.Process) bool {
	huge := hugeInArenas(p)
	return huge > 0 && huge >= ArenasResident(p)/2 && used(p) <= huge/2
}

// sumArenas adds up a figure of the arenas other than the main one.
func sumArenas(p *arena.Process, figure func(arena.Arena) uint64) (sum uint64) {
	for _, a := range p.Arenas {
		if !a.Main {
			sum += figure(a)
		}
	}
	return sum
}

// ArenasResident is how much of the arenas other than the main one is in memory, in bytes.
func ArenasResident(p *arena.Process) uint64 {
	return sumArenas(p, func(a arena.Arena) uint64 { return a.Resident })
}

func hugeInArenas(p *arena.Process) uint64 {
	return sumArenas(p, func(a arena.Arena) uint64 { return a.Huge })
}

// used is the most that can be in use of those arenas: all but their top chunks, which are free.
func used(p *arena.Process) uint64 {
	return sumArenas(p, func(a arena.Arena) uint64 { return a.SystemMem - min(a.Top, a.SystemMem) })
}

// hugeAdvice says what would help where hugeMatters; mode is the kernel's. Where the program asks for them itself, nothing
// from outside does.
func hugeAdvice(env []string, v environ.GlibcVersion, mode string) string {
	switch why, mapped := environ.HugePages(env, v); {
	case mode == "always" && !mapped:
		return "the kernel gives every program huge pages: " + machine.HugePagesHelp
	case why != "":
		return "write huge_pages = \"off\" in [arenas] of its policy and start it with 'arenacap run': " + why
	}
	return ""
}

// large reports whether a part is at least a tenth of the whole. Reservations without access, of which some
// programs make terabytes, do not make the others small.
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

// are says what a part is, behind its size.
func are(p arena.Part) string {
	switch p.Kind {
	case arena.KindArenas:
		return "are " + plural(p.Count, "arena") + " beside the main one"
	case arena.KindThreadStacks:
		return "are " + plural(p.Count, "thread stack")
	case arena.KindFile:
		return "are mapped from " + Printable(p.Name)
	case arena.KindReserved:
		return "are reserved without access"
	case arena.KindOtherAnon:
		return "are other anonymous memory"
	}
	if p.Name != "" {
		return "are " + p.Kind + " " + Printable(p.Name)
	}
	return "are " + p.Kind
}

// Printable makes a name that a process may have given itself or its files fit for a terminal: quoted as in
// Go where it holds control characters, line ends or bytes that are no text.
func Printable(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	if quoted == `"`+s+`"` {
		return s
	}
	return quoted
}

// next is what to type next: where a cap is not kept what would help, and where there is none what one would
// spare. oneACore is the cap that is suggested.
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
	each := "one a core here"
	if n := len(perLibc(p)); n > 1 {
		each += fmt.Sprintf(", in each of its %d C libraries", n)
	}
	return fmt.Sprintf("put 'arenacap run --' in front of its start command: with %d arenas, %s, it would reserve %s less; 'arenacap sweep' finds the cap that costs no speed",
		oneACore, each, policy.FormatSize(spared))
}

// perLibc is how many arenas each copy of the C library has.
func perLibc(p *arena.Process) map[int]int {
	n := map[int]int{}
	for _, a := range p.Arenas {
		n[a.Libc]++
	}
	return n
}

// saving is the address space that a cap would spare: the share of the arenas over it, which each copy of the C library
// has of its own. Arenas differ in size, and which ones would not be there cannot be told, so they count alike.
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
