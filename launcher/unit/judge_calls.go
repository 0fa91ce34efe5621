package unit

// Judgement of seccomp: SystemCallFilter= and the system calls that arenacap makes.

import (
	"strings"
)

// judgeCalls is about SystemCallFilter=: an allow-list, or with "~" a list of what is denied; a later line adds to the
// first.
func (p *planner) judgeCalls() {
	if lacking := p.lackingCalls(); len(lacking) > 0 {
		does := "start"
		if p.watched() {
			does = "start and watch"
		}
		p.refuse("SystemCallFilter= denies calls that arenacap makes to %s; add SystemCallFilter=%s to the unit, and ask again", does, strings.Join(lacking, " "))
	}
}

// lackingCalls are the calls that the filter would have to allow: names, or a group of which it allows none.
func (p *planner) lackingCalls() (lacking []string) {
	var made, denied []string // of one group
	for i, c := range calls {
		if c.group == "@network-io" && !p.journals() {
			c.watch = fine
		}
		if c.group == "@network-io" && p.notifying() == "" {
			c.supervise = fine
		}
		harm := p.harm(c.launch, c.watch, c.supervise)
		for _, name := range strings.Fields(c.names) {
			if harm != fine {
				made = append(made, name)
			}
			if action := p.u.denial(name, c.group); action != fine && harm >= action {
				denied = append(denied, name)
			}
		}
		if i+1 < len(calls) && calls[i+1].group == c.group {
			continue
		}
		if len(denied) > 1 && len(denied) == len(made) && strings.Contains(wholeGroups, c.group) && c.group != "" {
			denied = []string{c.group}
		}
		lacking = append(lacking, denied...)
		made, denied = nil, nil
	}
	return lacking
}

// harm is what a denied call means for what the service will have.
func (p *planner) harm(launch, watch, supervise denial) denial {
	harm := launch
	if p.watched() {
		harm = max(harm, watch)
	}
	if p.supervised() {
		harm = max(harm, supervise)
	}
	return harm
}

// denial is what the filter does to a call of a group: killed, fails with an error, or fine. The first line says what holds
// for calls that none names; ":ERRNO" behind a name counts before SystemCallErrorNumber=.
func (u Unit) denial(call, group string) denial {
	lines := u.list("SystemCallFilter")
	if len(lines) == 0 {
		return fine
	}
	allowed, number := strings.HasPrefix(lines[0].value, "~"), ""
	for _, line := range lines {
		list, denied := strings.CutPrefix(line.value, "~")
		for _, name := range strings.Fields(list) {
			switch name, own, _ := strings.Cut(name, ":"); name {
			case call, group, "@system-service", "@known":
				allowed, number = !denied, own
			}
		}
	}
	if number == "" {
		number = u.last("SystemCallErrorNumber")
	}
	switch {
	case allowed:
		return fine
	case number == "" || number == "kill":
		return killed
	}
	return fails
}
