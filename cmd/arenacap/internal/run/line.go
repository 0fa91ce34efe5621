// Package run is the command run, the main job: what its command line says, the plan that follows, and the
// launch.
//
// It knows nothing of the library that reads command lines, so that a launch can happen before that library is
// initialised (package early). The flags are defined here once; the library's flags are made from them.
package run

import (
	"slices"
	"strings"

	"arenacap/cmd/arenacap/internal/say"
)

// Flag is a flag of run, and of the other commands that share its group.
type Flag struct {
	Name  string
	Usage string // with `NAME` around what stands for the value
	Text  bool   // takes a value; else it is there or not
	Group Group

	// elsewhere is set where a flag asks for something else than a launch. Read leaves such a line alone.
	elsewhere bool
}

// Group is a set of flags that several commands take.
type Group uint8

// The groups.
const (
	Global    Group = iota // every command; they may stand before the command's name too
	Caps                   // the commands that make a plan
	Budget                 // the commands that watch
	Own                    // run alone
	Supervise              // run alone: how it is the parent
)

// flags is in the order of the help. It is laid out by the compiler and costs a start nothing.
var flags = [...]Flag{
	{Name: "policy", Text: true, Usage: "read the policy from `FILE` (default: $ARENACAP_POLICY, then the user's and the system's)"},
	{Name: "service", Text: true, Usage: "lay the section [service.`NAME`] over the policy (default: $ARENACAP_SERVICE)"},
	{Name: "q", Usage: "say nothing but errors"},
	{Name: "verbose", Usage: "explain each decision"},
	{Name: "version", Usage: "print the version and the commit, and exit", elsewhere: true},

	{Name: "arenas", Group: Caps, Text: true, Usage: "the cap: `CAP` is a number, a factor such as 2/core, off or glibc"},
	{Name: "cores", Group: Caps, Text: true, Usage: "multiply a per-core cap by `N` cores, or by auto, online or affinity"},

	{Name: "budget", Group: Budget, Text: true, Usage: "limit the virtual size to `SIZE` (4GiB, 500M, …); off: no budget at all"},

	{Name: "argv0", Group: Own, Text: true, Usage: "PROGRAM gets `NAME` as its zeroth argument, instead of its own"},
	{Name: "dry-run", Group: Own, Usage: "print the plan instead", elsewhere: true},

	{Name: "supervise", Group: Supervise, Usage: "stay as the parent: forward signals, reap, pass on the status"},
	{Name: "kill-group", Group: Supervise, Usage: "give PROGRAM a process group of its own and forward signals to all of it"},
	{Name: "wait-orphans", Group: Supervise, Usage: "end only when everything that PROGRAM left has ended"},
	{Name: "parent-death-signal", Group: Supervise, Text: true, Usage: "PROGRAM gets the signal `SIG` (TERM, 15, …) when arenacap dies"},
	{Name: "reraise", Group: Supervise, Usage: "when a signal ended PROGRAM, end by the same signal instead of status 128+n"},
	{Name: "summary", Group: Supervise, Usage: "say one line at the end: time, peaks, arenas, breaches"},
}

// Flags lists the flags of these groups.
func Flags(groups ...Group) []Flag {
	var some []Flag
	for _, f := range flags {
		if slices.Contains(groups, f.Group) {
			some = append(some, f)
		}
	}
	return some
}

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

// bad is a mistake in a flag's value.
func (l Line) bad(name string, err error) error {
	return say.Usage(l.Command, "--"+name+": "+err.Error())
}

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
	rest, ended, ok := l.read(args[1:], Global)
	if !ok || ended || len(rest) == 0 || rest[0] != "run" {
		return l, false
	}
	l.Args, _, ok = l.read(rest[1:], Supervise)
	return l, ok && len(l.Args) > 0
}

// read takes the flags in front, of the groups up to last, and gives what follows. ended says that "--" stood there.
func (l *Line) read(args []string, last Group) (rest []string, ended, ok bool) {
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
		i := slices.IndexFunc(flags[:], func(f Flag) bool { return f.Name == name && f.Group <= last })
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
		l.Give(name, value)
	}
	return nil, false, true
}
