package inspect

import (
	"fmt"
	"strconv"
	"strings"

	"arenacap/launcher/arena"
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
	return fmt.Sprintf("%s virtual: %s; %s are resident",
		policy.FormatSize(p.Virtual), strings.Join(parts, ", "), policy.FormatSize(p.Resident))
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
	census := p.Census()
	switch {
	case c.N != 0:
		return c.advice
	case p.Allocator != "glibc":
		return ""
	case census.Arenas <= oneACore || !large(p, arena.Part{Kind: arena.KindArenas, Virtual: census.Reserved}):
		return ""
	case c.advice != "":
		return c.advice
	}
	return fmt.Sprintf("put 'arenacap run --' in front of its start command: with %d arenas, one a core here, it would reserve %s less; 'arenacap sweep' finds the cap that costs no speed",
		oneACore, policy.FormatSize(saving(census, oneACore)))
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
