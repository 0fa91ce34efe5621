// Package unit puts arenacap in front of the ExecStart= lines of a systemd service.
//
// Load reads a service as systemd does: its file, with its drop-ins laid over it. Look gathers what else decides:
// the programs, arenacap's own file, the policy's. Plan is pure: it says what a drop-in has to hold, or why none would
// work. DropIn.Write alone changes anything. The drop-in keeps each command byte for byte, so that quoting, $VARIABLES
// and %specifiers mean what they meant before.
//
// The parser is our own. The one of github.com/coreos/go-systemd (unit.Deserialize, v22.7) loses what follows a
// comment within a continued line, refuses lines over 2048 bytes and stops at a line that systemd ignores.
//
// Known limits: a specifier whose value has a "$" in it, in the name of a program (none of systemd's own has one);
// units that exist only in a running manager's memory (systemd-run); the units of user managers, but by their file's
// path; access control lists. The SyslogIdentifier= of a drop-in counts for ExecStartPre= and its like too. A path in a setting
// counts with the specifiers whose values are known here; of a SystemCallFilter= the names of x86-64 are judged.
package unit

import (
	"fmt"
	"slices"
	"strings"
)

// Unit is a service as systemd would load it.
type Unit struct {
	Name  string   // of the unit: an alias is resolved
	Files []string // what was read: the unit's own file, then its drop-ins in systemd's order
	Home  string   // of the user whose manager loads it; "" is a unit of the system's

	commands      []command
	own           string    // the name for the drop-in's file: one that stands behind all others with an ExecStart=
	remarks       []string  // what systemd ignores in these files, a line each
	settings      []setting // of [Service], in the order in which they apply
	behind        string    // the drop-in for which own is not the usual name
	older         []string  // drop-ins that arenacap made before
	kept          []setting // what others wrote into these
	etc           string    // the folder of the administrator's units
	perConnection bool      // each instance serves one connection of a socket
}

// Service is the name for a policy's section: the unit's, without what stands behind "@", for one section serves all
// instances of a template.
func (u Unit) Service() string {
	prefix, _, _ := strings.Cut(strings.TrimSuffix(u.Name, suffix), "@")
	return prefix
}

// last is the value of a setting that counts once; "" is not set. Specifiers are replaced, as in words.
func (u Unit) last(key string) string {
	for _, s := range slices.Backward(u.settings) {
		if s.key == key {
			return u.expanded(s.value)
		}
	}
	return ""
}

// list is what counts of a setting that may stand several times: all since the last empty one, which takes the
// earlier ones away.
func (u Unit) list(key string) []setting {
	var all []setting
	for _, s := range u.settings {
		switch {
		case s.key != key:
		case s.value == "":
			all = nil
		default:
			all = append(all, s)
		}
	}
	return all
}

// words are those of all values of a list. What cannot be split or expanded is left out, as systemd does.
func (u Unit) words(key string) []string {
	var all []string
	for _, s := range u.list(key) {
		for rest := s.value; ; {
			w, after, err := cutWord(rest)
			if err != nil || w.raw == "" {
				break
			}
			if value, _, err := u.expand(w.value); err == nil {
				all = append(all, value)
			}
			rest = after
		}
	}
	return all
}

// yes reads a boolean (systemd.syntax(7)).
func (u Unit) yes(key string) bool {
	return slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, strings.ToLower(u.last(key)))
}

// set reports whether a setting that is more than a boolean is in force.
func (u Unit) set(key string) bool {
	return !slices.Contains([]string{"", "0", "no", "n", "false", "f", "off"}, strings.ToLower(u.last(key)))
}

// AsRoot reports whether a command of the unit runs as root: then so does arenacap, which asks more of its policy
// file's owner. "+" and "!" take User= away from one command.
func (u Unit) AsRoot() bool {
	if u.Home != "" { // a user's manager changes no user
		return u.Home == "/root"
	}
	return u.onlyRoot() || slices.ContainsFunc(u.commands, func(c command) bool { return !c.boxed() || strings.Count(c.prefix, "!") == 1 })
}

// onlyRoot reports whether all commands run as root.
func (u Unit) onlyRoot() bool {
	user := u.last("User")
	return u.Home == "" && (user == "" || user == "root" || user == "0") && !u.yes("DynamicUser")
}

// place is "FILE:LINE" of a setting.
func (s setting) place() string { return fmt.Sprintf("%s:%d", s.file, s.line) }
