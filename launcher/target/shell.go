package target

// This file scans shell scripts (POSIX, "Shell Command Language"). It covers the part of the grammar that shows which
// programs a script starts and which variables it sets. Expansions are not computed: they become Opaque.

import "strings"

// shellCommand is a simple command, without redirections.
type shellCommand struct {
	line   int
	words  []shellWord
	always bool // the command always runs: it is not in a condition, loop, function, subshell or pipeline, and not behind && or ||
}

// shellWord is a word of a command.
type shellWord struct {
	text string // the word without quotes, with Opaque for each expansion
	raw  string // the word as written, with quotes and expansions
}

// shellScanner splits a script into commands.
type shellScanner struct {
	text     string
	at, line int
	depth    int
	parens   int
	joined   bool // &&, || or | joins the current command to the one before
	current  shellCommand
	all      []shellCommand
	heredocs []string
}

// maxShell limits the scanned part of a script, in bytes.
const maxShell = 256 << 10

func scanShell(text string) []shellCommand {
	s := &shellScanner{text: text[:min(len(text), maxShell)], line: 1}
	s.current.line = 1
	for s.at < len(s.text) {
		s.next()
	}
	s.end("")
	return s.all
}

// end ends the current command at an operator.
func (s *shellScanner) end(operator string) {
	for s.opens() {
	}
	if len(s.current.words) > 0 {
		s.current.always = s.depth == 0 && !s.joined && operator != "|"
		s.all = append(s.all, s.current)
	}
	s.joined = operator == "|" || operator == "&&" || operator == "||"
	s.current = shellCommand{line: s.line}
}

// opens removes a leading reserved word from the current command, and reports whether there was one. With for, case,
// select and function it removes all words that follow.
func (s *shellScanner) opens() bool {
	if len(s.current.words) == 0 {
		return false
	}
	switch s.current.words[0].raw {
	case "if", "while", "until", "for", "select", "case", "{", "function":
		s.depth++
	case "fi", "done", "esac", "}":
		s.depth = max(0, s.depth-1)
	case "then", "do", "else", "elif", "!", "time":
	default:
		return false
	}
	word := s.current.words[0].raw
	s.current.words = s.current.words[1:]
	if word == "for" || word == "case" || word == "select" || word == "function" {
		s.current.words = nil
	}
	return true
}

// next takes one token.
func (s *shellScanner) next() {
	switch c := s.text[s.at]; {
	case c == '\n':
		s.at++
		s.end("")
		s.line++
		s.current.line = s.line
		s.skipHeredocs()
	case c == ' ' || c == '\t' || c == '\r':
		s.at++
	case c == '#':
		for s.at < len(s.text) && s.text[s.at] != '\n' {
			s.at++
		}
	case strings.HasPrefix(s.text[s.at:], "\\\n"):
		s.at += 2
		s.line++
	case c == '<' || c == '>':
		s.redirection()
	case strings.IndexByte(";&|()", c) >= 0:
		s.operator(c)
	default:
		s.take()
	}
}

// operator ends a command. A name before "(" is that of a function; words before an unmatched ")" are a case pattern.
func (s *shellScanner) operator(c byte) {
	n := 1
	if strings.HasPrefix(s.text[s.at+1:], string(c)) && c != '(' && c != ')' {
		n = 2
	}
	operator := s.text[s.at : s.at+n]
	s.at += n
	if c == '(' || c == ')' && s.parens == 0 {
		for s.opens() {
		}
		s.current.words = nil
	}
	s.end(operator)
	switch {
	case c == '(':
		s.depth++
		s.parens++
	case c == ')' && s.parens > 0:
		s.depth = max(0, s.depth-1)
		s.parens--
	}
}

// redirection skips a redirection and its file. A here-document is skipped at the end of the line.
func (s *shellScanner) redirection() {
	heredoc := strings.HasPrefix(s.text[s.at:], "<<") && !strings.HasPrefix(s.text[s.at:], "<<<")
	for s.at < len(s.text) && strings.IndexByte("<>&|-", s.text[s.at]) >= 0 {
		s.at++
	}
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
	if word := s.word(); heredoc {
		s.heredocs = append(s.heredocs, word.text)
	}
}

func (s *shellScanner) skipHeredocs() {
	for _, end := range s.heredocs {
		for s.at < len(s.text) {
			line, _, _ := strings.Cut(s.text[s.at:], "\n")
			s.at = min(s.at+len(line)+1, len(s.text))
			s.line++
			if strings.TrimLeft(line, "\t") == end {
				break
			}
		}
	}
	s.heredocs = nil
	s.current.line = s.line
}

func (s *shellScanner) take() {
	word := s.word()
	behind := s.text[s.at:]
	if strings.Trim(word.raw, "0123456789") == "" && behind != "" && (behind[0] == '<' || behind[0] == '>') {
		return // the word is the number of a descriptor, as in "2>"
	}
	s.current.words = append(s.current.words, word)
}

// word reads a word up to a blank or an operator.
func (s *shellScanner) word() shellWord {
	start := s.at
	var b strings.Builder
	quote := byte(0)
scan:
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == quote && c != 0:
			quote = 0
		case quote == '\'':
			b.WriteByte(c)
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && strings.IndexByte(" \t\r\n;&|()<>", c) >= 0:
			break scan
		case c == '\\' && s.at+1 < len(s.text):
			s.at++
			b.WriteByte(s.text[s.at])
		case c == '$' || c == '`':
			s.skipExpansion(c)
			b.WriteString(Opaque)
		case quote == 0 && (c == '*' || c == '?'):
			b.WriteString(Opaque)
		default:
			b.WriteByte(c)
		}
	}
	s.at = min(s.at, len(s.text))
	s.line += strings.Count(s.text[start:s.at], "\n")
	return shellWord{b.String(), s.text[start:s.at]}
}

// skipExpansion moves to the last byte of an expansion: $NAME, $@, ${…}, $(…) or `…`.
func (s *shellScanner) skipExpansion(c byte) {
	rest := s.text[s.at+1:]
	switch {
	case c == '`':
		s.at += closing(rest, "", "`")
	case strings.HasPrefix(rest, "{"):
		s.at += closing(rest, "{", "}")
	case strings.HasPrefix(rest, "("):
		s.at += closing(rest, "(", ")")
	case rest != "" && isNameByte(rest[0]):
		s.at += len(rest) - len(strings.TrimLeft(rest, nameBytes))
	case rest != "" && strings.IndexByte("@*#?-$!", rest[0]) >= 0:
		s.at++
	}
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"

func isNameByte(c byte) bool { return strings.IndexByte(nameBytes, c) >= 0 }

// closing returns the number of bytes up to and including the matching closing bracket.
func closing(s, open, end string) int {
	depth := 0
	for i := range len(s) {
		switch s[i : i+1] {
		case open:
			depth++
		case end:
			if depth--; depth <= 0 {
				return i + 1
			}
		}
	}
	return len(s)
}
