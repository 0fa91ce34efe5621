package unit

// This file parses and writes the words of a command line, with quotes, escapes and blanks.

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// word is one word of a command line: its source text in the field "raw", and the text without quotes and escapes in
// "value". Specifiers and variables are not replaced.
type word struct{ raw, value string }

// cutToken cuts off a token and the blanks after it, if the token is a whole word.
func cutToken(s, token string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(s, token)
	if !ok || rest != "" && strings.IndexByte(blanks, rest[0]) < 0 {
		return s, false
	}
	return strings.TrimLeft(rest, blanks), true
}

// cutWord cuts off the first word and the blanks after it. Quotes may occur anywhere in a word (v252:
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
		return word{}, "", fmt.Errorf("the quote %c is not closed", quote)
	}
	return word{s[:n], value.String()}, strings.TrimLeft(s[n:], blanks), nil
}

// piece is the smallest part of a word: a byte, an escape or a quote.
type piece struct {
	value string
	size  int  // length of the piece in the unit file, in bytes; 0 for a backslash at the end of the text within quotes
	quote byte // the quote that is open after the piece; 0 for none
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

// unescape reads an escape (v252: src/basic/escape.c, cunescape_one). An unknown escape is taken literally.
func unescape(s string) (value string, size int) {
	if strings.HasPrefix(s, `\s`) {
		return " ", 2
	}
	c, coded, rest, err := strconv.UnquoteChar(s, s[min(1, len(s)-1)]) // all other escapes are also escapes of Go
	switch {
	case err != nil && len(s) >= 6 && surrogate(s[:6]):
		return string(utf8.RuneError), 6
	case err != nil || c == 0:
		return s[:min(2, len(s))], min(2, len(s))
	case coded:
		return string(c), len(s) - len(rest)
	}
	return string([]byte{byte(c)}), len(s) - len(rest)
}

// surrogate reports whether an escape is half of a UTF-16 pair, which systemd accepts and Go does not.
func surrogate(escape string) bool {
	digits, ok := strings.CutPrefix(escape, `\u`)
	n, err := strconv.ParseUint(digits, 16, 16)
	return ok && err == nil && utf16.IsSurrogate(rune(n))
}

// rewrite replaces each piece of a word's source text by the text that the function "replace" returns for the piece.
func rewrite(raw string, replace func(value, written string) string) string {
	var b strings.Builder
	for quote, i := byte(0), 0; i < len(raw); {
		p := cutPiece(raw[i:], quote)
		b.WriteString(replace(p.value, raw[i:i+p.size]))
		quote, i = p.quote, i+p.size
	}
	return b.String()
}

// dropFirst removes the first n bytes of a word's value from its source text and keeps the quotes.
func dropFirst(raw string, n int) string {
	return rewrite(raw, func(value, written string) string {
		if value == "" || n == 0 {
			return written
		}
		n--
		return ""
	})
}

// quote writes a word such that systemd reads it back byte for byte. The parameter "variables" says whether systemd
// replaces variables in the word; if it does, quote doubles each "$".
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

// closed returns the line with an end that does not continue it on the next line: a final backslash gets a blank after it,
// and a final blank that a backslash escapes is quoted, because systemd strips blanks from the end of a line.
func closed(line string) string {
	if end := len(line) - 1; strings.ContainsRune(blanks, rune(line[end])) && goesOn(line[:end]) {
		return line[:end-1] + `"\\` + line[end:] + `"`
	}
	if goesOn(line) {
		return line + " "
	}
	return line
}
