package unit

// This file parses the commands of ExecStart= and rewrites them with arenacap in front.

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"arenacap/launcher/target"
)

// command is one command of an ExecStart= line.
type command struct {
	prefix  string // the special characters before the program, "@" included
	program word   // the word with the program, without the prefix
	name    string // the program's name with specifiers replaced
	known   bool   // all specifiers in the name were replaced; false if only systemd knows the value of one
	argv0   *word  // the program's argv[0], if the prefix has "@"
	args    []word
	tail    string // source text of args
	text    string // source text of the command
	from    setting
}

// parseCommands reads a value of ExecStart= (systemd.service(5), "COMMAND LINES"; v252: src/core/load-fragment.c,
// config_parse_exec). Format:
//
//	[-@:+!|]PROGRAM [ARGV0] [ARG…] [; COMMAND…]
//
// Only an unquoted ";" that is a whole word ends a command; "\;" is an argument. At a syntax error systemd rejects
// the unit. If the command has the prefix "-", or if the error is within the first word, systemd ignores only this
// command and the rest of the line; remark says so.
func (u Unit) parseCommands(s setting) (all []command, remark string, err error) {
	for rest := s.value; rest != ""; {
		c, after, err := u.parseCommand(rest)
		if err != nil {
			err = fmt.Errorf("%s: ExecStart=%.200s: %w", s.place(), s.value, err)
			if c == nil || strings.Contains(c.prefix, "-") {
				return all, err.Error() + "; systemd ignores that command and the rest of the line", nil
			}
			return nil, "", err
		}
		if rest = after; c != nil {
			c.from = s
			all = append(all, *c)
		}
	}
	return all, "", nil
}

// parseCommand reads one command and the ";" after it. c is nil if there is no command between two ";", or if the first
// word has a syntax error.
func (u Unit) parseCommand(s string) (c *command, rest string, err error) {
	first, rest, err := cutWord(s)
	if err != nil || first.value == ";" || first.raw == "" {
		return nil, rest, err
	}
	c = &command{prefix: prefixOf(first.value)}
	c.program = word{dropFirst(first.raw, len(c.prefix)), first.value[len(c.prefix):]}
	if c.name, c.known, err = u.expand(c.program.value); err != nil {
		return c, "", err
	}
	begin := strings.Index(s, first.raw)
	end := begin + len(first.raw)
	start := end // offset of the arguments in s
	for rest != "" {
		if after, ok := cutToken(rest, ";"); ok {
			rest = after
			break
		}
		w, after, err := cutArgument(rest)
		if err == nil {
			_, _, err = u.expand(w.value)
		}
		if err != nil {
			return c, "", err
		}
		at := len(s) - len(rest)
		rest = after
		end = at + len(w.raw)
		if c.named() && c.argv0 == nil {
			c.argv0, start = &w, end
			continue
		}
		if len(c.args) == 0 {
			start = at
		}
		c.args = append(c.args, w)
	}
	c.tail, c.text = s[start:end], s[begin:end]
	return c, rest, c.check()
}

func cutArgument(s string) (w word, rest string, err error) {
	if rest, ok := cutToken(s, `\;`); ok {
		return word{`\;`, ";"}, rest, nil
	}
	return cutWord(s)
}

// check rejects the commands that systemd rejects.
func (c command) check() error {
	name := c.name
	switch {
	case name == "" && c.viaShell():
		return nil
	case name == "":
		return errors.New("the command has no program")
	case strings.ContainsFunc(name, special):
		return fmt.Errorf("the program's name %q contains control characters, quotes or backslashes", name)
	case strings.HasSuffix(name, "/"):
		return fmt.Errorf("%q is a directory, not a program", name)
	case name[0] != '/' && (strings.Contains(name, "/") || name == "." || name == ".."):
		return fmt.Errorf("%q is neither a name nor an absolute path; write an absolute path", name)
	case c.named() && c.argv0 == nil:
		return errors.New(`the prefix "@" needs a second word, which becomes argv[0]`)
	}
	return nil
}

// boxed reports whether a command runs in the unit's sandbox. The prefix "+" takes it out.
func (c command) boxed() bool { return !strings.Contains(c.prefix, "+") }

// named reports whether the second word is argv[0]. With the prefix "|", "@" means a login shell instead (systemd 258).
func (c command) named() bool { return strings.Contains(c.prefix, "@") && !c.viaShell() }

func (c command) viaShell() bool { return strings.Contains(c.prefix, "|") }

// literal reports whether systemd leaves variables in the command unchanged (prefix ":").
func (c command) literal() bool { return strings.Contains(c.prefix, ":") }

// prefixOf returns the special characters before a program: each at most once, and only one of "+", "!" and "!!".
func prefixOf(s string) string {
	for n := range len(s) {
		if !isPrefix(s[:n+1]) {
			return s[:n]
		}
	}
	return s
}

func isPrefix(s string) bool {
	for _, c := range "-@:|+" {
		if strings.Count(s, string(c)) > 1 {
			return false
		}
	}
	marks := strings.Count(s, "!")
	return strings.Trim(s, "-@:|+!") == "" && marks <= 2 && (marks == 0 || !strings.Contains(s, "+"))
}

// withArenacap returns the command with arenacap and its flags in front; the argument "own" is the path of arenacap.
// The program becomes an argument. systemd replaces variables in arguments, so a "$" in the program's name is doubled.
func (c command) withArenacap(own string, flags []string) string {
	prefix := c.prefix
	words := make([]string, 0, len(flags)+5)
	for _, f := range flags {
		words = append(words, quote(f, !c.literal()))
	}
	if c.argv0 != nil {
		prefix = strings.ReplaceAll(prefix, "@", "")
		words = append(words, "--argv0", c.argv0.raw)
	}
	words = append(words, "--", c.asArgument())
	if c.tail != "" {
		words = append(words, c.tail)
	}
	return closed(prefix + quote(own, false) + " run " + strings.Join(words, " "))
}

// asArgument returns the program's word as an argument. A program named ";" is quoted, because a bare ";" among the
// arguments would end the command.
func (c command) asArgument() string {
	if c.program.raw == ";" || c.program.raw == `\;` {
		return `"` + c.program.raw + `"`
	}
	if c.literal() || !strings.Contains(c.program.value, "$") {
		return c.program.raw
	}
	return rewrite(c.program.raw, func(value, written string) string {
		if value == "$" {
			return written + written
		}
		return written
	})
}

// inFront reports whether the command already starts its program through arenacap, directly or behind a carrier such
// as sudo.
func (c command) inFront() bool {
	words := []string{c.program.value}
	for _, a := range c.args {
		words = append(words, a.value)
	}
	return target.StartsArenacap(words) ||
		slices.ContainsFunc(c.args, func(a word) bool {
			return strings.Contains(a.value, "arenacap run ") // sh -c 'exec arenacap run …'
		})
}

// argv is the command line that systemd gives the program. target.Opaque stands for values that only systemd knows.
func (u Unit) argv(c command) []string {
	words := []string{c.name}
	for _, a := range c.args {
		value, known, _ := u.expand(a.value)
		if !known {
			value = a.value
		}
		words = append(words, maskUnknown(value, !known))
	}
	return words
}

// maskUnknown puts target.Opaque in the place of each part of an argument whose value only systemd knows: "${NAME}", a
// whole word "$NAME" and, if the argument "specifiers" is true, specifiers.
func maskUnknown(value string, specifiers bool) string {
	if splits(value) {
		return target.Opaque
	}
	var b strings.Builder
	for value != "" {
		size, text := 1, value[:1]
		switch {
		case strings.HasPrefix(value, "$$"), specifiers && strings.HasPrefix(value, "%%"):
			size = 2
		case specifiers && value[0] == '%' && len(value) > 1:
			size, text = 2, target.Opaque
		case strings.HasPrefix(value, "${"):
			size, text = max(2, strings.IndexByte(value, '}')+1), target.Opaque
		}
		b.WriteString(text)
		value = value[size:]
	}
	return b.String()
}
