package unit

// From a unit and what was found to its drop-in: what is asked for, the answer, and the order of the judgements
// (judge_*.go).

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"arenacap/policy"
)

// Wish is what is to stand in front, and how it was asked for.
type Wish struct {
	Root       string      // "" is the real one
	Command    string      // the command line that asks, for the comment
	Flags      []string    // run's
	Supervise  bool        // arenacap stays as the parent: by a flag
	Plan       policy.Plan // what arenacap will do by the policy that counts for the unit
	PolicyFile string      // the path of that policy's file, as the service sees it; "" is none
}

// DropIn is the answer.
type DropIn struct {
	Place   string   // where the file goes
	Text    string   // "" where there is nothing to do
	Notes   []string // what an operator should know, a line each; they stand in the text too
	Nothing string   // why there is nothing to do
	Behind  string   // the other drop-in for which the name is not the usual one; "" is none
	Older   []string // drop-ins of arenacap's own in the same folder that this one replaces
}

// Plan says what the drop-in holds. An error says, a line for each reason, why none would work: what would keep the
// service from starting, or have no effect at all. It is pure.
func Plan(u Unit, w Wish, f Found) (DropIn, error) {
	p := planner{u: u, w: w, f: f, notes: slices.Clone(u.remarks)}
	if !slices.ContainsFunc(u.commands, func(c command) bool { return !c.inFront() }) {
		nothing := fmt.Sprintf("arenacap stands in front of %s already (%s)", u.Name, u.commands[0].from.place())
		for _, file := range u.older {
			nothing += fmt.Sprintf("; remove %s, which arenacap made before", file)
		}
		return DropIn{Nothing: nothing}, nil
	}
	p.judgeOwn()
	p.judgeCommands()
	p.judgePrograms()
	p.judgeType()
	if slices.ContainsFunc(u.commands, command.boxed) {
		p.judgeUser()
		p.judgeModules()
		p.judgeFolders()
		p.judgeProc()
		p.judgeCalls()
	}
	p.judgeLimits()
	p.judgeJournal()
	p.judgeEnvironment()
	p.judgeRestart()
	if len(p.refusals) > 0 {
		return DropIn{}, errors.Join(p.refusals...)
	}
	return p.dropIn()
}

// nameMax is the longest name of a file.
const nameMax = 255

func (p *planner) dropIn() (DropIn, error) {
	if len(p.u.own) > nameMax {
		return DropIn{}, fmt.Errorf("%s: the drop-in would have to stand behind %q, and there is no such name; rename that one", p.u.Name, p.u.behind)
	}
	d := DropIn{Place: path.Join(p.w.Root+p.u.etc, p.u.Name+".d", p.u.own), Behind: p.u.behind}
	for _, file := range p.u.older {
		switch {
		case file == d.Place:
		case path.Dir(file) == path.Dir(d.Place):
			d.Older = append(d.Older, file)
		case path.Base(file) > p.u.own:
			p.note("%s is a drop-in that arenacap made before, in another folder, and is read after this one; remove it", file)
		}
	}
	d.Text, d.Notes = p.text(d.Place), p.notes
	return d, nil
}

// planner gathers what there is to say.
type planner struct {
	u        Unit
	w        Wish
	f        Found
	refusals []error
	notes    []string
	lines    []string // of the drop-in, beside ExecStart=
}

func (p *planner) refuse(format string, args ...any) {
	p.refusals = append(p.refusals, fmt.Errorf(p.u.Name+": "+format, args...))
}

func (p *planner) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

func (p *planner) line(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (p *planner) watched() bool { return len(p.w.Plan.Limits) > 0 }

// supervised reports whether arenacap stays as the parent.
func (p *planner) supervised() bool {
	return p.w.Supervise || p.w.Plan.Policy.Launch.Mode == "supervise"
}
