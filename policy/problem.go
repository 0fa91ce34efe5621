package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is wrong with a policy file or a value, and how it is shown: in one line that a terminal can take.

// hinted is an error of a value: what is wrong, and what to type instead. Both are one line.
type hinted struct{ what, hint string }

func (h hinted) Error() string {
	if h.hint == "" {
		return h.what
	}
	return h.what + "; " + h.hint
}

// problem is one thing that is wrong with a policy file.
type problem struct {
	File    string
	Line    int    // from 1; 0 where the file as a whole is meant: it is missing, a folder, not root's
	Column  int    // from 1, in bytes, as compilers count
	Text    string // the line, without the blanks around it
	Message string
	Hint    string // what to type instead; "" where the message says it all
}

// Error gives the problem in one line that can go to a terminal, whatever stands in the file:
//
//	policy.toml:7:1: unknown key "virtul" in [budget]; did you mean "virtual"? | virtul = "4GiB"
func (p problem) Error() string {
	var b strings.Builder
	b.WriteString(printable(p.File))
	if p.Line != 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + clip(printable(p.Message), 300))
	if p.Hint != "" {
		b.WriteString("; " + printable(p.Hint))
	}
	if p.Text != "" {
		b.WriteString(" | " + clip(printable(p.Text), 100))
	}
	return b.String()
}

// problems is every problem of one file, in the order of its lines. It is the error that Load gives.
type problems []problem

// Error gives the first problem, in one line, and says how to see the rest.
func (ps problems) Error() string {
	if len(ps) == 0 {
		return "no problem"
	}
	first := ps[0].Error()
	if rest := len(ps) - 1; rest > 0 {
		return fmt.Sprintf("%s (and %d more: arenacap check %s)", first, rest, shellWord(ps[0].File))
	}
	return first
}

func (ps problems) sort() {
	slices.SortStableFunc(ps, func(a, b problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Message, b.Message))
	})
}

// printable takes out what could steer a terminal. A policy is text that others may have written.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, s)
}

// clip shortens what the file may have made as long as it likes.
func clip(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// shellWord gives a path as it can be typed at a shell.
func shellWord(path string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+@:,", r)
	}
	if path != "" && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
