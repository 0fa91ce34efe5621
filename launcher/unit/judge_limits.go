package unit

// This file compares the unit's resource limits with what arenacap needs (see Needs), and checks
// SystemCallArchitectures=.

import (
	"slices"
	"strconv"
	"strings"

	"arenacap/policy/text"
)

func (p *planner) judgeLimits() {
	for _, n := range Needs {
		value := p.u.last(n.Setting)
		amount, ok := limit(value, n.Hard)
		if !ok || n.Bits != 0 && n.Bits != p.f.own.Bits || n.NotRoot && p.u.onlyRoot() {
			continue
		}
		switch text, fatal := n.Judge(amount, p.watched() || p.supervised()); {
		case fatal && n.Setting == "LimitAS" && n.Bits == 64:
			p.refuse("%s=%s: %s; the 32-bit build (arenacap-386) needs less: give its path with --path", n.Setting, value, text)
		case fatal:
			p.refuse("%s=%s: %s", n.Setting, value, text)
		case text != "":
			p.note("%s=%s: %s", n.Setting, value, text)
		}
	}
	native := slices.Contains(p.u.words("SystemCallArchitectures"), "native")
	if native && p.f.own.Bits == 32 && slices.ContainsFunc(p.f.Programs, func(f Program) bool { return f.Target.Bits == 64 }) {
		p.refuse("SystemCallArchitectures=native forbids %s, which is a 32-bit program; give the path of the 64-bit arenacap with --path", p.f.own.Path)
	}
}

// limit reads a resource limit. Of "SOFT:HARD" it returns the hard limit if the argument "hard" is true, else the soft
// one. ok is false if there is no limit, or if it is not a number.
func limit(s string, hard bool) (n uint64, ok bool) {
	soft, highest, both := strings.Cut(s, ":")
	if s = soft; both && hard {
		s = highest
	}
	if s == "" || s == "infinity" || strings.HasSuffix(s, "%") {
		return 0, false
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, true
	}
	n, wrong, _ := text.ParseSize(s)
	return n, wrong == ""
}
