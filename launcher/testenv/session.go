package testenv

import (
	"regexp"
	"strings"
)

// Session is one command of a page's console block, with the output shown for it.
type Session struct {
	Command string
	want    []string
}

// Sessions returns the commands of a page's console blocks. A block in a list is indented as a whole.
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

// Output is the output shown.
func (s Session) Output() string { return strings.Join(s.want, "\n") }

// Printed reports whether a command's output, stdout and stderr together, is the one shown. "…" matches any text, and alone
// on a line any lines.
func (s Session) Printed(output string) bool {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range s.want {
		if line == "…" {
			b.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(line, " ")), "…", `[^\n]*`) + `[ ]*\n`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String()).MatchString(output)
}
