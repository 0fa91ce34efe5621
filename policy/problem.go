package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"arenacap/policy/text"
)

// This file formats the problems of policy files and values, each as one line that is safe for a terminal.

// hinted is an error in a value: what is wrong, and what to type instead. Both are one line.
type hinted struct{ what, hint string }

func (h hinted) Error() string {
	if h.hint == "" {
		return h.what
	}
	return h.what + "; " + h.hint
}

// problem is one error in a policy file.
type problem struct {
	File    string
	Line    int    // number of the line, from 1; 0 means the whole file, for example if it is missing, a folder or not owned by root
	Column  int    // column of the problem in bytes, from 1
	Text    string // the text of that line, trimmed
	Message string
	Hint    string // what to type instead; may be ""
}

// Error formats the problem as one line without control characters:
//
//	policy.toml:7:1: unknown key "virtul" in [budget]; did you mean "virtual"? | virtul = "4GiB"
func (p problem) Error() string {
	var b strings.Builder
	b.WriteString(text.Printable(p.File))
	if p.Line != 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + clip(text.Printable(p.Message), 300))
	if p.Hint != "" {
		b.WriteString("; " + text.Printable(p.Hint))
	}
	if p.Text != "" {
		b.WriteString(" | " + clip(text.Printable(p.Text), 100))
	}
	return b.String()
}

// problems are all problems of one file, in the order of its lines.
type problems []problem

// Error formats the first problem in one line, and the command that lists the others.
func (ps problems) Error() string {
	if len(ps) == 0 {
		return "no problem"
	}
	first := ps[0].Error()
	if rest := len(ps) - 1; rest > 0 {
		return fmt.Sprintf("%s (and %d more: arenacap check %s)", first, rest, text.ShellWord(ps[0].File))
	}
	return first
}

func (ps problems) sort() {
	slices.SortStableFunc(ps, func(a, b problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Message, b.Message))
	})
}

// clip shortens text of the file to a number of characters.
func clip(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
