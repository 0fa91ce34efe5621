package target

import "strings"

// envLine is what a #! line that names env(1) asks of it.
type envLine struct {
	program string
	clear   bool     // -i
	unset   []string // -u
	set     []string // NAME=value
}

// parseEnvLine reads the argument of "#!/usr/bin/env ARGUMENT" as coreutils' env does. The kernel hands all
// of it over as one argument, so only -S makes several words of it. ok is false where no program is named;
// getenv gives the values for ${NAME} within -S.
func parseEnvLine(argument string, getenv func(string) string) (line envLine, ok bool) {
	if argument == "" {
		return envLine{}, false
	}
	words := []string{argument}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch rest, option := strings.CutPrefix(word, "-"); {
		case word == "-":
			line.clear = true
		case word == "--":
			return line.operands(words)
		case !option:
			return line.operands(append([]string{word}, words...))
		case strings.HasPrefix(rest, "-"):
			words = line.longOption(rest[1:], words, getenv)
		default:
			words = line.shortOptions(rest, words, getenv)
		}
	}
	return line, false
}

// operands reads NAME=value words up to the program.
func (line envLine) operands(words []string) (envLine, bool) {
	for _, word := range words {
		if !strings.Contains(word, "=") {
			line.program = word
			return line, word != ""
		}
		line.set = append(line.set, word)
	}
	return line, false
}

// shortOptions reads a word of options such as "iS" or "uNAME" and returns the words that are left.
func (line *envLine) shortOptions(letters string, words []string, getenv func(string) string) []string {
	for i := range len(letters) {
		value := letters[i+1:]
		switch letters[i] {
		case 'i':
			line.clear = true
		case 'S':
			return append(splitWords(value, getenv), words...)
		case 'u', 'C':
			if value == "" && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			if letters[i] == 'u' {
				line.unset = append(line.unset, value)
			}
			return words
		}
	}
	return words
}

// longOption reads one option and returns the words that are left.
func (line *envLine) longOption(option string, words []string, getenv func(string) string) []string {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "ignore-environment":
		line.clear = true
	case "split-string":
		return append(splitWords(value, getenv), words...)
	case "unset":
		line.unset = append(line.unset, value)
	}
	return words
}

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

// takesCap reports whether MALLOC_ARENA_MAX does not come through.
func (line envLine) takesCap() bool {
	const name = "MALLOC_ARENA_MAX"
	if line.clear {
		return true
	}
	for _, entry := range line.set {
		if strings.HasPrefix(entry, name+"=") {
			return true
		}
	}
	for _, unset := range line.unset {
		if unset == name {
			return true
		}
	}
	return false
}

// apply gives the environment that env(1) hands on.
func (line envLine) apply(env []string) []string {
	var out []string
	if !line.clear {
		for _, entry := range env {
			if !line.drops(entry) {
				out = append(out, entry)
			}
		}
	}
	return append(out, line.set...)
}

// drops reports whether an inherited entry is unset or set anew.
func (line envLine) drops(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	for _, unset := range line.unset {
		if unset == name {
			return true
		}
	}
	for _, set := range line.set {
		if strings.HasPrefix(set, name+"=") {
			return true
		}
	}
	return false
}
