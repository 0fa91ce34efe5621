// Package run is the command run, the main job: what its command line says, the plan that follows, and the
// launch.
//
// It knows nothing of the library that reads command lines, so that a launch can happen before that library is
// initialised (package early). The flags are defined here once; the library's flags are made from them.
package run

// An ordinary command line: how it is read, and what it says.

import (
	"fmt"
	"slices"
	"strings"

	"arenacap/cmd/arenacap/internal/say"
)

// Line is a command line that was read: of run, or of another command that makes a plan.
type Line struct {
	Command string
	Args    []string // the program and its arguments
	given   []setting
}

// setting is one flag as it was given. The value of a flag that takes none is "true", or "false" where that was
// written out.
type setting struct{ name, value string }

// Give adds a flag. The last one of a name counts.
func (l *Line) Give(name, value string) { l.given = append(l.given, setting{name, value}) }

// Text is the value of a flag, and whether it was given.
func (l Line) Text(name string) (value string, given bool) {
	for _, s := range slices.Backward(l.given) {
		if s.name == name {
			return s.value, true
		}
	}
	return "", false
}

func (l Line) has(name string) bool { _, given := l.Text(name); return given }

func (l Line) on(name string) bool { value, _ := l.Text(name); return value == "true" }

// Voice is as loud as the line asks for.
func (l Line) Voice() say.Voice { return say.Voice{Quiet: l.on("q"), Verbose: l.on("verbose")} }

// bad is a mistake in a flag's value, or what stands where the value should.
func (l Line) bad(name string, err error) error {
	if value, _ := l.Text(name); len(value) > 1 && value[0] == '-' && (value[1] < '0' || value[1] > '9') {
		return say.Usage(l.Command, fmt.Sprintf("flag \"--%s\" needs an argument, and %q stands in its place; write for example --%s %s", name, value, name, exampleOf[name]))
	}
	return say.Usage(l.Command, "--"+name+": "+err.Error())
}

var exampleOf = map[string]string{"arenas": "4", "cores": "8", "budget": "4GiB", "parent-death-signal": "TERM"}

// Read reads "arenacap [FLAG…] run [FLAG…] [--] PROGRAM [ARG…]", all of it as os.Args has it. ok is false for every
// line that is unusual: another command, help, a mistake. Those are the library's, so that each is answered
// in one place. Where ok is true the library reads the same (FuzzRead in package main).
//
// A flag has one dash or two, and its value behind "=" or as the next argument, whatever that looks like (package
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

// read takes the flags in front, of the groups up to last, and gives what follows. ended says that "--" stood there.
func (l *Line) read(args []string, last group) (rest []string, ended, ok bool) {
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
		i := slices.IndexFunc(flags[:], func(f Flag) bool { return f.Name == name && f.group <= last })
		switch {
		case i < 0 || flags[i].elsewhere:
			return nil, false, false
		case !flags[i].Text && assigned: // a boolean may be written in many ways
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
