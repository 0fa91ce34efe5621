package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// This file decodes the text of a policy file, and finds the line and column of each problem.

// document is one policy file with the results of the TOML parser, and the positions that the locator found.
type document struct {
	file     string
	text     string
	lines    []int // the offset of each line
	tree     map[string]any
	at       map[string]span
	problems problems
}

// parse decodes a file. If it is not TOML, the document has one problem, at the place where parsing stopped.
func parse(file string, data []byte) *document {
	d := &document{file: file, text: strings.TrimPrefix(string(data), "\ufeff"), lines: []int{0}}
	for i := range len(d.text) {
		if d.text[i] == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	if !d.isText() {
		return d
	}
	found := locate(d.text)
	if found.deep >= 0 {
		d.problem(found.deep, hinted{fmt.Sprintf("tables or arrays are nested deeper than %d levels", maxDepth), "a policy needs at most three levels"})
		return d
	}
	d.at = found.at
	d.decode()
	return d
}

// isText refuses binary files and encodings other than UTF-8, for which the parser's messages do not help.
func (d *document) isText() bool {
	if strings.HasPrefix(d.text, "\xff\xfe") || strings.HasPrefix(d.text, "\xfe\xff") {
		d.problems = problems{{File: d.file, Message: "is UTF-16 text", Hint: "save the file as UTF-8"}}
		return false
	}
	if i := strings.IndexByte(d.text, 0); i >= 0 {
		d.problems = problems{{File: d.file, Message: fmt.Sprintf("is not text: byte %d is NUL", i), Hint: "a policy is TOML in UTF-8"}}
		return false
	}
	for i, r := range d.text {
		if r == utf8.RuneError && !strings.HasPrefix(d.text[i:], "\ufffd") {
			d.problem(i, hinted{fmt.Sprintf("byte 0x%02x is not UTF-8", d.text[i]), "save the file as UTF-8"})
			return false
		}
	}
	return true
}

func (d *document) decode() {
	var tree any
	_, err := toml.Decode(d.text, &tree)
	if bad := (toml.ParseError{}); errors.As(err, &bad) {
		d.problem(bad.Position.Start, d.syntax(bad))
		return
	}
	if err != nil {
		d.problem(0, hinted{what: err.Error()})
		return
	}
	d.tree, _ = tree.(map[string]any)
}

// problem adds a problem at an offset.
func (d *document) problem(offset int, what hinted) {
	line := d.lineOf(offset)
	column := min(max(offset, 0), len(d.text)) - d.lines[line-1] + 1
	d.problems = append(d.problems, problem{d.file, line, column, d.line(line), what.what, what.hint})
}

// lineOf returns the line number, from 1, of an offset. The parser may report an offset outside the text.
func (d *document) lineOf(offset int) int {
	i, exact := slices.BinarySearch(d.lines, min(max(offset, 0), len(d.text)))
	if exact {
		return i + 1
	}
	return i
}

// line returns a line, trimmed.
func (d *document) line(n int) string {
	end := len(d.text)
	if n < len(d.lines) {
		end = d.lines[n] - 1
	}
	return strings.TrimSpace(d.text[d.lines[n-1]:end])
}

// origin formats a key's position as "FILE:LINE", for a plan's reasons.
func (d *document) origin(path string) string {
	return fmt.Sprintf("%s:%d", d.file, d.lineOf(d.at[path].key))
}
