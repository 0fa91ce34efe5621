package unit

// This file checks where arenacap's messages go, and keeps the identifier of the service's lines in the journal.

import (
	"path"
	"slices"
	"strings"
)

// judgeJournal keeps the service's identifier in the journal. By default that is the name of the program that systemd
// starts (systemd.exec(5), SyslogIdentifier=), which would be arenacap.
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
		p.note("the service's lines in the journal will have the identifier arenacap, not the program's name; if you filter by it (journalctl -t, rsyslog, fail2ban), write SyslogIdentifier=")
		return
	}
	p.line("# The identifier of the service's lines in the journal; by default it would be \"arenacap\".")
	p.line("SyslogIdentifier=%s", strings.ReplaceAll(names[0], "%", "%%"))
}

// judgeStderr keeps arenacap's messages away from the client if stderr is a network connection, and notes if breaches
// will not be in the journal.
func (p *planner) judgeStderr() {
	to := p.u.stderr()
	speaks := p.watched() && p.w.Plan.Policy.Log.To == "stderr"
	switch kind, _, _ := strings.Cut(to, ":"); kind {
	case "socket", "fd":
		if speaks {
			p.refuse("stderr is the connection to the client (%s), so the client would get the messages about breaches; write StandardError=journal in the unit, or name a file in [log] of the policy (to = \"FILE\")", to)
			return
		}
		p.w.Flags = append(slices.Clone(p.w.Flags), "-q")
		p.note("stderr is the connection to the client (%s), so the drop-in has -q, and arenacap writes no warnings; write StandardError=journal in the unit to see them", to)
	case "null", "file", "append", "truncate", "tty", "tty-force", "tty-fail":
		if speaks {
			p.note("stderr is %s, so breaches are not in the journal; name a file in [log] of the policy (to = \"FILE\")", to)
		}
	}
}

// journals reports whether the watch writes to the journal, for which it needs sendmsg(2), because the journal is a
// socket.
func (p *planner) journals() bool {
	kind := p.u.stderr()
	return p.w.Plan.Policy.Log.To == "stderr" && (kind == "" || strings.HasPrefix(kind, "journal") || strings.HasPrefix(kind, "kmsg"))
}

// stderr is where the service's standard error goes; "" if no setting decides it. Standard error inherits standard
// input only if that is a connection or a terminal (systemd.exec(5); v252: src/core/service.c, service_fix_stdio).
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

// identifier is the name of a program without its directory; "" if only systemd knows it.
func (c command) identifier() string {
	if name := path.Base(c.name); (c.known || !strings.Contains(name, "%")) && strings.Trim(name, blanks) == name {
		return name
	}
	return ""
}
