package unit

// The words of a command line: quotes, escapes and blanks, read and written.

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// word is one word of a command line: what is written, and what it says without quotes and escapes. Specifiers and
// variables in it are not replaced.
type word struct{ raw, value string }

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
