package unit

// This file checks the unit's commands, programs and environment variables. It refuses commands that cannot be
// rewritten, and notes caps without effect.

import (
	"slices"
	"strings"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// judgeOwn checks arenacap's executable, unless the unit has a root directory of its own: then judgeFolders does that.
func (p *planner) judgeOwn() {
	if own := p.f.own; own.Wrong != "" && !p.u.rooted() {
		p.refuse("the program %q %s, so the service could not start; install arenacap there, or name another path with --path", p.w.Root+own.Path, own.Wrong)
	}
}

// judgeCommands refuses commands that would change their meaning with arenacap in front, and notes those with "+".
func (p *planner) judgeCommands() {
	for _, c := range p.u.commands {
		switch {
		case c.viaShell() && c.name == "":
			p.refuse(`ExecStart=%s starts the user's shell (%s); write the shell's path, and run this again`, c.text, c.from.place())
		case c.argv0 != nil && !c.literal() && splits(c.argv0.value):
			p.refuse(`argv[0] after "@" is %s (%s), which systemd may split into several words; write ${%s}, and run this again`,
				c.argv0.raw, c.from.place(), c.argv0.value[1:])
		case !c.boxed() && p.u.last("User") != "":
			p.note(`"+" at ExecStart=%s: the command runs as root and outside of the unit's sandbox, and so do arenacap and its watch`, c.program.raw)
		}
	}
}

// splits reports whether systemd replaces a word by any number of words: it does so for "$NAME", but not for "${NAME}" or
// "$$".
func splits(value string) bool {
	return len(value) > 1 && value[0] == '$' && value[1] != '{' && value[1] != '$'
}

// judgePrograms notes the programs on which a cap has no effect. It refuses if there is neither a program on which the
// cap works nor a budget, or if on_unenforceable = "refuse" would forbid the start.
func (p *planner) judgePrograms() {
	if p.w.Plan.Mode == policy.Off && !p.watched() {
		p.refuse(`the policy says cap = "off" and has no budget, so arenacap would do nothing here`)
	}
	if p.w.Plan.ArenaMax == 0 {
		return
	}
	var why []string
	works := len(p.f.Programs) == 0
	for i, found := range p.f.Programs {
		c := p.u.commands[i]
		no := ""
		if found.Target.CanCap == target.No {
			no = found.Target.Problem()
		}
		switch {
		case c.inFront():
			continue
		case found.Missing:
			p.note("the program %s is not on this machine, so it is not known whether the cap works on it; run 'arenacap plan %s' on the machine that has it", c.program.raw, c.program.raw)
		case no != "":
			why = append(why, no)
			continue
		}
		works = true
		if doubt := found.Target.Problem(); doubt != "" {
			p.note("%s", doubt)
		}
		p.notes = append(p.notes, found.Target.Notes...)
	}
	forbidden := len(why) > 0 && p.w.Plan.Policy.Launch.OnUnenforceable == "refuse"
	for _, no := range why {
		switch {
		case forbidden:
			p.refuse(`%s; on_unenforceable = "refuse" would forbid the start`, no)
		case !works && !p.watched():
			p.refuse("%s; there is no budget either, so arenacap would do nothing here", no)
		default:
			p.note("%s", no)
		}
	}
}

// judgeEnvironment notes the variables that the unit sets and that matter for the cap.
func (p *planner) judgeEnvironment() {
	p.notes = append(p.notes, p.w.Plan.Overrides...)
	for _, f := range p.f.settings {
		p.note("%s sets %s, which 'arenacap unit' did not take into account", f.File, strings.Join(f.Names, ", "))
	}
	if passed := p.u.passed(); len(passed) > 0 {
		p.note("PassEnvironment= passes on the service manager's %s, which 'arenacap unit' did not take into account", strings.Join(passed, ", "))
	}
	p.judgeInherited()
	hasPath := slices.ContainsFunc(p.u.Environment(), func(entry string) bool { return strings.HasPrefix(entry, "PATH=") })
	for _, c := range p.u.commands {
		if hasPath && c.name != "" && !strings.Contains(c.name, "/") {
			p.note("arenacap looks for %s in the PATH that Environment= sets; without arenacap, systemd looks in its own directories; to start the same program in both cases, write its absolute path in ExecStart=", c.program.raw)
		}
	}
}

// judgeInherited notes a cap that the unit sets itself and that the policy does not override.
func (p *planner) judgeInherited() {
	arenas, in := p.w.Plan.Policy.Arenas, p.w.Plan.Machine.Inherited
	switch {
	case !in.MaxOK:
	case arenas.Inherited == "keep":
		p.note(`the unit's own cap of %d (%s) stays: the policy says inherited = "keep"`, in.Max, in.MaxFrom)
	case arenas.Cap.Mode == "":
		p.note("the unit's own cap of %d (%s) stays: no policy file sets another one", in.Max, in.MaxFrom)
	}
}
