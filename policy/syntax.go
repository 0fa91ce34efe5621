package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// This file has messages for TOML syntax errors. It recognizes common mistakes in the line where the parser stopped.

// badLine is the line where the parser stopped.
type badLine struct {
	text        string // the line up to the first "#"
	name, value string // the text before and after the first "="; without "=" name is the whole line
	assigns     bool   // the line has a "="
	parser      string // the parser's message
}

// slips are functions that recognize one known mistake each, tried in turn. A function returns hinted{} if the line does not
// have its mistake.
var slips = []func(badLine) hinted{numberTooLarge, nameNeedsQuotes, otherComment, otherQuotes, severalOnALine, notClosed, colonForEquals, noEquals, wordOfHard, valueNeedsQuotes}

// syntax replaces the parser's message by a more helpful one where it can.
func (d *document) syntax(e toml.ParseError) hinted {
	what := strings.TrimSuffix(e.Message, ".")
	if strings.HasSuffix(what, "has already been defined") {
		return hinted{strings.ToLower(what[:1]) + what[1:], d.firstPlace(what)}
	}
	if language := otherLanguage(d.text); language != "" {
		return hinted{fmt.Sprintf("the file looks like %s, but a policy is TOML", language), "write [arenas], and on the next line cap = 4"}
	}
	line := badLine{parser: what}
	line.text, _, _ = strings.Cut(d.line(d.lineOf(e.Position.Start)), "#")
	line.name, line.value, line.assigns = strings.Cut(line.text, "=")
	line.name, line.value = strings.TrimSpace(line.name), strings.TrimSpace(line.value)
	for _, slip := range slips {
		if h := slip(line); h.what != "" {
			return h
		}
	}
	return hinted{what: line.parser}
}

// firstPlace is the hint with the line of the first definition of a key that is defined twice.
func (d *document) firstPlace(what string) string {
	_, path, _ := strings.Cut(what, "'")
	path = path[:max(0, strings.LastIndexByte(path, '\''))]
	if at, ok := d.at[path]; ok {
		return fmt.Sprintf("the key is already on line %d: remove one of the two lines", d.lineOf(at.key))
	}
	return "remove one of the two lines"
}

// otherLanguage recognizes a script by "#!", and a file of another language by its first line that is neither empty nor
// a comment.
func otherLanguage(text string) string {
	if strings.HasPrefix(text, "#!") {
		return "a script"
	}
	for len(text) > 0 {
		line, rest, _ := strings.Cut(text, "\n")
		line = strings.TrimSpace(line)
		key, value, colon := strings.Cut(line, ":")
		switch {
		case line == "" || line[0] == '#':
			text = rest
			continue
		case line[0] == '{', line[0] == '[' && strings.HasPrefix(strings.TrimSpace(text[strings.IndexByte(text, '[')+1:]), "{"):
			return "JSON"
		case line[0] == '<':
			return "XML"
		case line == "---", strings.HasPrefix(line, "- "), strings.HasPrefix(line, "%YAML"):
			return "YAML"
		case colon && !strings.ContainsAny(key, "=[]") && (value == "" || value[0] == ' '):
			return "YAML"
		}
		return ""
	}
	return ""
}

// numberTooLarge recognizes an integer or a float outside TOML's range.
func numberTooLarge(l badLine) hinted {
	number, _, found := strings.Cut(l.parser, " is out of range for ")
	if !found {
		return hinted{}
	}
	key := l.name[strings.LastIndexByte(l.name, '.')+1:]
	var err error
	switch {
	case key == "cap":
		_, err = parseCap(number)
	case slices.Contains(Metrics(), key):
		_, err = parseLimit(number)
	}
	if h, ok := err.(hinted); ok {
		return hinted{key + ": " + h.what, h.hint}
	}
	return hinted{fmt.Sprintf("%s is too large for a number in TOML", number), fmt.Sprintf("numbers in a policy are at most %d", MaxCap)}
}

// nameNeedsQuotes recognizes an unquoted service name with characters that a bare key cannot have, in a header or a
// dotted key.
func nameNeedsQuotes(l badLine) hinted {
	path, header := l.name, strings.HasPrefix(l.text, "[") && strings.HasSuffix(strings.TrimSpace(l.text), "]")
	if header {
		path = strings.Trim(strings.TrimSpace(l.text), "[]")
	}
	name, ok := strings.CutPrefix(path, "service.")
	if !ok || !header && !l.assigns || strings.ContainsAny(name, "\"'[]{}") {
		return hinted{}
	}
	name, tail := cutTable(name)
	if name == "" || isPath(name) {
		return hinted{}
	}
	quoted := toml.Key{"service", name}.String() + tail
	if header {
		quoted = "[" + quoted + "]"
	}
	return hinted{fmt.Sprintf("the name %q has characters other than letters, digits, - and _", name), "put the name in quotes: " + quoted}
}

// cutTable splits a key's path before the first table of the policy: "a.b.budget.virtual" into "a.b" and
// ".budget.virtual".
func cutTable(path string) (name, tail string) {
	for i := range path {
		table, _, _ := strings.Cut(path[i+1:], ".")
		if path[i] == '.' && slices.Contains(tableNames(), table) {
			return path[:i], path[i:]
		}
	}
	return path, ""
}

// otherComment recognizes a comment, or the end of a line, in the syntax of another language.
func otherComment(l badLine) hinted {
	const what = `a comment begins with "#"`
	switch before, after, slashes := strings.Cut(l.text, "//"); {
	case strings.HasPrefix(l.text, ";"):
		return hinted{what + `, not with ";"`, "write #" + l.text[1:]}
	case slashes && (before == "" || strings.HasSuffix(before, " ")):
		return hinted{what + `, not with "//"`, "write " + before + "#" + after}
	case l.assigns && strings.HasSuffix(l.value, ";"):
		return hinted{`";" at the end of a line is not TOML`, fmt.Sprintf("write %s = %s", l.name, asValue(strings.TrimSuffix(l.value, ";")))}
	}
	return hinted{}
}

// otherQuotes recognizes typographic quotation marks.
func otherQuotes(l badLine) hinted {
	const marks = "“”„‟‘’‚«»"
	if !l.assigns || !strings.ContainsAny(l.name+l.value, marks) {
		return hinted{}
	}
	value := asValue(l.value)
	if strings.ContainsAny(l.value, marks) {
		value = strconv.Quote(strings.Trim(l.value, marks))
	}
	return hinted{"typographic quotation marks are not TOML", fmt.Sprintf("write %s = %s", strings.Trim(l.name, marks), value)}
}

// severalOnALine recognizes a header and a key on one line, or two keys.
func severalOnALine(l badLine) hinted {
	header, behind, isHeader := strings.Cut(l.text, "]")
	value, next, two := strings.Cut(l.value, "=")
	at := strings.LastIndexAny(strings.TrimSpace(value), " ,")
	switch {
	case isHeader && strings.HasPrefix(header, "[") && isPath(strings.TrimSpace(header[1:])) && l.assigns:
		return hinted{"a table header needs its own line", fmt.Sprintf("write %s], and on the next line %s", header, strings.TrimSpace(behind))}
	case two && at > 0 && isPath(strings.TrimSpace(value[at+1:])) && !strings.ContainsAny(value, "{["):
		return hinted{"each key needs its own line", fmt.Sprintf("write %s = %s, and on the next line %s = %s",
			l.name, asValue(value[:at]), strings.TrimSpace(value[at+1:]), asValue(next))}
	}
	return hinted{}
}

// notClosed recognizes an unmatched bracket or quotation mark.
func notClosed(l badLine) hinted {
	text := strings.TrimSpace(l.text)
	table := strings.Trim(text, "[] ")
	switch opens, closes := strings.HasPrefix(text, "["), strings.HasSuffix(text, "]"); {
	case !l.assigns && opens != closes && isPath(table):
		return hinted{"a table header needs both [ and ]", fmt.Sprintf("write [%s]", table)}
	case l.assigns && isPath(l.name) && l.parser == "strings cannot contain newlines":
		value := strings.Trim(l.value, "\"'")
		return hinted{fmt.Sprintf("the string that begins with %.1s is not closed on its line", l.value), fmt.Sprintf("write %s = %q", l.name, value)}
	case l.assigns && !isPath(l.name) && isPath(strings.Trim(l.name, "\"'")): // the line is  "cap = 4  or  "cap = 4"
		name, value := strings.Trim(l.name, "\"'"), strings.TrimRight(l.value, "\"'")
		return hinted{"the quotation mark of the key is not closed before \"=\"", fmt.Sprintf("write %s = %s", name, asValue(value))}
	}
	return hinted{}
}

// colonForEquals recognizes "key: value" and "key := value".
func colonForEquals(l badLine) hinted {
	name, value, colon := strings.Cut(l.text, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !colon || !isPath(name) || l.assigns && !strings.HasPrefix(value, "=") {
		return hinted{}
	}
	value = strings.TrimSpace(strings.TrimPrefix(value, "="))
	if value == "" {
		return hinted{fmt.Sprintf("%q is YAML, but a policy is TOML", name+":"), fmt.Sprintf("write the table as [%s]", name)}
	}
	return hinted{`":" is used instead of "="`, fmt.Sprintf("write %s = %s", name, asValue(value))}
}

// noEquals recognizes a line without "=" that begins with a key, and a line that begins with "export".
func noEquals(l badLine) hinted {
	words := strings.Fields(strings.TrimPrefix(l.text, "export "))
	switch {
	case l.assigns && strings.HasPrefix(l.text, "export "):
		return hinted{"this is a line of a shell script", "a policy is TOML: write [arenas], and on the next line cap = 4"}
	case l.assigns || len(words) == 0 || !isPath(words[0]):
		return hinted{}
	case len(words) == 1:
		return hinted{fmt.Sprintf(`%q has no "=" and no value`, words[0]), fmt.Sprintf("write %s = and its value, or [%s] for a table", words[0], words[0])}
	}
	return hinted{fmt.Sprintf(`there is no "=" after %q`, words[0]), fmt.Sprintf("write %s = %s", words[0], asValue(strings.Join(words[1:], " ")))}
}

func wordOfHard(l badLine) hinted {
	if !l.valueIsText() || l.name != "hard" && !strings.HasSuffix(l.name, ".hard") {
		return hinted{}
	}
	return hinted{fmt.Sprintf("%s = %s is neither true nor false", l.name, l.value), fmt.Sprintf("write %s = true or %s = false, in lower case and without quotes", l.name, l.name)}
}

func valueNeedsQuotes(l badLine) hinted {
	switch key := l.name[strings.LastIndexByte(l.name, '.')+1:]; {
	case !l.assigns:
		return hinted{}
	case l.name == "":
		return hinted{`there is no key before "="`, "write for example cap = 4"}
	case l.value == "":
		return hinted{fmt.Sprintf("the key %q has no value", l.name), `write a value after "=", or remove the line`}
	case strings.HasPrefix(l.value, "="):
		return hinted{`"=" is written twice`, fmt.Sprintf("write %s = %s", l.name, asValue(strings.TrimLeft(l.value, "= ")))}
	case key == "command" && strings.HasPrefix(l.value, "["):
		return hinted{l.parser, `put each argument in quotes, with commas between them: command = ["/usr/local/bin/on-breach", "{pid}"]`}
	case !l.valueIsText():
		return hinted{}
	}
	if whole := strings.TrimLeft(l.value, "0"); whole != "" && whole != l.value && strings.Trim(l.value, "0123456789") == "" {
		return hinted{fmt.Sprintf("the number %s has a leading zero", l.value), fmt.Sprintf("write %s = %s", l.name, whole)}
	}
	return hinted{fmt.Sprintf("the value %s is text without quotes", l.value), fmt.Sprintf("write %s = %q", l.name, l.value)}
}

// valueIsText reports whether quotes would make the value a string. A value with quotes or brackets has another mistake.
func (l badLine) valueIsText() bool {
	return l.assigns && l.value != "" && !strings.ContainsAny(l.value, "\"'[]{}\\")
}

// isPath reports whether a word is a bare or dotted key.
func isPath(word string) bool {
	return word != "" && strings.IndexFunc(word, func(r rune) bool { return r >= 0x80 || r != '.' && !isBare(byte(r)) }) < 0
}

// asValue formats a text as a TOML value: unchanged if it is one, else in quotes.
func asValue(text string) string {
	text = strings.TrimRight(strings.TrimSpace(text), ",;")
	if _, err := toml.Decode("v = "+text, new(map[string]any)); err == nil {
		return text
	}
	return strconv.Quote(text)
}
