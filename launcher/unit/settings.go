package unit

// This file parses the syntax of unit files: sections and settings (systemd.syntax(7)).

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// setting is one assignment in a unit file.
type setting struct {
	section, key, value string
	file                string
	line                int // number of its first line, from 1
}

// lineMax is the longest line in bytes that systemd reads, continuation lines included (LONG_LINE_MAX).
const lineMax = 1 << 20

const blanks = " \t\n\r" // WHITESPACE of systemd

// parse reads a unit file as systemd does (systemd.syntax(7); v252: src/shared/conf-parser.c, config_parse). Format:
//
//	[SECTION]
//	KEY=VALUE
//	KEY=VALUE that goes on \
//	# a comment, which may stand between the lines of a value
//	; another
//	in the next line
//
// A backslash at the end of a line, unless it is escaped, continues the line; it becomes a blank. Blanks around keys and
// values are removed. The function skips what systemd ignores: assignments outside of a section and lines without "=".
// Where systemd stops reading, parse returns an error together with the settings before it.
func parse(file, text string) ([]setting, error) {
	var all []setting
	section, line := "", 0
	text = strings.TrimPrefix(text, "\ufeff")
	for text != "" {
		first := line + 1
		joined, lines, rest, err := cutLogical(text)
		line, text = line+lines, rest
		if err != nil {
			return all, fmt.Errorf("%s:%d: %w", file, first, err)
		}
		switch joined = strings.Trim(joined, blanks); {
		case joined == "":
		case !utf8.ValidString(joined):
			return all, fmt.Errorf("%s:%d: the line %.200q is not UTF-8; systemd stops reading the file here", file, first, joined)
		case joined[0] == '[':
			if section, err = sectionName(joined); err != nil {
				return all, fmt.Errorf("%s:%d: %w", file, first, err)
			}
		case section != "":
			if key, value, ok := strings.Cut(joined, "="); ok && key != "" {
				all = append(all, setting{section, strings.Trim(key, blanks), strings.Trim(value, blanks), file, first})
			}
		}
	}
	return all, nil
}

// cutLogical cuts off one line with its continuation lines, and returns the number of lines.
func cutLogical(text string) (joined string, lines int, rest string, err error) {
	var b strings.Builder
	for open := false; text != ""; {
		var line string
		line, text = cutLine(text)
		lines++
		if comment(line) {
			if !open {
				return "", lines, text, nil
			}
			continue
		}
		if b.Len()+len(line) > lineMax {
			return "", lines, text, fmt.Errorf("the line has over %d bytes; systemd stops reading the file here", lineMax)
		}
		if open = goesOn(line); !open {
			b.WriteString(line)
			break
		}
		b.WriteString(line[:len(line)-1] + " ")
	}
	return b.String(), lines, text, nil
}

// cutLine cuts off the first line. A line ends at \n, \r or NUL, or at a run of these in which none occurs twice
// (v252: src/basic/fileio.c, read_line_full).
func cutLine(text string) (line, rest string) {
	const ends = "\n\r\x00"
	at := strings.IndexAny(text, ends)
	if at < 0 {
		return text, ""
	}
	seen := ""
	for i := at; i < len(text) && !strings.Contains(seen, "\x00"); i++ {
		if strings.IndexByte(ends, text[i]) < 0 || strings.IndexByte(seen, text[i]) >= 0 {
			break
		}
		seen += text[i : i+1]
	}
	return text[:at], text[at+len(seen):]
}

func comment(line string) bool {
	line = strings.TrimLeft(line, blanks)
	return line != "" && (line[0] == '#' || line[0] == ';')
}

// goesOn reports whether a line ends in an unescaped backslash.
func goesOn(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

func sectionName(line string) (string, error) {
	name, ok := strings.CutSuffix(line[1:], "]")
	if !ok || strings.ContainsFunc(name, special) {
		return "", fmt.Errorf("the line %q is not a section header; systemd stops reading the file here", line)
	}
	return name, nil
}

// special reports whether systemd rejects a character in the name of a section or of a program.
func special(r rune) bool { return r < ' ' || strings.ContainsRune("\"'\\\x7f", r) }
