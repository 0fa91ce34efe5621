package environ

import (
	"math"
	"strings"
)

// Setting is what a glibc takes out of an environment by itself.
type Setting struct {
	Max, Test Value
	Secure    bool // glibc.rtld.enable_secure=1 (2.40 and later): the variables do not count
	Malformed bool // a GLIBC_TUNABLES that has one of the two is void as a whole (2.39 and later)
}

// Value is arena_max or arena_test as glibc holds it. OK is false where glibc has its default.
type Value struct {
	N      uint64
	OK     bool
	From   string // "environment" or "tunables"
	System bool   // the tunable is the system's
	Locked bool   // the environment cannot change it

	// Where OK is false: the entry that glibc did not take, as NAME=value, and whether it is one of several, of which
	// glibc takes the last, or a tunable that kept the variable out (2.44).
	Refused        string
	Last, KeepsOut bool
}

// SystemTunable is a line of /etc/tunables.conf, as ldconfig of glibc 2.44 and later has it in the loader's cache.
type SystemTunable struct {
	Name   string
	N      uint64 // 0 where it is no number
	Locked bool   // the environment does not override it
}

// Unlimited reports whether the value is larger than the number of 64 MiB heaps that 47 bits of address
// space hold. "-1" is such a value since glibc 2.26.
func (v Value) Unlimited() bool { return v.OK && v.N > 1<<21 }

// Effective models how a glibc of that version, started without AT_SECURE, reads its arena settings. A
// version that is not known counts as one of 2.26 to 2.38. system are the lines of /etc/tunables.conf that are for
// the program, in their order. It does not know mallopt(3).
//
// Versions are as released by the distributions: upstream 2.25.0 took MALLOC_ARENA_MAX for MALLOC_ARENA_TEST
// and 2.26.0 took no value at all, which their branches have fixed since 2017 (BZ 21338; cebcb9f864) under
// the same version number.
func Effective(env []string, v GlibcVersion, system ...SystemTunable) Setting {
	if !v.Known() {
		v.Major, v.Minor = 2, 36
	}
	if v.Before(10) {
		return Setting{}
	}
	g := glibc{v: v}
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

// glibc is the state of __tunables_init, and of ptmalloc_init before 2.26.
type glibc struct {
	v         GlibcVersion
	max, test number
	secure    bool
	malformed bool
}

// number is one setting; 0 is not set, since the least valid value is 1 (elf/dl-tunables.list, minval).
type number struct {
	tunable, variable uint64
	system            uint64 // of /etc/tunables.conf
	locked            bool   // by it
	blocked           bool   // 2.44: a well-formed tunable that is out of range keeps the variable out

	variables, tunables int    // how many there are
	refused, refusedVar string // the last of each that came to nothing
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

// unset says what was asked for in vain.
func (n number) unset() Value {
	v := Value{Locked: n.locked, Refused: n.refusedVar, Last: n.variables > 1}
	if n.blocked || v.Refused == "" {
		v.Refused, v.Last, v.KeepsOut = n.refused, n.tunables > 1, n.blocked && n.variables > 0
	}
	return v
}

// setSystem reads a line of /etc/tunables.conf: it is locked or not as the last one says, whatever its value
// (2.44: elf/dl-tunables.c, __tunables_init).
func (g *glibc) setSystem(s SystemTunable) {
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

// setVariable reads one copy of a variable. The last valid copy counts before 2.26 (mallopt is called for
// each), the first valid one up to 2.39, and from 2.40 on the last one, valid or not.
func (n *number) setVariable(name, value string, v GlibcVersion) {
	parsed, _ := parseNumber(value, v)
	n.variables++
	if parsed == 0 {
		n.refusedVar = name + "=" + value
	}
	switch {
	case v.Before(26) && parsed == 0:
	case v.Before(26), !v.Before(40), n.variable == 0:
		n.variable = parsed
	}
}

// setTunable reads one item, unless a later one of the same value takes its place. A value that is refused leaves an
// earlier one standing.
func (n *number) setTunable(it tunable, v GlibcVersion, superseded bool) {
	if n.tunables++; superseded {
		return
	}
	parsed, ok := parseNumber(it.value, v)
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
func (g *glibc) setTunables(value string) {
	items := tunableItems(value, g.v)
	g.malformed = g.malformed || items == nil && !g.v.Before(26) && setsArenas(value)
	if !g.v.Before(40) {
		if n, _ := parseNumber(lastValue(items, "glibc.rtld.enable_secure"), g.v); n == 1 {
			g.secure = true
			return
		}
	}
	for i, it := range items {
		superseded := !g.v.Before(40) && lastIndex(items, it.name) != i // BZ 31686: one value for each tunable
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

// tunableItems are the items that glibc sees in a value of GLIBC_TUNABLES, whether it knows them or not:
// none before 2.26, and none from 2.39 on where the value is malformed.
func tunableItems(value string, v GlibcVersion) []tunable {
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

// parseNumber reads a value of SIZE_T with a minimum of 1: n is 0 where glibc refuses it, and ok is false
// where that is for its form and not its range.
func parseNumber(s string, v GlibcVersion) (n uint64, ok bool) {
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
	if v.Bits32 && v.Before(39) && n > math.MaxUint32 { // compared as 64 bits, but cast to size_t since 2.39
		return 0, true
	}
	if v.Bits32 {
		n = uint64(uint32(n))
	}
	return n, true
}

// strtoul is _dl_strtoul (elf/dl-misc.c): blanks and tabs, a sign, then 0x… is hexadecimal, 0… octal, else
// decimal. A minus negates modulo 2^64; over 2^64-1 it saturates and stops at the digit that was too much.
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

// atoi is glibc's: strtol in base ten, which saturates at the ends of long, cut to an int.
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
