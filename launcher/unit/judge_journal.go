package unit

// Judgement of the journal: where arenacap's words go, and under which name the service's lines stand there.

import (
	"path"
	"slices"
	"strings"
)

// judgeJournal is about where arenacap's words go, and under which name. systemd names a service's lines after the
// program that it starts (systemd.exec(5), SyslogIdentifier=), which would be arenacap.
func (p *planner) judgeJournal() {
	to := p.u.last("StandardError")
	if to == "" || to == "inherit" {
		to = p.u.last("StandardOutput")
	}
	switch kind, _, _ := strings.Cut(to, ":"); kind {
	case "null", "file", "append", "truncate", "socket", "fd":
		if p.watched() && p.w.Plan.Policy.Log.To == "stderr" {
			p.note("stderr is %s, so breaches are not in the journal; write [log] to with a file's path in the policy", to)
		}
	}
	if p.u.last("SyslogIdentifier") != "" {
		return
	}
	var names []string
	for _, c := range p.u.commands {
		if !c.inFront() {
			names = append(names, c.identifier())
		}
	}
	if slices.Sort(names); names[0] == "" || names[0] != names[len(names)-1] {
		p.note("the service's lines in the journal will have the identifier arenacap, and not that of each program; where something asks for it (journalctl -t, rsyslog, fail2ban), write SyslogIdentifier=")
		return
	}
	p.line("# The name of the service's lines in the journal; without it that would be \"arenacap\" now.")
	p.line("SyslogIdentifier=%s", strings.ReplaceAll(names[0], "%", "%%"))
}

// identifier is the name of a program; "" is one that only systemd knows.
func (c command) identifier() string {
	if name := path.Base(c.name); (c.known || !strings.Contains(name, "%")) && strings.Trim(name, blanks) == name {
		return name
	}
	return ""
}
