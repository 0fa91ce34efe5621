// Package environ turns an environment and a plan into the environment of the target.
//
// Three variables set arenas: MALLOC_ARENA_MAX, MALLOC_ARENA_TEST and, since glibc 2.26, GLIBC_TUNABLES, whose
// glibc.malloc.arena_max and glibc.malloc.arena_test take precedence over the first two. No glibc reads an entry without
// "=", so such an entry is not changed. Package glibc has the limits of each version.
//
// The functions are pure: they take environments as lists of NAME=value, as execve(2) does, and neither read nor change
// the environment of this process. Entries of variables other than these three keep their bytes and their order,
// including duplicates, entries without "=", empty names and invalid UTF-8.
package environ

import (
	"strings"

	"arenacap/policy"
	"arenacap/policy/text"
)

const (
	maxName      = "MALLOC_ARENA_MAX"
	testName     = "MALLOC_ARENA_TEST"
	tunablesName = "GLIBC_TUNABLES"

	// These are names in GLIBC_TUNABLES. glibc compares them exactly, blanks included (elf/dl-tunables.h, tunable_is_name).
	maxTunable  = "glibc.malloc.arena_max"
	testTunable = "glibc.malloc.arena_test"
)

// Inherited reads the arena settings of an environment. A valid value is a decimal from 0 to policy.MaxCap; other values
// are listed in Invalid. An empty value is not listed, because every glibc treats it as not set, and because an empty value
// is used where a variable cannot be unset.
//
// A tunable takes precedence over its variable. Of several copies, the last valid tunable and the first valid variable
// count, as in glibc 2.26 to 2.39 and getenv(3) (2.10 to 2.25 use the last valid variable; 2.40 and later use the last
// variable, even if it is invalid). A tunable counts even in a GLIBC_TUNABLES that glibc 2.39 and later ignore as
// malformed, because it shows what was intended.
func Inherited(env []string) policy.Inherited {
	var in policy.Inherited
	var max, test, tunedMax, tunedTest wish
	for _, entry := range env {
		switch name, value := arenaVariable(entry); name {
		case maxName:
			in.Invalid = max.read(in.Invalid, name, value, !max.ok)
		case testName:
			in.Invalid = test.read(in.Invalid, name, value, !test.ok)
		case tunablesName:
			for item := range strings.SplitSeq(value, ":") {
				switch name, value, _ := strings.Cut(item, "="); name {
				case maxTunable:
					in.Invalid = tunedMax.read(in.Invalid, name, value, true)
				case testTunable:
					in.Invalid = tunedTest.read(in.Invalid, name, value, true)
				}
			}
		}
	}
	in.Max, in.MaxOK, in.MaxFrom = max.n, max.ok, "$"+maxName
	if tunedMax.ok {
		in.Max, in.MaxOK, in.MaxFrom = tunedMax.n, true, "$"+tunablesName
	}
	if !in.MaxOK {
		in.MaxFrom = ""
	}
	in.Test, in.TestOK = test.n, test.ok
	if tunedTest.ok {
		in.Test, in.TestOK = tunedTest.n, true
	}
	return in
}

// wish is the value of a setting; ok is false if no valid value was found.
type wish struct {
	n  int
	ok bool
}

// read parses the value of one copy of a variable or tunable. It stores a valid value if "counts" is true, that is, if this
// copy takes precedence over the earlier copies. It appends an invalid value to the list.
func (w *wish) read(invalid []string, name, value string, counts bool) []string {
	n, ok := text.Decimal(value)
	switch {
	case ok && counts:
		*w = wish{n, true}
	case !ok && value != "":
		return append(invalid, name+"="+value)
	}
	return invalid
}

// arenaVariable splits an entry of one of the three arena variables; name is "" for all other entries.
func arenaVariable(entry string) (name, value string) {
	if entry == "" || entry[0] != 'M' && entry[0] != 'G' {
		return "", ""
	}
	name, value, ok := strings.Cut(entry, "=")
	if !ok || name != maxName && name != testName && name != tunablesName {
		return "", ""
	}
	return name, value
}
