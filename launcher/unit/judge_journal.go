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
	p.judgeStderr()
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

// judgeStderr: where stderr is a connection, the peer reads what is written there.
func (p *planner) judgeStderr() {
	to := p.u.stderr()
	speaks := p.watched() && p.w.Plan.Policy.Log.To == "stderr"
	switch kind, _, _ := strings.Cut(to, ":"); kind {
	case "socket", "fd":
		if speaks {
			p.refuse("stderr is the connection (%s), so a breach would be written to the client; write StandardError=journal in the unit, or [log] to with a file's path in the policy", to)
			return
		}
		p.w.Flags = append(slices.Clone(p.w.Flags), "-q")
		p.note("stderr is the connection (%s), so with -q arenacap writes no warnings to the client; write StandardError=journal in the unit to see them", to)
	case "null", "file", "append", "truncate", "tty", "tty-force", "tty-fail":
		if speaks {
			p.note("stderr is %s, so breaches are not in the journal; write [log] to with a file's path in the policy", to)
		}
	}
}

// journals reports whether the watch writes to the journal, which is a socket.
func (p *planner) journals() bool {
	kind := p.u.stderr()
	return p.w.Plan.Policy.Log.To == "stderr" && (kind == "" || strings.HasPrefix(kind, "journal") || strings.HasPrefix(kind, "kmsg"))
}

// stderr is where the service's standard error goes, "" where no setting says. Of stdin only a connection or a terminal is
// inherited (systemd.exec(5); v252: src/core/service.c, service_fix_stdio).
func (u Unit) stderr() string {
	for _, key := range []string{"StandardError", "StandardOutput", "StandardInput"} {
		to := u.last(key)
		kind, _, _ := strings.Cut(to, ":")
		if to == "" || kind == "inherit" || key == "StandardInput" && (kind == "null" || kind == "data" || kind == "file") {
			continue
		}
		return to
	}
	return ""
}

// identifier is the name of a program; "" is one that only systemd knows.
func (c command) identifier() string {
	if name := path.Base(c.name); (c.known || !strings.Contains(name, "%")) && strings.Trim(name, blanks) == name {
		return name
	}
	return ""
}
