package unit

// Plan makes a drop-in from a unit, a request and the result of Look. It calls the checks in judge_*.go in order.

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"arenacap/policy"
)

// Wish is the request for a drop-in.
type Wish struct {
	Root       string      // "" for the real root
	Command    string      // the command line of this request, for the comment in the drop-in
	Flags      []string    // the flags of 'arenacap run' in the drop-in
	Supervise  bool        // --supervise is among the flags: arenacap stays as the parent
	Plan       policy.Plan // what arenacap will do under the unit's policy
	PolicyFile string      // path of the policy file as the service sees it; "" for none
}

// DropIn is the result of Plan.
type DropIn struct {
	Place   string   // path of the file
	Text    string   // "" if there is nothing to do
	Notes   []string // notes for the operator, one line each; the text contains them too
	Nothing string   // why there is nothing to do; "" if there is a drop-in
	Behind  string   // the last drop-in with ExecStart= that sorts after arenacap.conf, so that Place needs another name; "" if there is none
	Older   []string // drop-ins of arenacap in the same directory that this one replaces

	user bool // the drop-in is for a user manager
}

// Plan makes the drop-in. It reads only its arguments. The error has one line for each reason why no drop-in would
// work, for example because the service would not start or arenacap would have no effect.
func Plan(u Unit, w Wish, f Found) (DropIn, error) {
	p := planner{u: u, w: w, f: f, notes: slices.Clone(u.remarks)}
	if !slices.ContainsFunc(u.commands, func(c command) bool { return !c.inFront() }) {
		nothing := fmt.Sprintf("%s starts through arenacap already (%s)", u.Name, u.commands[0].from.place())
		for _, file := range u.older {
			nothing += fmt.Sprintf("; remove the drop-in %s, which arenacap made earlier", file)
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
	p.judgeSessions()
	if len(p.refusals) > 0 {
		return DropIn{}, errors.Join(p.refusals...)
	}
	return p.dropIn()
}

// nameMax is the maximum length of a file name in bytes.
const nameMax = 255

func (p *planner) dropIn() (DropIn, error) {
	if len(p.u.own) > nameMax {
		return DropIn{}, fmt.Errorf("%s: the name of arenacap's drop-in must sort after %q, but would be longer than %d bytes; give %[2]q a shorter name", p.u.Name, p.u.behind, nameMax)
	}
	d := DropIn{Place: path.Join(p.w.Root+p.u.etc, p.u.Name+".d", p.u.own), Behind: p.u.behind, user: p.u.Home != ""}
	for _, file := range p.u.older {
		switch {
		case file == d.Place:
		case path.Dir(file) == path.Dir(d.Place):
			d.Older = append(d.Older, file)
		case path.Base(file) > p.u.own:
			p.note("arenacap made the drop-in %s earlier, and systemd reads that drop-in after this one; remove the earlier one", file)
		}
	}
	d.Text, d.Notes = p.text(d.Place), p.notes
	return d, nil
}

// planner collects the refusals, the notes and the lines of a drop-in.
type planner struct {
	u        Unit
	w        Wish
	f        Found
	refusals []error
	notes    []string
	lines    []string // lines of the drop-in, except ExecStart=
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
