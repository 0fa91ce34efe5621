// Package environ turns an environment and a plan into the environment of the target.
//
// It is pure: environments are lists of NAME=value as execve(2) takes them, and nothing here reads or
// changes the environment of the process. Every entry that is not about arenas stays byte for byte and in
// its place: duplicates, entries without "=", empty names and invalid UTF-8 included.
//
// Three variables are about arenas: MALLOC_ARENA_MAX, MALLOC_ARENA_TEST and, since glibc 2.26,
// GLIBC_TUNABLES, whose glibc.malloc.arena_max and glibc.malloc.arena_test beat the other two. An entry
// without "=" sets nothing in any glibc and is left alone.
package environ

import (
	"strconv"
	"strings"

	"arenacap/policy"
)

const (
	maxName      = "MALLOC_ARENA_MAX"
	testName     = "MALLOC_ARENA_TEST"
	tunablesName = "GLIBC_TUNABLES"

	// As they stand in GLIBC_TUNABLES; glibc compares names exactly, blanks included (elf/dl-tunables.h,
	// tunable_is_name).
	maxTunable  = "glibc.malloc.arena_max"
	testTunable = "glibc.malloc.arena_test"
)

// Inherited reads what the environment already asks for. A value is valid as a decimal from 0 to
// policy.MaxCap; others are listed in Invalid, but for an empty one, which every glibc takes as not set
// and which stands for a removal where a variable cannot be unset.
//
// A tunable comes before the variable of the same meaning. Where one stands several times, the last valid
// one counts for a tunable, and the first valid one for a variable: glibc 2.26 to 2.39 and getenv(3) read
// it so (2.10 to 2.25 take the last valid one, 2.40 and later the last). A tunable counts also in a
// GLIBC_TUNABLES that glibc 2.39 would find malformed and ignore: what was asked for is plain to see.
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

// wish is a valid value that was found.
type wish struct {
	n  int
	ok bool
}

// read takes a valid value if it counts, and adds one that is not valid to the list.
func (w *wish) read(invalid []string, name, value string, counts bool) []string {
	n, ok := decimal(value)
	switch {
	case ok && counts:
		*w = wish{n, true}
	case !ok && value != "":
		return append(invalid, name+"="+value)
	}
	return invalid
}

// decimal reads plain decimal digits, 0 to policy.MaxCap: the one form that means the same in every glibc
// ("010" is ten before 2.26 and eight from then on).
func decimal(s string) (int, bool) {
	if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n <= policy.MaxCap
}

// arenaVariable splits an entry of one of the three variables that are about arenas; name is "" for every
// other entry.
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
