package main

// This file has the help texts: templates of urfave/cli, and their printer.

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

const appHelp = `arenacap: {{.Usage}}

Usage:
   {{.UsageText}}

{{.Description}}

Commands:{{range .VisibleCommands}}
   {{.Name}}{{"\t"}}{{.Usage}}{{end}}

Flags, before or after the command:{{range .VisibleFlags}}
   {{.}}{{end}}

'arenacap help COMMAND' shows the help of a command.
`

const commandHelp = `arenacap {{.Name}}: {{.Usage}}

Usage:
   {{.UsageText}}{{if .Description}}

{{.Description}}{{end}}{{if .VisibleFlags}}

Flags:{{range .VisibleFlags}}
   {{.}}{{end}}{{end}}
`

// helpWidth leaves one of 80 columns free, because some terminals wrap a line that fills the last one.
const helpWidth = 79

func init() { cli.HelpPrinter = printHelp }

// printHelp folds the long lines of the library's printer.
func printHelp(w io.Writer, template string, data any) {
	var printed, folded strings.Builder
	cli.HelpPrinterCustom(&printed, template, data, nil)
	for line := range strings.Lines(printed.String()) {
		folded.WriteString(foldHelp(strings.TrimSuffix(line, "\n")) + "\n")
	}
	_, _ = io.WriteString(w, folded.String())
}

// foldHelp folds a line. The continuation lines of a description in a list are aligned with its first line; those of a
// usage line are indented; those of other text are not.
func foldHelp(line string) string {
	item, listed := strings.CutPrefix(line, "   ")
	if !listed {
		return fold(line, helpWidth, 0)
	}
	if _, text, described := strings.Cut(item, "  "); described {
		text = strings.TrimLeft(text, " ")
		indent := len(line) - len(text)
		return line[:indent] + fold(text, helpWidth, indent)
	}
	return "   " + fold(item, helpWidth, len("      "))
}
