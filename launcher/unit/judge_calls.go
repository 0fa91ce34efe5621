package unit

// This file checks whether SystemCallFilter= (seccomp) allows the system calls that arenacap makes.

import (
	"strings"
)

// judgeCalls checks SystemCallFilter=. The first line makes the filter an allow-list, or a deny-list if it begins
// with "~"; later lines add to the list or remove from it.
func (p *planner) judgeCalls() {
	if lacking := p.lackingCalls(); len(lacking) > 0 {
		does := "start"
		if p.watched() {
			does = "start and watch"
		}
		p.refuse("SystemCallFilter= denies calls that arenacap needs to %s; add SystemCallFilter=%s to the unit, and run this again", does, strings.Join(lacking, " "))
	}
}

// lackingCalls returns the calls that the filter must allow in addition. If the filter denies each call that arenacap
// makes from one of wholeGroups, lackingCalls returns the name of the group instead of the names of these calls.
func (p *planner) lackingCalls() (lacking []string) {
	var made, denied []string // names of the calls of one group
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

// harm returns the mildest action of a filter that harms arenacap in this service. The arguments are from a row of the
// table "calls": the mildest actions that harm the launch, the watch and the supervisor. The argument "watch" counts
// only if the service has a watch, and "supervise" only if it has a supervisor.
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

// denial returns what the filter does with a call, which is a member of this group. The first line decides for the
// calls that no line names, except that a list of allowed calls always has those of @default (systemd.exec(5)). An
// ":ERRNO" after a name overrides SystemCallErrorNumber=.
func (u Unit) denial(call, group string) denial {
	lines := u.list("SystemCallFilter")
	if len(lines) == 0 {
		return fine
	}
	allowed, number := strings.HasPrefix(lines[0].value, "~") || group == "@default", ""
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
