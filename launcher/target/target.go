// Package target finds the program that a command line starts, and whether a cap on glibc's arenas can work on it.
//
// Find resolves a program's name as execvp(3) does. Quick reads a few headers, because it runs before a launch. Examine
// follows all libraries as the dynamic loader does, for commands such as plan. Quick and Examine return a Target with
// the facts and the verdict, which verdict.go derives from them. No function here runs a program.
//
// The verdict is about the server: the last program of the command line, after the carriers and scripts. A carrier is a
// program that starts another one, such as env, sudo or sh -c (the table is in carriers.go). A shell script is followed
// if it execs exactly one program, under no condition, whose name it does not compute. Otherwise the verdict is about
// its shell, and about what the script does to the variables that set the cap.
//
// Known limits. This package does not see libraries loaded with dlopen(3), environment variables that the program
// changes before its own exec, transitions of security modules, and binfmt_misc handlers.
package target

import (
	"cmp"
	"fmt"
	"strings"

	"arenacap/launcher/environ/glibc"
)

// Answer is yes, no or unknown. The zero value is unknown.
type Answer int8

// These are the values of Answer.
const (
	Unknown Answer = iota
	No
	Yes
)

// String returns "yes", "no" or "unknown".
func (a Answer) String() string {
	return [...]string{"unknown", "no", "yes"}[a]
}

// MarshalJSON returns true, false or null.
func (a Answer) MarshalJSON() ([]byte, error) {
	return []byte([...]string{"null", "false", "true"}[a]), nil
}

func answer(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

// Target is the facts about a program and the verdict. "" means unknown.
type Target struct {
	Path         string   // path that is passed to exec
	Chain        []Link   // the carriers in the order of their start: from Path to the one that starts the server
	Server       string   // the program that the last carrier starts; Path if there are no carriers
	User         string   // the user as which a carrier runs the server; "" if no carrier names one
	Arrives      Answer   // whether the server gets the cap from the environment of the launch
	Interpreters []string // interpreters from #! lines, in start order, including the program that "#!/usr/bin/env NAME" finds
	Bits         int      // word size of the program, 32 or 64; 0 if unknown
	Mapped       uint64   // lower bound of the address space of the program and its libraries, in bytes; set only by Examine
	Libc         string   // kind of the C library: "glibc", "musl" or "none" (needs none)
	LibcVersion  string   // version of the C library such as "2.36"; set only by Examine; a static program contains it only if it has threads
	LibcRelease  string   // the release name that the libc contains: "Debian GLIBC 2.36-9+deb12u14"
	Allocator    string   // the implementation of malloc: "glibc", "jemalloc", …, "musl", "go"
	Static       bool     // has no dynamic loader
	Go           bool     // built by Go's linker
	Cgo          bool     // a Go program with C code and a C library
	Mallopt      string   // the file (program or library) that calls mallopt(3); "" if none does; set only by Examine
	AtSecure     Answer   // whether the kernel sets AT_SECURE (man 3 getauxval) if this process starts the program

	CanCap Answer   // whether a cap can work; Quick returns No or Unknown, never Yes
	Why    []string // the reasons for CanCap, one sentence each
	Notes  []string // further facts for an operator
	Hints  []string // what to do instead
}

// Program is the file that the verdict is about: the last interpreter, else the server.
func (t Target) Program() string {
	if n := len(t.Interpreters); n > 0 {
		return t.Interpreters[n-1]
	}
	return t.Server
}

// Problem returns a one-line warning to print before a launch; "" if there is no problem. The warning says that the cap
// cannot arrive, or cannot work, or that it is unknown whether it arrives, then the first reason in Why, then the Hints on
// what to do instead.
func (t Target) Problem() string {
	why := ""
	switch {
	case t.CanCap == No && t.Arrives == No:
		why = "the cap cannot arrive, because "
	case t.CanCap == No:
		why = "the cap cannot work, because "
	case t.Arrives == Unknown && len(t.Why) > 0: // Why is empty if the program was not examined
		why = "it is unknown whether the cap arrives: "
	default:
		return ""
	}
	return why + strings.Join(append([]string{t.Why[0]}, t.Hints...), "; ")
}

// Glibc parses LibcVersion. It returns the unknown version for another libc. The release name "GNU libc", without a
// distribution's name, means the upstream release without patches, so Point is "0".
func (t Target) Glibc() glibc.Version {
	if t.Libc != "glibc" {
		return glibc.Version{}
	}
	v := glibc.Reported(t.LibcVersion, t.Bits)
	if v.Known() && t.LibcRelease == "GNU libc" {
		v.Point = cmp.Or(v.Point, "0")
	}
	return v
}

// since reports whether the version is known and at least 2.N, where N is the argument "minor".
func (t Target) since(minor int) bool { return t.Glibc().Known() && !t.Glibc().Before(minor) }

func (t *Target) why(format string, args ...any) { t.Why = append(t.Why, fmt.Sprintf(format, args...)) }
func (t *Target) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

func (t *Target) hint(hint string) {
	if hint != "" {
		t.Hints = append(t.Hints, hint)
	}
}
