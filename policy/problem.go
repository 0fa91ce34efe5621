package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problems of policy files and values, formatted as one line that is safe for a terminal.

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
	Line    int    // from 1; 0 means the whole file: it is missing, a folder, not owned by root
	Column  int    // from 1, in bytes
	Text    string // the line, trimmed
	Message string
	Hint    string // what to type instead; may be ""
}

// Error formats the problem as one line without control characters:
//
//	policy.toml:7:1: unknown key "virtul" in [budget]; did you mean "virtual"? | virtul = "4GiB"
func (p problem) Error() string {
	var b strings.Builder
	b.WriteString(Printable(p.File))
	if p.Line != 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + clip(Printable(p.Message), 300))
	if p.Hint != "" {
		b.WriteString("; " + Printable(p.Hint))
	}
	if p.Text != "" {
		b.WriteString(" | " + clip(Printable(p.Text), 100))
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
		return fmt.Sprintf("%s (and %d more: arenacap check %s)", first, rest, ShellWord(ps[0].File))
	}
	return first
}

func (ps problems) sort() {
	slices.SortStableFunc(ps, func(a, b problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Message, b.Message))
	})
}

// Printable replaces control characters, which could steer the terminal: a file may be someone else's.
func Printable(s string) string {
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

// clip shortens text of the file to a number of characters.
func clip(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// ShellWord quotes a word for a shell of the POSIX family where needed.
func ShellWord(s string) string {
	plain := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("/._-+@:,=%", r)
	}
	if s != "" && s[0] != '=' && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 { // zsh replaces "=NAME"
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
