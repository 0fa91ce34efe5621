// Package target says what is about to run, and whether a cap on glibc's arenas can work on it.
//
// Find resolves a program's name as execvp(3) does. Quick judges with a few header reads, for every launch;
// Examine follows all libraries as the dynamic loader would, for a person who asks. Nothing is ever run.
// What was found stands in a Target; the verdict follows from it in verdict.go.
//
// What is judged is the server: the program behind the carriers (env, sudo, sh -c; carriers.go has the table) and the
// scripts in front of it. A shell script is followed where it executes one program that is plain to see, else its shell is
// judged, and what the script does to the cap's variables.
//
// Known limits: libraries that the program opens while it runs (dlopen), environment variables that it changes before
// an exec of its own, transitions of security modules, and handlers of binfmt_misc are not seen.
package target

import (
	"cmp"
	"fmt"
	"strings"

	"arenacap/launcher/environ"
)

// Answer is yes, no or not known; the zero value is not known.
type Answer int8

// The answers.
const (
	Unknown Answer = iota
	No
	Yes
)

// String gives "yes", "no" or "unknown".
func (a Answer) String() string {
	return [...]string{"unknown", "no", "yes"}[a]
}

// MarshalJSON gives true, false or null.
func (a Answer) MarshalJSON() ([]byte, error) {
	return []byte([...]string{"null", "false", "true"}[a]), nil
}

func answer(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

// Target is what was found about a program. Text that is not known is "".
type Target struct {
	Path         string   // what is handed to the exec
	Chain        []Link   // the carriers from Path to the server
	Server       string   // the program at their end, Path itself where there are none; "" is not known
	User         string   // whom a carrier runs it as; "" is not said
	Arrives      Answer   // whether the environment of the launch reaches it, so far as its cap goes
	Interpreters []string // of #! lines, in the order in which they are started; what env(1) finds is one more
	Bits         int      // 32 or 64; 0 is not known
	Mapped       uint64   // bytes of address space that the program and its libraries take at least; known to Examine only
	Libc         string   // "glibc", "musl", "none" (needs no C library)
	LibcVersion  string   // "2.36"; known to Examine only, and of a static program where it has threads
	LibcRelease  string   // as the libc names itself: "Debian GLIBC 2.36-9+deb12u14"
	Allocator    string   // whose malloc is called: "glibc", "jemalloc", …, "musl", "go"
	Static       bool     // no dynamic loader is involved
	Go           bool     // built by Go's linker
	Cgo          bool     // Go with C code and a C library in it
	Mallopt      string   // the file of the program or its libraries that calls mallopt(3); "" is none, known to Examine only
	AtSecure     Answer   // the kernel will set AT_SECURE (man 3 getauxval), if this process starts it

	CanCap Answer   // Quick says No or Unknown, never Yes
	Why    []string // what CanCap follows from, a sentence each
	Notes  []string // what else an operator should know
	Hints  []string // what to set or to do instead
}

// Program is the file that the verdict is about: the last interpreter, or the server itself.
func (t Target) Program() string {
	if n := len(t.Interpreters); n > 0 {
		return t.Interpreters[n-1]
	}
	return t.Server
}

// Problem is what to say before a launch, on one line: that the cap cannot arrive or work and what to do instead, or that
// nobody can know whether it arrives. "" is nothing.
func (t Target) Problem() string {
	why := ""
	switch {
	case t.CanCap == No && t.Arrives == No:
		why = "the cap cannot arrive, because "
	case t.CanCap == No:
		why = "the cap cannot work, because "
	case t.Arrives == Unknown && len(t.Why) > 0: // not a program that was not looked at
		why = "whether the cap arrives is not known: "
	default:
		return ""
	}
	return why + strings.Join(append([]string{t.Why[0]}, t.Hints...), "; ")
}

// Glibc is LibcVersion; it is not known where the libc is another one. What names no distribution is upstream's release
// as it came.
func (t Target) Glibc() environ.GlibcVersion {
	if t.Libc != "glibc" {
		return environ.GlibcVersion{}
	}
	v := environ.Glibc(t.LibcVersion, t.Bits)
	if v.Known() && t.LibcRelease == "GNU libc" {
		v.Point = cmp.Or(v.Point, "0")
	}
	return v
}

// since reports whether the version is known and at least 2.minor.
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
