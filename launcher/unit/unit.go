// Package unit puts arenacap in front of the ExecStart= lines of a systemd service.
//
// Load reads a service as systemd does: its file and its drop-ins. Look examines the other files that matter: the
// programs, arenacap's executable, the policy file. Plan reads no files: from the results of Load and Look it makes the
// text of the drop-in, or the reasons why no drop-in would work. DropIn.Write writes the drop-in; Removal.Do renames
// it, so that systemd ignores it; nothing else changes files. The drop-in keeps the arguments of each command byte for
// byte, so that quotes, $VARIABLES and %specifiers keep their meaning.
//
// The package has its own parser of unit files. The parser of github.com/coreos/go-systemd (unit.Deserialize, v22.7)
// loses the text after a comment within a continued line, rejects lines over 2048 bytes and stops at a line that
// systemd ignores.
//
// Known limits. The package does not support a program's name with a specifier whose value contains "$" (only a value
// that an operator chose can contain one, such as an instance's name), units that exist only in a running manager's
// memory (systemd-run), and access control lists. A unit of a user manager is found only by the path of its file. The
// SyslogIdentifier= of a drop-in also applies to ExecStartPre= and similar commands. In paths only the specifiers
// with a value known here are replaced. SystemCallFilter= is checked for the x86-64 calls only.
package unit

import (
	"fmt"
	"slices"
	"strings"
)

// Unit is a service as systemd would load it.
type Unit struct {
	Name  string   // the unit's name; an alias is resolved
	Files []string // the unit's file, then its drop-ins in systemd's order, without those that arenacap made
	Home  string   // home directory of the user whose manager loads the unit; "" for a system unit

	aliases       []string // other names of the unit
	commands      []command
	own           string    // file name for the new drop-in; it sorts after all others that set ExecStart=
	remarks       []string  // the parts of the files in Files that systemd ignores, one line each
	settings      []setting // the settings of [Service], in the order in which they apply
	behind        string    // the last drop-in with ExecStart= that sorts after arenacap.conf, so the new one needs another name; "" if there is none
	older         []string  // drop-ins that arenacap made earlier
	kept          []setting // settings that an operator added to the drop-ins in the field "older"
	launches      []setting // ExecStart settings of the drop-ins in the field "older": commands that start arenacap
	etc           string    // the administrator's unit directory
	perConnection bool      // each instance serves one connection of a socket
}

// Service is the name of the policy section for the unit: the unit's name without ".service" and, because one section is for
// all instances of a template, without the instance: "foo@". The watch of a host uses the same name.
func (u Unit) Service() string { return strings.TrimSuffix(template(u.Name), suffix) }

// Aliases returns the other names of the unit, with ".service".
func (u Unit) Aliases() []string { return u.aliases }

// last is the value of a setting whose last assignment wins; "" if it is not set. Specifiers are replaced, as by the
// method "words".
func (u Unit) last(key string) string {
	for _, s := range slices.Backward(u.settings) {
		if s.key == key {
			return u.expanded(s.value)
		}
	}
	return ""
}

// list returns the assignments of a list setting. An empty assignment clears the earlier ones.
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

// words returns the words of all values of a list setting. Like systemd, it skips a word with an invalid specifier, and
// a word with a quote that is not closed, which extends to the end of the value.
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

// yes reports whether a boolean setting is true (systemd.syntax(7)).
func (u Unit) yes(key string) bool {
	return slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, strings.ToLower(u.last(key)))
}

// set reports whether a setting that takes a boolean or another value is neither empty nor false.
func (u Unit) set(key string) bool {
	return !slices.Contains([]string{"", "0", "no", "n", "false", "f", "off"}, strings.ToLower(u.last(key)))
}

// AsRoot reports whether any command of the unit runs as root. Then arenacap runs as root too and has stricter
// requirements for the owner of its policy file. The prefixes "+" and "!" override User= for one command.
func (u Unit) AsRoot() bool {
	if u.Home != "" { // a user manager cannot change the user
		return u.Home == "/root"
	}
	return u.onlyRoot() || slices.ContainsFunc(u.commands, func(c command) bool { return !c.boxed() || strings.Count(c.prefix, "!") == 1 })
}

// onlyRoot reports whether all commands run as root.
func (u Unit) onlyRoot() bool {
	user := u.last("User")
	return u.Home == "" && (user == "" || user == "root" || user == "0") && !u.yes("DynamicUser")
}

// place returns the place of a setting: "FILE:LINE".
func (s setting) place() string { return fmt.Sprintf("%s:%d", s.file, s.line) }
