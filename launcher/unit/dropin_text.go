package unit

// The drop-in that arenacap makes: its name, how it is known again, and its text.

import (
	"fmt"
	"slices"
	"strings"

	"arenacap/policy"
)

// ownBegin is how a drop-in begins that arenacap made.
const ownBegin = "# arenacap in front of "

const ownFile = "arenacap.conf"

// ownKeys are the settings that a drop-in has from arenacap.
var ownKeys = [...]string{"ExecStart", "ExecPaths", "SyslogIdentifier"}

// ownName is a name that systemd reads after all of these, and the last of them, if that is why it is not the usual one:
// drop-ins apply in the order of their names' bytes, whatever their folder, and the last one to empty ExecStart= wins.
func ownName(with []string) (name, behind string) {
	if len(with) == 0 || slices.Max(with) < ownFile {
		return ownFile, ""
	}
	behind = slices.Max(with)
	if name = "zz-" + ownFile; behind < name {
		return name, behind
	}
	return strings.TrimSuffix(behind, ".conf") + "_" + ownFile, behind // "_" comes behind "."
}

// isOwn reports whether arenacap made a drop-in.
func isOwn(text string) bool { return strings.HasPrefix(text, ownBegin) }

// text is the drop-in's. There is no time in it: the same unit gives the same text, so that diff(1) tells when it has
// to be made again.
func (p *planner) text(place string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(ownBegin+"%s. Made by:", p.u.Name)
	line("#   %s", policy.Printable(p.w.Command))
	line("# from:")
	for _, f := range p.u.Files {
		line("#   %s", policy.Printable(f))
	}
	p.steps(line, place)
	for _, n := range p.notes {
		line("# Note: %s", policy.Printable(n))
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
		line("ExecStart=%s", c.behind(p.f.own.Path, p.w.Flags))
	}
	p.keep(line, "")
	return b.String()
}

// keep writes again what others wrote into the drop-in that was there: the lines of a section, or, for "", of all others
// but [Service].
func (p *planner) keep(line func(string, ...any), section string) {
	in := "Service"
	for _, s := range p.u.kept {
		if section == "" && s.section != in {
			in = s.section
			line("[%s]", in)
		}
		if s.section == section || section == "" && s.section != "Service" {
			line("%s", closed(s.key+"="+s.value))
		}
	}
}

// steps say where the drop-in goes and what to type.
func (p *planner) steps(line func(string, ...any), place string) {
	line("# It goes into %s", place)
	if p.w.Root == "" {
		line("# (unit --write puts it there); then:")
		line("#   %s", p.u.Next())
	}
	line("# From then on systemd starts what stands here: make it again when an upgrade changes ExecStart=.")
}

// Next is what to type when a drop-in of the unit was written.
func (u Unit) Next() string {
	units := strings.Replace(u.Name, "@"+suffix, "@*"+suffix, 1)
	systemctl := "systemctl"
	if u.Home != "" {
		systemctl += " --user"
	}
	return systemctl + " daemon-reload && " + systemctl + " restart " + policy.ShellWord(units)
}
