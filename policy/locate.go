package policy

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// This file finds the positions of keys and values in a TOML text.

// maxDepth bounds the nesting of tables and arrays, because the TOML parser recurses without a bound. A policy
// needs three levels.
const maxDepth = 32

// span holds the byte offsets at which a key and its value begin. For a table with a header, both are the header's.
type span struct{ key, value int }

// locator is a small parser that finds the position of each key in a policy, which the TOML parser does not report. It
// accepts any text; after a syntax error its positions are meaningless. The syntax is https://toml.io/en/v1.1.0: [table] and
// [[table]] headers, dotted and quoted keys, multi-line inline tables and arrays, four kinds of strings, comments.
type locator struct {
	text   string
	i      int
	header toml.Key        // the table whose header was read last
	at     map[string]span // the positions by toml.Key.String, for each key and each prefix of it; the first position counts
	deep   int             // offset at which the nesting exceeds maxDepth, or -1
}

func locate(text string) locator {
	l := locator{text: text, at: make(map[string]span, 32), deep: -1}
	for l.skipBlank(); l.i < len(text) && l.deep < 0; l.skipBlank() {
		if text[l.i] == '[' {
			l.tableHeader()
		} else {
			l.keyValue(l.header, 0)
		}
		l.skipLine()
	}
	return l
}

// tableHeader parses "[a.b]" or "[[a.b]]".
func (l *locator) tableHeader() {
	start := l.i
	l.skip("[")
	l.header, _ = l.key(nil)
	l.note(0, l.header, span{start, start})
}

// keyValue parses "a.b = value" in a table. If "=" is missing, the text is not TOML and the caller continues after the
// key.
func (l *locator) keyValue(table toml.Key, depth int) {
	start := l.i
	key, ok := l.key(table)
	if !ok || l.peek() != '=' {
		return
	}
	l.i++
	l.skip(" \t")
	l.note(len(table), key, span{start, l.i})
	l.value(key, depth)
}

// note records the position of a key and of the tables that its dots imply.
func (l *locator) note(from int, key toml.Key, at span) {
	if len(key) > maxDepth {
		l.deep = at.key
		return
	}
	for n := from + 1; n <= len(key); n++ {
		path := key[:n].String()
		if _, known := l.at[path]; !known {
			l.at[path] = at
		}
	}
}

// key parses a dotted key and appends it to the table's key.
func (l *locator) key(table toml.Key) (toml.Key, bool) {
	key := append(make(toml.Key, 0, len(table)+2), table...)
	for {
		l.skip(" \t")
		part, ok := l.keyPart()
		if !ok {
			return key, false
		}
		if len(key) <= maxDepth { // the method "note" refuses a key of maxDepth + 1 parts, so further parts need not be kept
			key = append(key, part)
		}
		l.skip(" \t")
		if l.peek() != '.' {
			return key, true
		}
		l.i++
	}
}

func (l *locator) keyPart() (string, bool) {
	start := l.i
	if c := l.peek(); c == '"' || c == '\'' {
		l.skipString(string(c))
		return unquote(l.text[start:l.i])
	}
	for l.i < len(l.text) && isBare(l.text[l.i]) {
		l.i++
	}
	return l.text[start:l.i], l.i > start
}

// unquote decodes a quoted part of a key. If the part has escapes, the TOML parser decodes it.
func unquote(raw string) (string, bool) {
	if len(raw) < 2 || raw[len(raw)-1] != raw[0] {
		return "", false
	}
	if raw[0] == '\'' || !strings.Contains(raw, `\`) {
		return raw[1 : len(raw)-1], true
	}
	one := make(map[string]any, 1)
	if _, err := toml.Decode(raw+" = 0", &one); err != nil {
		return "", false
	}
	for key := range one {
		return key, true
	}
	return "", false
}

// value skips a value and records the keys of inline tables in it.
func (l *locator) value(key toml.Key, depth int) {
	switch c := l.peek(); {
	case depth > maxDepth:
		l.deep = l.i
	case c == '"' || c == '\'':
		l.str(c)
	case c == '[':
		l.list(']', func() { l.value(key, depth+1) })
	case c == '{':
		l.list('}', func() { l.keyValue(key, depth+1) })
	default: // a number, a date (which may contain a space), true, false
		l.until(",]}#\r\n")
	}
}

// list parses the items between brackets, across lines and comments.
func (l *locator) list(end byte, item func()) {
	l.i++
	for l.deep < 0 {
		l.skipBlank()
		switch c := l.peek(); {
		case l.i >= len(l.text):
			return
		case c == end:
			l.i++
			return
		case c == ',':
			l.i++
		default:
			before := l.i
			item()
			if l.i == before { // a syntax error: skip one byte so that the loop ends
				l.i++
			}
		}
	}
}

// str skips a string in single or double quotes, on one line or on several.
func (l *locator) str(quote byte) {
	triple := strings.Repeat(string(quote), 3)
	if !strings.HasPrefix(l.text[l.i:], triple) {
		l.skipString(triple[:1])
		return
	}
	l.skipString(triple)
	for range 2 { // a multi-line string may end in up to two quotes before its delimiter
		if l.peek() == quote {
			l.i++
		}
	}
}

// skipString skips a string and its two delimiters. A delimiter is three quotes or one quote. With one quote, the
// string cannot continue on the next line.
func (l *locator) skipString(delim string) {
	for l.i += len(delim); l.i < len(l.text) && !strings.HasPrefix(l.text[l.i:], delim); l.i++ {
		switch c := l.peek(); {
		case c == '\n' && len(delim) == 1:
			return
		case c == '\\' && delim[0] == '"':
			l.i++
		}
	}
	l.i = min(l.i+len(delim), len(l.text))
}

// peek returns the next byte, or 0 at the end.
func (l *locator) peek() byte {
	if l.i < len(l.text) {
		return l.text[l.i]
	}
	return 0
}

func (l *locator) skip(bytes string) {
	l.i = len(l.text) - len(strings.TrimLeft(l.text[l.i:], bytes))
}

// skipBlank skips white space, line ends and comments.
func (l *locator) skipBlank() {
	for l.skip(" \t\r\n"); l.peek() == '#'; l.skip(" \t\r\n") {
		l.skipLine()
	}
}

func (l *locator) skipLine() { l.until("\n") }

func (l *locator) until(stops string) {
	if n := strings.IndexAny(l.text[l.i:], stops); n >= 0 {
		l.i += n
		return
	}
	l.i = len(l.text)
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
