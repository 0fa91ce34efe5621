package environ

// This file models what each version of glibc reads from an environment.

import (
	"math"
	"strings"

	"arenacap/launcher/environ/glibc"
)

// Setting holds the values of arena_max and arena_test that one glibc takes from an environment and from /etc/tunables.conf,
// and what makes that glibc ignore entries of the environment.
type Setting struct {
	Max, Test Value
	Secure    bool // glibc.rtld.enable_secure=1 is set (2.40 and later): glibc ignores the MALLOC_ variables
	Malformed bool // a GLIBC_TUNABLES with arena_max or arena_test is malformed: glibc 2.39 and later ignore all of it
}

// Value is glibc's value of arena_max or arena_test. OK is false if glibc uses its default.
type Value struct {
	N      uint64
	OK     bool
	From   string // source of the value: "environment" for a MALLOC_ variable, "tunables" for a tunable
	System bool   // set by /etc/tunables.conf
	Locked bool   // the environment cannot override the value

	// If OK is false: the entry that glibc rejected, as NAME=value.
	Refused  string
	Last     bool // an earlier, valid value does not count, because glibc 2.40 and later read only the last one
	KeepsOut bool // the entry is a tunable that makes glibc 2.44 and later ignore the variable
}

// SystemTunable is a line of /etc/tunables.conf, as ldconfig of glibc 2.44 and later writes it to the loader's cache.
type SystemTunable struct {
	Name   string
	N      uint64 // the number; 0 if the value is not a number
	Locked bool   // the environment cannot override this line
}

// Unlimited reports whether the value exceeds the number of 64 MiB heaps in a 47-bit address space. glibc 2.26 and later
// read "-1" as a number that large; 32-bit builds do so only from 2.39 on.
func (v Value) Unlimited() bool { return v.OK && v.N > 1<<21 }

// Effective models how a glibc of version v, started without AT_SECURE, reads its arena settings. An unknown version is
// treated as 2.26 to 2.38. The argument "system" has the lines of /etc/tunables.conf that apply to the program, in file
// order. Calls of mallopt(3) are not modelled.
//
// The model follows the versions that distributions ship. Upstream 2.25.0 used MALLOC_ARENA_MAX as MALLOC_ARENA_TEST, and
// 2.26.0 rejected every value. The release branches have fixed both since 2017 under the same version number (BZ 21338;
// cebcb9f864).
func Effective(env []string, v glibc.Version, system ...SystemTunable) Setting {
	if !v.Known() {
		v.Major, v.Minor = 2, 36
	}
	if v.Before(10) {
		return Setting{}
	}
	g := reader{v: v}
	for _, s := range system {
		g.setSystem(s)
	}
	for _, entry := range env {
		switch name, value := arenaVariable(entry); name {
		case maxName:
			g.max.setVariable(name, value, v)
		case testName:
			g.test.setVariable(name, value, v)
		case tunablesName:
			g.setTunables(value)
		}
	}
	return Setting{g.max.value(g.secure), g.test.value(g.secure), g.secure, g.malformed}
}

// reader is the state of __tunables_init (before 2.26: of ptmalloc_init).
type reader struct {
	v         glibc.Version
	max, test number
	secure    bool
	malformed bool
}

// number is one setting. 0 means not set: the smallest valid value is 1 (elf/dl-tunables.list, minval).
type number struct {
	tunable, variable uint64
	system            uint64 // the value in /etc/tunables.conf
	locked            bool   // /etc/tunables.conf locks it
	blocked           bool   // glibc 2.44 and later: a well-formed tunable, even out of range, hides the variable

	hasVariable               bool   // the variable is set, even if to an invalid value
	refused, refusedVar       string // the last rejected tunable and variable
	lostTunable, lostVariable bool   // a valid value does not count, because another follows
}

func (n number) value(secure bool) Value {
	switch {
	case n.locked:
	case n.tunable != 0:
		return Value{N: n.tunable, OK: true, From: "tunables"}
	case n.variable != 0 && !n.blocked && !secure:
		return Value{N: n.variable, OK: true, From: "environment"}
	}
	if n.system == 0 {
		return n.unset()
	}
	return Value{N: n.system, OK: true, From: "tunables", System: true, Locked: n.locked}
}

// unset returns a Value without a number. The Value names the entry that glibc rejected, if any.
func (n number) unset() Value {
	v := Value{Locked: n.locked, Refused: n.refusedVar, Last: n.lostVariable}
	if n.blocked || v.Refused == "" {
		v.Refused, v.Last, v.KeepsOut = n.refused, n.lostTunable, n.blocked && n.hasVariable
	}
	return v
}

// setSystem reads a line of /etc/tunables.conf. The last line for a tunable decides whether it is locked, even if the value
// is invalid (2.44: elf/dl-tunables.c, __tunables_init).
func (g *reader) setSystem(s SystemTunable) {
	n := &g.max
	switch {
	case g.v.Before(44) || s.Name != maxTunable && s.Name != testTunable:
		return
	case s.Name == testTunable:
		n = &g.test
	}
	if g.v.Bits32 {
		s.N = uint64(uint32(s.N))
	}
	if n.locked = s.Locked; s.N != 0 {
		n.system = s.N
	}
}

// setVariable reads one copy of a variable. glibc before 2.26 uses the last valid copy (it calls mallopt for each), 2.26 to
// 2.39 the first valid copy, 2.40 and later the last copy, valid or not.
func (n *number) setVariable(name, value string, v glibc.Version) {
	parsed, _ := parseNumber(value, v)
	n.hasVariable = true
	if parsed == 0 {
		n.refusedVar = name + "=" + value
	}
	switch {
	case v.Before(26) && parsed == 0:
	case v.Before(26), !v.Before(40), n.variable == 0:
		n.lostVariable = n.lostVariable || n.variable != 0
		n.variable = parsed
	}
}

// setTunable reads one item, unless a later item in the same GLIBC_TUNABLES supersedes it. A rejected value does not change
// an earlier one.
func (n *number) setTunable(it tunable, v glibc.Version, superseded bool) {
	parsed, ok := parseNumber(it.value, v)
	if superseded {
		n.lostTunable = n.lostTunable || parsed != 0
		return
	}
	if parsed != 0 {
		n.tunable = parsed
	} else {
		n.refused = it.name + "=" + it.value
	}
	if ok && !v.Before(44) {
		n.blocked = true
	}
}

// setTunables reads one copy of GLIBC_TUNABLES.
func (g *reader) setTunables(value string) {
	items := tunableItems(value, g.v)
	g.malformed = g.malformed || items == nil && !g.v.Before(26) && setsArenas(value)
	if !g.v.Before(40) {
		if n, _ := parseNumber(lastValue(items, "glibc.rtld.enable_secure"), g.v); n == 1 {
			g.secure = true
			return
		}
	}
	for i, it := range items {
		superseded := !g.v.Before(40) && lastIndex(items, it.name) != i // BZ 31686: only the last item of a tunable counts
		switch it.name {
		case maxTunable:
			g.max.setTunable(it, g.v, superseded)
		case testTunable:
			g.test.setTunable(it, g.v, superseded)
		}
	}
}

// tunable is one item of GLIBC_TUNABLES.
type tunable struct{ name, value string }

// tunableItems returns the items that glibc parses from a value of GLIBC_TUNABLES, unknown names included: none before
// 2.26, and none in 2.39 and later if the value is malformed.
func tunableItems(value string, v glibc.Version) []tunable {
	if value == "" || v.Before(26) {
		return nil
	}
	var items []tunable
	last := false
	for item := range strings.SplitSeq(value, ":") {
		var it tunable
		it.name, it.value, last = strings.Cut(item, "=")
		if last {
			items = append(items, it)
		}
		if !v.Before(39) && strings.Contains(it.value, "=") {
			return nil
		}
	}
	if !v.Before(39) && !last {
		return nil
	}
	return items
}

func lastIndex(items []tunable, name string) int {
	for i := len(items) - 1; i >= 0; i-- {
		if items[i].name == name {
			return i
		}
	}
	return -1
}

func lastValue(items []tunable, name string) string {
	if i := lastIndex(items, name); i >= 0 {
		return items[i].value
	}
	return ""
}

// parseNumber reads a SIZE_T value with a minimum of 1. n is 0 if glibc rejects the value. If glibc 2.39 or later
// rejects it, ok is false because of its syntax, and true because of its range.
func parseNumber(s string, v glibc.Version) (n uint64, ok bool) {
	if v.Before(26) {
		if i := atoi(s, v.Bits32); i > 0 {
			return uint64(i), true
		}
		return 0, false
	}
	n, rest := strtoul(s)
	if !v.Before(39) && rest != "" {
		return 0, false
	}
	if v.Bits32 && v.Before(39) && n > math.MaxUint32 { // 2.39 and later cast the number to size_t instead
		return 0, true
	}
	if v.Bits32 {
		n = uint64(uint32(n))
	}
	return n, true
}

// strtoul is _dl_strtoul (elf/dl-misc.c): it skips spaces and tabs, takes a sign, then reads 0x… as hexadecimal, 0… as
// octal, else decimal. A minus negates modulo 2^64. If the number exceeds 2^64-1, the number is 2^64-1, and the remaining
// text begins with the digit that overflows.
func strtoul(s string) (n uint64, rest string) {
	s = strings.TrimLeft(s, " \t")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	base := uint64(10)
	switch {
	case s == "" || s[0] < '0' || s[0] > '9':
		return 0, s
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		base, s = 16, s[2:]
	case s[0] == '0':
		base = 8
	}
	for s != "" {
		digit := digitOf(s[0])
		if digit >= base {
			break
		}
		if n > (math.MaxUint64-digit)/base {
			return math.MaxUint64, s
		}
		n, s = n*base+digit, s[1:]
	}
	if negative {
		n = -n
	}
	return n, s
}

func digitOf(c byte) uint64 {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0')
	case c >= 'a' && c <= 'f':
		return uint64(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return uint64(c-'A') + 10
	}
	return math.MaxUint64
}

// atoi is glibc's atoi(3): strtol in base 10, which saturates at the limits of long, truncated to int.
func atoi(s string, bits32 bool) int32 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	most := uint64(math.MaxInt64)
	if bits32 {
		most = math.MaxInt32
	}
	if negative {
		most++
	}
	n := uint64(0)
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		digit := uint64(s[i] - '0')
		if n > (most-digit)/10 {
			n = most
			break
		}
		n = n*10 + digit
	}
	if negative {
		n = -n
	}
	return int32(n)
}
