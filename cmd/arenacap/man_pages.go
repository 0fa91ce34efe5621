//go:build !urfave_cli_no_docs

package main

// This file generates the manual pages of the commands from their definitions, in the language mdoc(7). The pages of
// the policy file, the events and the exporter are written by hand, beside the code that they document.

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/launcher/version"
)

// manPage returns the page arenacap-COMMAND(1) for the command c, or arenacap(1) if c is nil.
func manPage(app *cli.App, c *cli.Command) string {
	m := &roff{}
	name, usage, flags := app.Name, app.Usage, app.VisibleFlags()
	synopsis, description := app.UsageText, app.Description
	if c != nil {
		name, usage, flags = app.Name+"-"+c.Name, c.Usage, c.VisibleFlags()
		synopsis, description = c.UsageText, c.Description
	}
	m.line(".Dd %s", version.Date)
	m.line(".Dt %s 1", strings.ToUpper(name))
	m.line(".Os")
	m.line(".Sh NAME\n.Nm %s\n.Nd %s", name, escape(usage))
	m.synopsis(app.Name, synopsis)
	text, status, _ := strings.Cut(description, "Exit status: ")
	m.line(".Sh DESCRIPTION")
	m.text(text)
	if c == nil {
		m.line(".Pp\nThis is version %s.", version.Number)
		m.commands(app)
	}
	m.line(".Sh OPTIONS")
	m.options(flags)
	if c == nil {
		m.line("%s", strings.TrimSpace(manSections))
	} else {
		m.line(".Sh EXIT STATUS")
		m.text(exitStatus(c.Name, status))
	}
	m.examples(strings.TrimPrefix(name, app.Name+"-"))
	m.seeAlso(app, c)
	return m.String()
}

// exitStatus completes the exit statuses in the description of a command. The command "run" reports wrong use with 125,
// because 2 may be the status of PROGRAM.
func exitStatus(command, status string) string {
	status = cmp.Or(strings.TrimSpace(status), "0 for success, 1 for a failure.")
	if command != "run" {
		status += "\n\n2 for wrong use."
	}
	return strings.ToUpper(status[:1]) + status[1:]
}

// roff is the text of a manual page.
type roff struct{ strings.Builder }

func (m *roff) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

func (m *roff) synopsis(tool, usage string) {
	m.line(".Sh SYNOPSIS")
	for line := range strings.SplitSeq(strings.ReplaceAll(usage, usageGoesOn, " "), "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), tool+" "); ok {
			m.line(".Nm %s\n%s", tool, fold(escape(rest), manWidth, 0))
		} else {
			m.line(".Ic %s", strings.ReplaceAll(escape(strings.TrimSpace(line)), `"`, `\(dq`))
		}
	}
}

// usageGoesOn is the line break and indentation with which a command's usage continues on the next line.
const usageGoesOn = "\n      "

// manWidth keeps input lines under 80 bytes, with some room for characters of several bytes.
const manWidth = 72

// sentenceEnd is where mdoc wants a new line, so that the formatter knows a sentence's end.
var sentenceEnd = regexp.MustCompile(`([a-z0-9)"][.:;?!]) `)

// text prints paragraphs that an empty line separates.
func (m *roff) text(paragraphs string) {
	first := true
	for paragraph := range strings.SplitSeq(strings.TrimSpace(paragraphs), "\n\n") {
		if !first {
			m.line(".Pp")
		}
		first = false
		for sentence := range strings.SplitSeq(sentenceEnd.ReplaceAllString(strings.Join(strings.Fields(paragraph), " "), "$1\n"), "\n") {
			m.line("%s", fold(escape(sentence), manWidth, 0))
		}
	}
}

func (m *roff) commands(app *cli.App) {
	m.line(".Sh COMMANDS\nEach has a page of its own.\n.Bl -tag -width Ds")
	for _, name := range documented(app) {
		m.line(".It Xr %s-%s 1\n%s", app.Name, name, escape(app.Command(name).Usage))
	}
	m.line(".El")
}

func (m *roff) options(flags []cli.Flag) {
	m.line(".Bl -tag -width Ds")
	for _, f := range flags {
		item := ".It"
		usage := f.(cli.DocGenerationFlag).GetUsage()
		if text := f.(cli.DocGenerationFlag).GetDefaultText(); text != "" && f.(cli.DocGenerationFlag).TakesValue() {
			usage += " (default: " + text + ")"
		}
		value := valueName(f)
		for i, name := range f.Names() {
			if i > 0 {
				item += " ,"
			}
			item += " Fl " + strings.TrimPrefix(dashes(name), "-")
			if value != "" {
				item += " Ar " + escape(value)
			}
		}
		m.line("%s", item)
		m.text(strings.ReplaceAll(usage, "`", ""))
	}
	m.line(".El")
}

// valueName is the word in backquotes in the usage of a flag that takes a value.
func valueName(f cli.Flag) string {
	if !f.(cli.DocGenerationFlag).TakesValue() {
		return ""
	}
	_, rest, _ := strings.Cut(f.(cli.DocGenerationFlag).GetUsage(), "`")
	name, _, _ := strings.Cut(rest, "`")
	return name
}

func (m *roff) examples(page string) {
	m.line(".Sh EXAMPLES")
	for i, e := range manExamples[page] {
		if i > 0 {
			m.line(".Pp")
		}
		m.text(e.text)
		if e.lines != "" {
			m.line(".Bd -literal -offset indent\n%s\n.Ed", escape(e.lines))
		}
	}
}

func (m *roff) seeAlso(app *cli.App, c *cli.Command) {
	m.line(".Sh SEE ALSO")
	pages := []string{"arenacap.toml 5", "arenacap-events 7"}
	if c != nil {
		pages = append([]string{app.Name + " 1"}, pages...)
	} else {
		pages = slices.Concat([]string{"env 1", "malloc_info 3", "mallopt 3"}, pages, []string{"arenacap-exporter 8"})
	}
	for i, p := range pages {
		m.line(".Xr %s%s", p, map[bool]string{true: " ,"}[i < len(pages)-1])
	}
}

// escape writes text so that roff(7) prints it as it is.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
