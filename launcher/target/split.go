package target

// This file splits the argument of env -S into words.

import "strings"

// splitWords splits a string as env -S does: blanks separate words, quotes and backslashes protect blanks, # at the start of
// a word begins a comment, ${NAME} is expanded outside single quotes.
func splitWords(s string, getenv func(string) string) []string {
	var words []string
	var word strings.Builder
	var quote byte
	open := false // a word has begun; it may be empty
	end := func() {
		if open {
			words = append(words, word.String())
		}
		word.Reset()
		open = false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		name, _, variable := strings.Cut(strings.TrimPrefix(s[i:], "${"), "}")
		switch {
		case quote == 0 && strings.IndexByte(" \t\n\v\f\r", c) >= 0:
			end()
			continue
		case c == '#' && !open:
			return words
		case (c == '"' || c == '\'') && (quote == 0 || quote == c):
			quote ^= c
		case c == '\\' && i+1 < len(s) && (quote != '\'' || s[i+1] == '\\' || s[i+1] == '\''):
			i++
			if s[i] == 'c' {
				end()
				return words
			}
			if s[i] == '_' && quote == 0 {
				end()
				continue
			}
			word.WriteByte(unescape(s[i]))
		case quote != '\'' && variable && strings.HasPrefix(s[i:], "${"):
			value := getenv(name)
			word.WriteString(value)
			i += len("${}") + len(name) - 1
			open = open || value != ""
			continue
		default:
			word.WriteByte(c)
		}
		open = true
	}
	end()
	return words
}

// unescape returns the character for a letter after a backslash.
func unescape(c byte) byte {
	if i := strings.IndexByte("_fnrtv", c); i >= 0 {
		return " \f\n\r\t\v"[i]
	}
	return c
}
