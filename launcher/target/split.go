package target

import "strings"

// splitWords is env -S: blanks part words, quotes and backslashes hold them together, # begins a comment
// where a word would begin, ${NAME} stands for a variable but not within single quotes.
func splitWords(s string, getenv func(string) string) []string {
	var words []string
	var word strings.Builder
	var quote byte
	open := false // a word has begun, if perhaps an empty one
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

// unescape is the meaning of a letter behind a backslash.
func unescape(c byte) byte {
	if i := strings.IndexByte("_fnrtv", c); i >= 0 {
		return " \f\n\r\t\v"[i]
	}
	return c
}
