package unit

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Command is one command of an ExecStart= line, as it was written.
type Command struct {
	prefix  string // the characters in front of the program that mean something, "@" included
	program word   // without them
	argv0   *word  // behind "@": what the program gets as its zeroth argument
	args    []word
	tail    string // the text of args
	text    string // all of it
	from    setting
}

// word is one word of a command line: what is written, and what it says without quotes and escapes. Specifiers and
// variables in it are not replaced.
type word struct{ raw, value string }

// parseCommands reads a value of ExecStart= (systemd.service(5), "COMMAND LINES"; v252: src/core/load-fragment.c,
// config_parse_exec). Format:
//
//	[-@:+!|]PROGRAM [ARGV0] [ARG…] [; COMMAND…]
//
// Only a ";" that is a whole word, without quotes, ends a command; "\;" is an argument. At a mistake systemd refuses the
// unit; with "-", or within the first word, it only ignores the rest of the line, and the remark says so.
func parseCommands(s setting) (all []Command, remark string, err error) {
	for rest := s.value; rest != ""; {
		c, after, err := parseCommand(rest)
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
func parseCommand(s string) (c *Command, rest string, err error) {
	first, rest, err := cutWord(s)
	if err != nil || first.value == ";" || first.raw == "" {
		return nil, rest, err
	}
	c = &Command{prefix: prefixOf(first.value)}
	c.program = word{dropFirst(first.raw, len(c.prefix)), first.value[len(c.prefix):]}
	begin := strings.Index(s, first.raw)
	start, end := 0, begin+len(first.raw) // of the arguments, in the text
	for rest != "" {
		if after, ok := cutToken(rest, ";"); ok {
			rest = after
			break
		}
		w, after, err := cutArgument(rest)
		if err != nil {
			return c, "", err
		}
		at := len(s) - len(rest)
		rest = after
		end = at + len(w.raw)
		if c.named() && c.argv0 == nil {
			c.argv0 = &w
			continue
		}
		if len(c.args) == 0 {
			start = at
		}
		c.args = append(c.args, w)
	}
	if len(c.args) > 0 {
		c.tail = s[start:end]
	}
	c.text = s[begin:end]
	return c, rest, c.check()
}

func cutArgument(s string) (w word, rest string, err error) {
	if rest, ok := cutToken(s, `\;`); ok {
		return word{`\;`, ";"}, rest, nil
	}
	return cutWord(s)
}

// check refuses what systemd refuses.
func (c Command) check() error {
	name := c.program.value
	unsafe := func(r rune) bool { return r < ' ' || strings.ContainsRune("\"'\\\x7f", r) }
	switch {
	case name == "" && c.viaShell():
		return nil
	case name == "":
		return errors.New("no program is named")
	case strings.ContainsFunc(name, unsafe):
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

// named reports whether the second word is argv[0]. Beside "|", "@" asks for a login shell instead (systemd 258).
func (c Command) named() bool { return strings.Contains(c.prefix, "@") && !c.viaShell() }

func (c Command) viaShell() bool { return strings.Contains(c.prefix, "|") }

// literal reports whether systemd replaces no variables.
func (c Command) literal() bool { return strings.Contains(c.prefix, ":") }

// prefixOf is the run of special characters in front of a program: each once, and only one of "+", "!" and "!!".
func prefixOf(s string) string {
	n := 0
	for ; n < len(s); n++ {
		privileges := strings.Trim(s[:n], "-@:|")
		switch seen := strings.IndexByte(s[:n], s[n]) >= 0; s[n] {
		case '-', '@', ':', '|':
			if seen {
				return s[:n]
			}
		case '+':
			if strings.ContainsAny(privileges, "+!") {
				return s[:n]
			}
		case '!':
			if strings.Contains(privileges, "+") || strings.Count(s[:n], "!") == 2 {
				return s[:n]
			}
		default:
			return s[:n]
		}
	}
	return s[:n]
}

// cutToken cuts off a token that is a whole word, and the blanks behind it.
func cutToken(s, token string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(s, token)
	if !ok || rest != "" && strings.IndexByte(blanks, rest[0]) < 0 {
		return s, false
	}
	return strings.TrimLeft(rest, blanks), true
}

// cutWord cuts off the first word and the blanks behind it. Quotes may stand anywhere in a word (v252:
// src/basic/extract-word.c, extract_first_word with EXTRACT_UNQUOTE and EXTRACT_CUNESCAPE). At the end of the text
// the word is empty.
func cutWord(s string) (w word, rest string, err error) {
	s = strings.TrimLeft(s, blanks)
	var value strings.Builder
	quote, n := byte(0), 0
	for n < len(s) && (quote != 0 || strings.IndexByte(blanks, s[n]) < 0) {
		p := cutPiece(s[n:], quote)
		if p.size == 0 {
			break
		}
		value.WriteString(p.value)
		quote, n = p.quote, n+p.size
	}
	if quote != 0 {
		return word{}, "", fmt.Errorf("a %c is not closed", quote)
	}
	return word{s[:n], value.String()}, strings.TrimLeft(s[n:], blanks), nil
}

// piece is the smallest part of a word: a byte, an escape or a quote.
type piece struct {
	value string
	size  int  // of what is written; 0 is a backslash that ends a text within quotes
	quote byte // the quote that is open behind it
}

func cutPiece(s string, quote byte) piece {
	switch c := s[0]; {
	case c == quote && c != 0:
		return piece{"", 1, 0}
	case quote == 0 && (c == '"' || c == '\''):
		return piece{"", 1, c}
	case c != '\\':
		return piece{s[:1], 1, quote}
	case len(s) == 1 && quote != 0:
		return piece{"", 0, quote}
	}
	value, size := unescape(s)
	return piece{value, size, quote}
}

// unescape reads an escape (v252: src/basic/escape.c, cunescape_one). One that is unknown stands for itself.
func unescape(s string) (value string, size int) {
	if len(s) == 1 {
		return s, 1
	}
	if i := strings.IndexByte(`abfnrtv\"'s`, s[1]); i >= 0 {
		return "\a\b\f\n\r\t\v\\\"' "[i : i+1], 2
	}
	number := func(from, digits, base int) (n uint64, ok bool) {
		if len(s) < from+digits {
			return 0, false
		}
		n, err := strconv.ParseUint(s[from:from+digits], base, 32)
		return n, err == nil && n != 0
	}
	switch c := s[1]; {
	case c == 'x':
		if n, ok := number(2, 2, 16); ok {
			return string([]byte{byte(n)}), 4
		}
	case c == 'u':
		if n, ok := number(2, 4, 16); ok {
			return string(rune(n)), 6
		}
	case c == 'U':
		if n, ok := number(2, 8, 16); ok && utf8.ValidRune(rune(n)) {
			return string(rune(n)), 10
		}
	case c >= '0' && c <= '7':
		if n, ok := number(1, 3, 8); ok && n <= 255 {
			return string([]byte{byte(n)}), 4
		}
	}
	return s[:2], 2
}

// dropFirst takes the first n characters of a word's value out of what is written. Quotes stay.
func dropFirst(raw string, n int) string {
	var kept strings.Builder
	for quote, i := byte(0), 0; i < len(raw); {
		p := cutPiece(raw[i:], quote)
		if p.value == "" || n == 0 {
			kept.WriteString(raw[i : i+p.size])
		} else {
			n--
		}
		quote, i = p.quote, i+p.size
	}
	return kept.String()
}

// behind is the command with another one in front of it: its program and its flags become the first words, the
// program that stood there is an argument. In that place systemd replaces variables, so a "$" is doubled.
func (c Command) behind(own string, flags []string) string {
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

// closed is a line that does not go on in the next. A backslash at its end had a blank behind it. A blank at its end has a
// backslash before it, which keeps both; systemd strips it from the line, unless it is quoted.
func closed(line string) string {
	if end := len(line) - 1; strings.ContainsRune(blanks, rune(line[end])) && goesOn(line[:end]) {
		return line[:end-1] + `"\\` + line[end:] + `"`
	}
	if goesOn(line) {
		return line + " "
	}
	return line
}

// asArgument is the program's word in that place, where ";" would end the command.
func (c Command) asArgument() string {
	if c.program.raw == ";" || c.program.raw == `\;` {
		return `"` + c.program.raw + `"`
	}
	if c.literal() || !strings.Contains(c.program.value, "$") {
		return c.program.raw
	}
	var b strings.Builder
	for quote, i := byte(0), 0; i < len(c.program.raw); {
		p := cutPiece(c.program.raw[i:], quote)
		written := c.program.raw[i : i+p.size]
		b.WriteString(written)
		if p.value == "$" {
			b.WriteString(written)
		}
		quote, i = p.quote, i+p.size
	}
	return b.String()
}

// quote writes a word so that systemd reads it back byte for byte.
func quote(s string, variables bool) string {
	s = strings.ReplaceAll(s, "%", "%%")
	if variables {
		s = strings.ReplaceAll(s, "$", "$$")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + s[i:i+1])
		case c < ' ' || c == 0x7f || c > 0x7f && !utf8.ValidString(s):
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	if b.String() == s && s != "" && s != ";" && !strings.ContainsAny(s, blanks+`'`) {
		return s
	}
	return `"` + b.String() + `"`
}

// inFront reports whether arenacap stands in front of the program already.
func (c Command) inFront() bool {
	if strings.HasPrefix(path.Base(c.program.value), "arenacap") && len(c.args) > 0 {
		return true
	}
	for _, a := range c.args {
		if strings.Contains(a.value, "arenacap run ") { // sh -c 'exec arenacap run …'
			return true
		}
	}
	return false
}

// executed is the program at the end of a shell's script: "sh -c 'exec /usr/sbin/server …'". "" is none that is plain
// to see.
func (c Command) executed() string {
	if len(c.args) < 2 || !strings.HasPrefix(c.args[0].value, "-") || !strings.HasSuffix(c.args[0].value, "c") {
		return ""
	}
	script := c.args[1].value
	at := strings.LastIndex(script, "exec ")
	if at < 0 {
		return ""
	}
	fields := strings.Fields(script[at+len("exec "):])
	if len(fields) == 0 || !path.IsAbs(fields[0]) || strings.ContainsAny(fields[0], "$`\"'\\;&|%*?") {
		return ""
	}
	return fields[0]
}
