package run

// This file computes how much of the address-space limit is left for arenas.

import (
	"fmt"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher"
	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/machine"
	"arenacap/launcher/target"
	"arenacap/policy"
	"arenacap/policy/text"
)

// Room is the address space that a target may use and what is left of it for arenas, in bytes.
type Room struct {
	Limit   policy.Reading[uint64] // RLIMIT_AS; 0 with an empty Why means unlimited
	Mapped  uint64                 // what the program and its libraries map at least; 0 is unknown
	program string                 // name of the program; "" is unknown
	arenas  uint64                 // address space of the largest number of arenas: one heap for each but the main arena
	endless bool                   // no limit on the number of arenas is known
	cap     uint64                 // number of arenas that fit into half of what is left, as thread stacks need space too; 0: no cap helps
	mode    string                 // mode of the plan's cap
	from    string                 // source of the plan's cap
}

// NewRoom computes how much address space a program may use under a plan and a glibc, and what is left of it for arenas. t is
// nil if the program is unknown.
func NewRoom(plan policy.Plan, t *target.Target, g glibc.Version) Room {
	r := Room{Limit: plan.AddressLimit(), mode: plan.Mode, from: plan.CapFrom()}
	if t != nil {
		r.program, r.Mapped = t.Program(), t.Mapped
		if t.Libc == "none" || t.Allocator != "" && t.Allocator != "glibc" { // such a program has no arenas of glibc
			return r
		}
	}
	capped, uncapped := g.WorstCase(plan)
	_, limited := g.PlannedArenas(plan)
	ignored, _ := g.Ignores()
	r.arenas, r.endless = capped, !limited
	if ignored || t != nil && t.CanCap == target.No {
		r.arenas = uncapped
		return r
	}
	r.cap = 1 + r.Left()/2/g.HeapBytes()
	return r
}

// Left returns the space that is left for arenas and thread stacks.
func (r Room) Left() uint64 { return r.Limit.N - min(r.Mapped, r.Limit.N) }

// Fits reports whether the program and the largest number of arenas fit into the limit. It ignores thread stacks, because
// their number is unknown.
func (r Room) Fits() bool {
	return r.Limit.N == 0 || r.Mapped <= r.Limit.N && !r.endless && r.arenas <= r.Left()
}

// String describes the limit and the space that is left.
func (r Room) String() string {
	switch {
	case r.Limit.N == 0 && r.Limit.Why != "":
		return "the limit on address space is " + r.Limit.String()
	case r.Limit.N == 0:
		return "no limit on address space (RLIMIT_AS)"
	}
	line := fmt.Sprintf("%s of address space (%s)", text.Size(r.Limit.N), r.Limit.From)
	if r.Mapped != 0 {
		line += fmt.Sprintf("; the program %q maps %s of it, and %s are left for arenas and thread stacks", r.program, text.Size(r.Mapped), text.Size(r.Left()))
	}
	return line
}

// Warning returns a line for the user if the limit on address space is too low for the program itself or for the largest
// number of arenas that it may create. The line says what to change, if that helps. "" means that all fits (see Fits).
func (r Room) Warning() string {
	switch {
	case r.Fits():
		return ""
	case r.Mapped > r.Limit.N:
		return fmt.Sprintf("the program %q cannot start: with its libraries it maps %s, but only %s of address space are allowed (%s); raise the limit",
			r.program, text.Size(r.Mapped), text.Size(r.Limit.N), r.Limit.From)
	}
	arenas := "arenas without a limit"
	if !r.endless {
		arenas = "up to " + text.Size(r.arenas) + " of arenas"
	}
	line := fmt.Sprintf("%s do not fit into the %s of address space that are left (%s), so threads may not start", arenas, text.Size(r.Left()), r.Limit.From)
	if r.cap == 0 {
		return line
	}
	advice := fmt.Sprintf("give --arenas %d", r.cap)
	switch {
	case r.mode == policy.PerCore: // max_reserved lowers only a cap per core
		advice = `write max_reserved = "50%" in [arenas], or ` + advice
	case r.from != "--arenas": // a cap from the command line overrides any other
		advice = fmt.Sprintf("set a lower cap (%s), or %s", r.from, advice)
	}
	return line + "; " + advice
}

// explainRoom warns if the program and its arenas do not fit into the limit on address space, and with --verbose
// explains the limit. It examines the program only if there is such a limit.
func explainRoom(v say.Voice, l launcher.Launch) {
	plan := l.Plan
	if plan.AddressLimit().N == 0 {
		if v.Verbose {
			v.Explain("%s", NewRoom(plan, nil, glibc.Version{}))
		}
		return
	}
	if plan.Machine.Online.N == 0 { // only a plan with a cap per core looks up the online cores, but glibc's own limit depends on them
		plan.Machine.Online = machine.Find("/", machine.Cores, nil).Online
	}
	t := target.Examine(l.Path, l.Args, l.Env)
	room := NewRoom(plan, &t, t.Glibc())
	v.Explain("%s", room)
	if warning := room.Warning(); warning != "" {
		v.Note("%s", warning)
	}
}
