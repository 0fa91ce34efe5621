package testenv

import (
	"regexp"
	"strings"
)

// Session is one command of a page's console block, with the output that the page shows for the command.
type Session struct {
	Command string
	want    []string
}

// Sessions returns the commands of a page's console blocks. A block inside a list may be indented.
func Sessions(page string) (list []Session) {
	for _, block := range regexp.MustCompile("(?ms)^( *)```console\n(.*?)^ *```").FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(block[2]) {
			line = strings.TrimPrefix(strings.TrimRight(line, "\n"), block[1])
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				list = append(list, Session{Command: command})
			} else if len(list) > 0 {
				last := &list[len(list)-1]
				last.want = append(last.want, line)
			}
		}
	}
	return list
}

// Output returns the output that the page shows for the command.
func (s Session) Output() string { return strings.Join(s.want, "\n") }

// Printed reports whether output, a command's stdout and stderr together, matches the output on the page. There "…"
// matches any text within a line, and a line that is only "…" matches any number of lines.
func (s Session) Printed(output string) bool { return s.pattern(regexp.QuoteMeta).MatchString(output) }

var number = regexp.MustCompile(`[0-9][0-9.]*( [KMGT]?i?B\b)?`)

// Resembles is like Printed, but a number in the output on the page matches any number, with any unit of bytes or none.
func (s Session) Resembles(output string) bool {
	return s.pattern(func(text string) string {
		var b strings.Builder
		end := 0
		for _, at := range number.FindAllStringIndex(text, -1) {
			b.WriteString(regexp.QuoteMeta(text[end:at[0]]) + number.String())
			end = at[1]
		}
		return b.String() + regexp.QuoteMeta(text[end:])
	}).MatchString(output)
}

// pattern returns the regular expression for the output shown; quote converts the text of a line other than "…".
func (s Session) pattern(quote func(string) string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range s.want {
		if line == "…" {
			b.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		b.WriteString(strings.ReplaceAll(quote(strings.TrimRight(line, " ")), "…", `[^\n]*`) + `[ ]*\n`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}
