package unit

// Judgement of the commands, their programs and the variables that the unit sets: what cannot be kept, and where a cap has
// no effect.

import (
	"slices"
	"strings"

	"arenacap/launcher/target"
	"arenacap/policy"
)

// judgeOwn is about the file that the service is to start. In a root of its own judgeFolders looks for it.
func (p *planner) judgeOwn() {
	if own := p.f.own; own.Wrong != "" && !p.u.rooted() {
		p.refuse("%q %s, so nothing could be started; install arenacap there, or name another one with --path", p.w.Root+own.Path, own.Wrong)
	}
}

// judgeCommands finds what cannot be kept of a command.
func (p *planner) judgeCommands() {
	for _, c := range p.u.commands {
		switch {
		case c.viaShell() && c.name == "":
			p.refuse(`ExecStart=%s starts the user's shell (%s); write the shell's path, and ask again`, c.text, c.from.place())
		case c.argv0 != nil && !c.literal() && splits(c.argv0.value):
			p.refuse(`the name behind "@" is %s (%s), which systemd makes several words of; write ${%s}, and ask again`,
				c.argv0.raw, c.from.place(), c.argv0.value[1:])
		case !c.boxed() && p.u.last("User") != "":
			p.note(`"+" at ExecStart=%s: it runs as root and outside of the unit's sandbox, and so do arenacap and its watch`, c.program.raw)
		}
	}
}

// splits reports whether systemd makes none, one or several words of a word: "$NAME", not "${NAME}" or "$$".
func splits(value string) bool {
	return len(value) > 1 && value[0] == '$' && value[1] != '{' && value[1] != '$'
}

// judgePrograms says where a cap has no effect. With no command left that it works on, and no budget, the drop-in is
// for nothing.
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
			p.note("there is no %s on this machine, so whether the cap can work on it is not known; 'arenacap plan %s' says so on the one that has it", c.program.raw, c.program.raw)
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

// judgeEnvironment is about variables that the unit itself sets.
func (p *planner) judgeEnvironment() {
	p.notes = append(p.notes, p.w.Plan.Overrides...)
	for _, f := range p.f.settings {
		p.note("%s sets %s, which was not taken into account here", f.File, strings.Join(f.Names, ", "))
	}
	if passed := p.u.passed(); len(passed) > 0 {
		p.note("PassEnvironment= hands %s of the service manager on, which was not taken into account here", strings.Join(passed, ", "))
	}
	p.judgeInherited()
	hasPath := slices.ContainsFunc(p.u.Environment(), func(entry string) bool { return strings.HasPrefix(entry, "PATH=") })
	for _, c := range p.u.commands {
		if hasPath && c.name != "" && !strings.Contains(c.name, "/") {
			p.note("%s is looked for in the PATH that Environment= sets, and was looked for in systemd's own folders before; write its path where these differ", c.program.raw)
		}
	}
}

// judgeInherited is about a cap that the unit sets itself, and that the policy lets stand.
func (p *planner) judgeInherited() {
	arenas, in := p.w.Plan.Policy.Arenas, p.w.Plan.Machine.Inherited
	switch {
	case !in.MaxOK:
	case arenas.Inherited == "keep":
		p.note(`the unit's own cap of %d (%s) stays: the policy says inherited = "keep"`, in.Max, in.MaxFrom)
	case arenas.Cap.Mode == "":
		p.note("the unit's own cap of %d (%s) stays: no policy file says another one", in.Max, in.MaxFrom)
	}
}
