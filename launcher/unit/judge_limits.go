package unit

// Judgement of resource limits (LimitAS=, LimitDATA=, TasksMax=, LimitNPROC=) and of the processor's mode.

import (
	"slices"
	"strconv"
	"strings"

	"arenacap/policy"
)

// Address space that Go needs to start.
const (
	least64 = 768 << 20
	least32 = 16 << 20
	least   = 64 << 20 // of writable private memory
	tasks   = 16       // threads of arenacap and its watch at their most, with some room
)

func (p *planner) judgeLimits() {
	if n, ok := limit(p.u.last("LimitAS")); ok && n < least64 && p.f.Own.Bits == 64 {
		p.refuse("LimitAS=%s is less address space than Go needs to start, 768M; name arenacap-386 with --path, which needs 16M", p.u.last("LimitAS"))
	} else if ok && n < least32 {
		p.refuse("LimitAS=%s is less address space than arenacap needs to start, 16M", p.u.last("LimitAS"))
	}
	if n, ok := limit(p.u.last("LimitDATA")); ok && n < least {
		p.note("LimitDATA=%s: arenacap's own memory counts there too before the program starts, and in the watch; it may need 64M", p.u.last("LimitDATA"))
	}
	for _, key := range []string{"TasksMax", "LimitNPROC"} {
		if n, ok := limit(p.u.last(key)); ok && n < tasks {
			p.note("%s=%s: arenacap's threads count there too, before the program starts and in the watch; it may need %d", key, p.u.last(key), tasks)
		}
	}
	native := slices.Contains(p.u.words("SystemCallArchitectures"), "native")
	if native && p.f.Own.Bits == 32 && slices.ContainsFunc(p.f.Programs, func(f Program) bool { return f.Target.Bits == 64 }) {
		p.refuse("SystemCallArchitectures=native does not let %s, a 32-bit program, run; take the 64-bit one", p.f.Own.Path)
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
