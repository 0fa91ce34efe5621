package unit

// This file makes the drop-in's name and text, and recognizes the drop-ins that arenacap made.

import (
	"fmt"
	"slices"
	"strings"

	"arenacap/policy/text"
)

// ownBegin is the beginning of each drop-in that arenacap makes, and identifies it.
const ownBegin = "# arenacap in front of "

const ownFile = "arenacap.conf"

// ownKeys are the settings that arenacap writes into a drop-in.
var ownKeys = [...]string{"ExecStart", "ExecPaths", "SyslogIdentifier"}

// ownName returns a name for arenacap's drop-in that sorts after the names in the parameter "others", the names of the
// other drop-ins that set ExecStart=. Drop-ins apply in the byte order of their names, independent of their
// directories, and the last drop-in that clears ExecStart= wins. The usual name is arenacap.conf. If another drop-in
// sorts after arenacap.conf, the second result, "behind", is the name of the drop-in that sorts last, and the first
// result sorts after that name.
func ownName(others []string) (name, behind string) {
	if len(others) == 0 || slices.Max(others) < ownFile {
		return ownFile, ""
	}
	behind = slices.Max(others)
	if name = "zz-" + ownFile; behind < name {
		return name, behind
	}
	return strings.TrimSuffix(behind, ".conf") + "_" + ownFile, behind // "_" sorts after "."
}

// isOwn reports whether arenacap made a drop-in.
func isOwn(text string) bool { return strings.HasPrefix(text, ownBegin) }

// text is the text of the drop-in. It contains no time: the same unit and command line give the same text. Another command
// line with the same meaning changes only the second line, which Needed ignores.
func (p *planner) text(place string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(ownBegin+"%s. Made by:", p.u.Name)
	line("#   %s", text.Printable(p.w.Command))
	line("# from:")
	for _, f := range p.u.Files {
		line("#   %s", text.Printable(f))
	}
	p.steps(line, place)
	for _, n := range p.notes {
		line("# Note: %s", text.Printable(n))
	}
	line("[Service]")
	for _, l := range p.lines {
		line("%s", l)
	}
	p.keep(line, "Service")
	line("ExecStart=")
	for _, c := range p.u.commands {
		if c.inFront() {
			line("ExecStart=%s", closed(c.text))
			continue
		}
		line("ExecStart=%s", c.withArenacap(p.f.own.Path, p.w.Flags))
	}
	p.keep(line, "")
	return b.String()
}

// keep copies the settings that an operator added to the earlier drop-in: the settings of one section, or, if the
// argument "section" is "", the settings of all sections except [Service].
func (p *planner) keep(line func(string, ...any), section string) {
	in := "Service"
	for _, s := range p.u.kept {
		if (s.section == "Service") != (section == "Service") {
			continue
		}
		if s.section != in {
			in = s.section
			line("[%s]", in)
		}
		line("%s", closed(s.key+"="+s.value))
	}
}

// steps writes the comments that say where the drop-in goes and what to type.
func (p *planner) steps(line func(string, ...any), place string) {
	line("# This drop-in goes into %s", place)
	if p.w.Root == "" {
		line("# ('arenacap unit --write' puts it there); then:")
		line("#   %s", p.u.Next())
	}
	line("# This drop-in replaces the unit's ExecStart=: make it again when an upgrade changes that line of the unit.")
}

// Next is the command to type after a drop-in of the unit was written.
func (u Unit) Next() string { return next(u.Home != "", "restart", u.Name) }

// Next is the command to type after a removal: services that do not run are not started.
func (r Removal) Next() string { return next(r.finder.home != "", "try-restart", r.Units...) }

// next is the command that makes the system's or the user's service manager read the unit files again and restart the
// units, except those whose restart would end sessions.
func next(user bool, verb string, names ...string) string {
	systemctl := "systemctl"
	if user {
		systemctl += " --user"
	}
	line := systemctl + " daemon-reload"
	if !user {
		names = slices.DeleteFunc(slices.Clone(names), restartsSessions)
	}
	if len(names) > 0 {
		line += " && " + systemctl + " " + verb
	}
	for _, name := range names {
		line += " " + text.ShellWord(strings.Replace(name, "@"+suffix, "@*"+suffix, 1))
	}
	return line
}
