package unit

// Judgement of the variables that the unit itself sets.

import (
	"slices"
	"strings"
)

// judgeEnvironment is about variables that the unit itself sets.
func (p *planner) judgeEnvironment() {
	p.notes = append(p.notes, p.w.Plan.Overrides...)
	for _, f := range p.f.settings {
		p.note("%s sets %s, which was not taken into account here", f.File, strings.Join(f.Names, ", "))
	}
	hasPath := slices.ContainsFunc(p.u.Environment(), func(entry string) bool { return strings.HasPrefix(entry, "PATH=") })
	for _, c := range p.u.commands {
		if hasPath && c.program.value != "" && !strings.Contains(c.program.value, "/") {
			p.note("%s is looked for in the PATH that Environment= sets, and was looked for in systemd's own folders before; write its path where these differ", c.program.raw)
		}
	}
}
