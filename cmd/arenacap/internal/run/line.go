// Package run is the command "run": its command line, its plan and the launch.
//
// It does not use the command-line library, so that it can launch before that library is initialised (package early). The
// flags are defined here; the library's flags are made from them.
package run

// This file reads an ordinary command line of run.

import (
	"fmt"
	"slices"
	"strings"

	"arenacap/cmd/arenacap/internal/say"
)

// Line is the parsed command line of any command, as far as package run defines its flags.
type Line struct {
	Command string
	Args    []string // the program and its arguments
	given   []setting
}

// setting is one given flag. The value of a boolean flag is "true", or "false" if the user wrote --NAME=false.
type setting struct{ name, value string }

// Give adds a flag. If a name is given twice, the last value counts.
func (l *Line) Give(name, value string) { l.given = append(l.given, setting{name, value}) }

// Text returns the value of a flag, and whether it was given.
func (l Line) Text(name string) (value string, given bool) {
	for _, s := range slices.Backward(l.given) {
		if s.name == name {
			return s.value, true
		}
	}
	return "", false
}

func (l Line) on(name string) bool { value, _ := l.Text(name); return value == "true" }

// Voice returns the verbosity that -q and --verbose select.
func (l Line) Voice() say.Voice { return say.Voice{Quiet: l.on("q"), Verbose: l.on("verbose")} }

// bad returns the error for an invalid value of a flag, or for a missing value with another flag in its place.
func (l Line) bad(name string, err error) error {
	if value, _ := l.Text(name); len(value) > 1 && value[0] == '-' && (value[1] < '0' || value[1] > '9') {
		return say.Usage(l.Command, fmt.Sprintf("flag \"--%s\" needs an argument, but %q follows it; write for example --%s %s", name, value, name, exampleOf[name]))
	}
	return say.Usage(l.Command, "--"+name+": "+err.Error())
}

var exampleOf = map[string]string{"arenas": "4", "cores": "8", "budget": "4GiB", "parent-death-signal": "TERM"}

// Read parses "arenacap [FLAG…] run [FLAG…] [--] PROGRAM [ARG…]", given as in os.Args. ok is false for any other line,
// such as another command, help, --dry-run or a mistake. The command-line library handles such a line, so that each of
// these cases has one implementation. If ok is true, the library would parse the line in the same way (FuzzRead in
// package main).
//
// A flag has one or two dashes. Its value follows "=" or is the next argument, even if that begins with a dash (package
// flag, "Command line flag syntax").
func Read(args []string) (l Line, ok bool) {
	l.Command = "run"
	if len(args) == 0 {
		return l, false
	}
	rest, ended, ok := l.read(args[1:], global)
	if !ok || ended || len(rest) == 0 || rest[0] != "run" {
		return l, false
	}
	l.Args, _, ok = l.read(rest[1:], supervise)
	return l, ok && len(l.Args) > 0
}

// read consumes the leading flags whose group is maxGroup or an earlier one in the list of groups, and returns the arguments
// after these flags. The result "ended" is true if "--" ended the flags.
func (l *Line) read(args []string, maxGroup group) (rest []string, ended, ok bool) {
	for len(args) > 0 {
		arg := args[0]
		if len(arg) < 2 || arg[0] != '-' {
			return args, false, true
		}
		args = args[1:]
		if arg == "--" {
			return args, true, true
		}
		name, value, assigned := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		i := slices.IndexFunc(flags[:], func(f Flag) bool { return f.Name == name && f.group <= maxGroup })
		switch {
		case i < 0 || flags[i].elsewhere:
			return nil, false, false
		case !flags[i].Text && assigned: // only the command-line library knows all spellings of a boolean, such as 1 and T
			return nil, false, false
		case !flags[i].Text:
			value = "true"
		case !assigned && len(args) == 0:
			return nil, false, false
		case !assigned:
			value, args = args[0], args[1:]
		}
		if value == "--" && name != "argv0" { // the flag's value is missing
			return nil, false, false
		}
		l.Give(name, value)
	}
	return nil, false, true
}
