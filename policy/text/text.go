// Package text reads and writes the texts of messages: sizes, counts, words that came from outside, suggestions. It
// imports no other package of arenacap.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable replaces tabs by blanks and other characters that are not printable by U+FFFD, because a text from another
// user's file could send control sequences to the terminal.
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

// Quoted returns s, quoted as in Go if it contains quotes, backslashes, control characters or invalid UTF-8, so that
// any name is safe on a terminal.
func Quoted(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	if quoted == `"`+s+`"` {
		return s
	}
	return quoted
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

// Count is "1 thread", "2 threads", "2 processes".
func Count(n int, word string) string {
	switch {
	case n == 1:
		return "1 " + word
	case strings.HasSuffix(word, "s"):
		return fmt.Sprintf("%d %ses", n, word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// Decimal parses a number from 0 to 65535 (policy.MaxCap): digits without a sign, a space or a leading zero. Only this form
// means the same in every glibc: "010" is ten before 2.26 and eight from 2.26 on (elf/dl-misc.c, _dl_strtoul), and some
// accept "-1" and "4x".
func Decimal(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && (s == "0" || s[0] != '0')
}
