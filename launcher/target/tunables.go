package target

import (
	"strconv"
	"strings"
)

// enablesSecure reports whether GLIBC_TUNABLES holds glibc.rtld.enable_secure=1, which glibc 2.40 and later
// take as an order to run as if AT_SECURE were set: the MALLOC_ variables are then ignored. Of several
// settings the last counts. A string that is malformed (an item with two "=", a last item with none) is
// ignored as a whole since 2.39 (glibc: elf/dl-tunables.c, parse_tunables_string).
func enablesSecure(env []string) bool {
	on := false
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "GLIBC_TUNABLES="); ok {
			if n, ok := lastTunable(value, "glibc.rtld.enable_secure"); ok {
				on = n == 1
			}
		}
	}
	return on
}

// lastTunable is the number that a well-formed string of tunables sets one of them to.
func lastTunable(tunables, name string) (n int64, ok bool) {
	items := strings.Split(tunables, ":")
	for i, item := range items {
		equals := strings.Count(item, "=")
		if equals > 1 || equals == 0 && i == len(items)-1 {
			return 0, false
		}
		if value, is := strings.CutPrefix(item, name+"="); is {
			if v, err := strconv.ParseInt(strings.TrimLeft(value, " \t"), 0, 32); err == nil {
				n, ok = v, true
			}
		}
	}
	return n, ok
}

// confLine is one tunable of /etc/tunables.conf.
type confLine struct {
	number     int // of the line, from 1
	text       string
	name       string
	value      string
	locked     bool   // the environment does not override it
	secureOnly bool   // for AT_SECURE programs alone
	proc       string // the program it is for, a path or a base name; "" is every program
}

// parseTunablesConf reads /etc/tunables.conf (man 5 tunables.conf; glibc since 2.44: elf/tunconf.c). A line:
//
//	[MODIFIER…] NAME = VALUE, or a filter, or "include PATTERN", or "# comment"
//
// A modifier is a word with a blank behind it or its sign: overridable +, nonoverridable -, onlysecure @,
// nonsecure $ (the default), anysecure *. A filter [proc:PROGRAM] holds to the end of the file or the next
// filter; [] ends it. What glibc's ldconfig calls a syntax error is skipped here as it is there.
func parseTunablesConf(text string) (tunables []confLine, includes []string) {
	proc, number := "", 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if patterns, ok := strings.CutPrefix(line, "include"); ok && patterns != strings.TrimLeft(patterns, " \t") {
			includes = append(includes, strings.Fields(patterns)...)
			proc = "" // a filter ends where another file begins
			continue
		}
		l := confLine{number: number, text: line, proc: proc}
		rest := l.modifiers(line)
		if strings.HasPrefix(rest, "[") {
			proc = procFilter(rest, proc)
			continue
		}
		name, value, ok := strings.Cut(rest, "=")
		l.name, l.value = strings.TrimSpace(name), strings.TrimSpace(value)
		if ok && l.name != "" && l.value != "" {
			tunables = append(tunables, l)
		}
	}
	return tunables, includes
}

// modifiers takes the modifiers off a line.
func (l *confLine) modifiers(line string) string {
	for line != "" {
		word, rest, _ := strings.Cut(line, " ")
		sign := line[0]
		switch {
		case word == "overridable" || word == "nonoverridable" || word == "onlysecure" || word == "nonsecure" || word == "anysecure":
			l.modify(word)
			line = rest
		case sign == '+' || sign == '-' || sign == '@' || sign == '$' || sign == '*':
			l.modify(string(sign))
			line = line[1:]
		case sign == ' ' || sign == '\t':
			line = line[1:]
		default:
			return line
		}
	}
	return line
}

func (l *confLine) modify(word string) {
	switch word {
	case "overridable", "+":
		l.locked = false
	case "nonoverridable", "-":
		l.locked = true
	default:
		l.secureOnly = word == "onlysecure" || word == "@"
	}
}

// procFilter is the filter after a line in brackets; one that is not understood changes nothing.
func procFilter(line, before string) string {
	inside, _, closed := strings.Cut(line[1:], "]")
	proc, isProc := strings.CutPrefix(inside, "proc:")
	switch {
	case !closed:
		return before
	case inside == "":
		return ""
	case isProc:
		return proc
	}
	return before
}

// covers reports whether the line is for the program at a path.
func (l confLine) covers(program string) bool {
	switch {
	case l.proc == "":
		return true
	case strings.HasPrefix(l.proc, "/"):
		return l.proc == program
	}
	return l.proc == program[strings.LastIndexByte(program, '/')+1:]
}
