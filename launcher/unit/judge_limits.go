package unit

// Judgement of resource limits (LimitAS=, LimitDATA=, TasksMax=, LimitNPROC=) and of the processor's mode.

import (
	"slices"
	"strconv"
	"strings"

	"arenacap/policy"
)

// needs are the limits under which arenacap has to have room, and what is said of one that is too low. Of several for one
// setting the first that is too low counts.
var needs = [...]struct {
	key   string
	least uint64
	bits  int // of the arenacap that needs it; 0 is any
	fatal bool
	text  string
}{
	{"LimitAS", 768 << 20, 64, true, " is less address space than Go needs to start, 768M; name arenacap-386 with --path, which needs 16M"},
	{"LimitAS", 16 << 20, 0, true, " is less address space than arenacap needs to start, 16M"},
	{"LimitDATA", 64 << 20, 0, false, ": arenacap's own memory counts there too before the program starts, and in the watch; it may need 64M"},
	{"TasksMax", 16, 0, false, needThreads},
	{"LimitNPROC", 16, 0, false, needThreads},
}

const needThreads = ": arenacap's threads count there too, before the program starts and in the watch; it may need 16"

func (p *planner) judgeLimits() {
	said := ""
	for _, need := range needs {
		value := p.u.last(need.key)
		n, ok := limit(value)
		if !ok || n >= need.least || need.key == said || need.bits != 0 && need.bits != p.f.own.Bits {
			continue
		}
		said = need.key
		say := p.note
		if need.fatal {
			say = p.refuse
		}
		say("%s=%s%s", need.key, value, need.text)
	}
	native := slices.Contains(p.u.words("SystemCallArchitectures"), "native")
	if native && p.f.own.Bits == 32 && slices.ContainsFunc(p.f.Programs, func(f Program) bool { return f.Target.Bits == 64 }) {
		p.refuse("SystemCallArchitectures=native does not let %s, a 32-bit program, run; take the 64-bit one", p.f.own.Path)
	}
}

// limit reads a resource limit, of "SOFT:HARD" the soft one. ok is false where there is none, or none that is a number.
func limit(s string) (n uint64, ok bool) {
	s, _, _ = strings.Cut(s, ":")
	if s == "" || s == "infinity" || strings.HasSuffix(s, "%") {
		return 0, false
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, true
	}
	n, err := policy.ParseSize(s)
	return n, err == nil
}
