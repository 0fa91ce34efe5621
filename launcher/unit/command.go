package unit

// The commands of ExecStart=: how they are written, and the same with arenacap in front.

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"arenacap/launcher/target"
)

// command is one command of an ExecStart= line, as it was written.
type command struct {
	prefix  string // the characters in front of the program that mean something, "@" included
	program word   // without them
	name    string // the program's, with the specifiers replaced
	known   bool   // they are; of some only systemd knows the value
	argv0   *word  // behind "@": what the program gets as its zeroth argument
	args    []word
	tail    string // the text of args
	text    string // all of it
	from    setting
}

// parseCommands reads a value of ExecStart= (systemd.service(5), "COMMAND LINES"; v252: src/core/load-fragment.c,
// config_parse_exec). Format:
//
//	[-@:+!|]PROGRAM [ARGV0] [ARG…] [; COMMAND…]
//
// Only a ";" that is a whole word, without quotes, ends a command; "\;" is an argument. At a mistake systemd refuses the
// unit; with "-", or within the first word, it only ignores the rest of the line, and the remark says so.
func (u Unit) parseCommands(s setting) (all []command, remark string, err error) {
	for rest := s.value; rest != ""; {
		c, after, err := u.parseCommand(rest)
		if err != nil {
			err = fmt.Errorf("%s: ExecStart=%.200s: %w", s.place(), s.value, err)
			if c == nil || strings.Contains(c.prefix, "-") {
				return all, err.Error() + "; systemd ignores that command and what follows it in the line", nil
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

// parseCommand reads up to the end or behind a ";". There is no command before a second ";", and none with an error
// in the first word.
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
	start := end // of the arguments, in the text
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

// check refuses what systemd refuses.
func (c command) check() error {
	name := c.name
	switch {
	case name == "" && c.viaShell():
		return nil
	case name == "":
		return errors.New("no program is named")
	case strings.ContainsFunc(name, special):
		return fmt.Errorf("the program's name %q has special characters", name)
	case strings.HasSuffix(name, "/"):
		return fmt.Errorf("%q is a directory, not a program", name)
	case name[0] != '/' && (strings.Contains(name, "/") || name == "." || name == ".."):
		return fmt.Errorf("%q is neither a name nor an absolute path", name)
	case c.named() && c.argv0 == nil:
		return errors.New(`"@" takes a second word, and there is none`)
	}
	return nil
}

// boxed reports whether the unit's sandbox is around a command.
func (c command) boxed() bool { return !strings.Contains(c.prefix, "+") }

// named reports whether the second word is argv[0]. Beside "|", "@" asks for a login shell instead (systemd 258).
func (c command) named() bool { return strings.Contains(c.prefix, "@") && !c.viaShell() }

func (c command) viaShell() bool { return strings.Contains(c.prefix, "|") }

// literal reports whether systemd replaces no variables.
func (c command) literal() bool { return strings.Contains(c.prefix, ":") }

// prefixOf is the run of special characters in front of a program: each once, and only one of "+", "!" and "!!".
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

// behind is the command with another one in front of it: its program and its flags become the first words, the
// program that stood there is an argument. In that place systemd replaces variables, so a "$" is doubled.
func (c command) behind(own string, flags []string) string {
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

// asArgument is the program's word in that place, where ";" would end the command.
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

// inFront reports whether arenacap stands in front of the program already.
func (c command) inFront() bool {
	return len(c.args) > 0 && strings.HasPrefix(path.Base(c.program.value), "arenacap") ||
		slices.ContainsFunc(c.args, func(a word) bool {
			return strings.Contains(a.value, "arenacap run ") // sh -c 'exec arenacap run …'
		})
}

// argv is the command line that systemd gives the program, with what only it knows left open.
func (u Unit) argv(c command) []string {
	words := []string{c.name}
	for _, a := range c.args {
		value, known, _ := u.expand(a.value)
		if !known {
			value = a.value
		}
		words = append(words, given(value, !known))
	}
	return words
}

// given leaves open what systemd replaces in an argument: "${NAME}", a whole word "$NAME" and, where they were not replaced
// before, specifiers.
func given(value string, specifiers bool) string {
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
