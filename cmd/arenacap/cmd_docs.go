//go:build !urfave_cli_no_docs

package main

// The hidden command docs: the man page and the completions (completions.go).

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
)

// docsCommands returns the hidden command docs, which generates the man page and the completions from the definitions
// of the commands. Its code costs 1 ms of initialisation at every start, so a release build omits it and ships the
// generated files.
//
// The completions are static text. Those of urfave/cli run the unfinished command line to complete it: "arenacap run
// reboot <TAB>" would reboot.
func docsCommands() []*cli.Command {
	return []*cli.Command{{
		Name:      "docs",
		Hidden:    true,
		Usage:     "print the man page or a shell's completions",
		UsageText: "arenacap docs man|bash|zsh|fish",
		Action:    docs,
	}}
}

func docs(c *cli.Context) error {
	app := newApp()
	app.Setup() // adds the library's own flags, as app.Run does
	var text string
	var err error
	switch kind := c.Args().First(); kind {
	case "man":
		text, err = app.ToManWithSection(1)
		text += manSections
	case "fish":
		text = fishCompletion(app)
	case "bash":
		text = bashCompletion(app)
	case "zsh":
		text = zshCompletion(app)
	default:
		return say.Usage("docs", fmt.Sprintf("unknown kind %q; write man, bash, zsh or fish", kind))
	}
	if err == nil {
		_, err = c.App.Writer.Write([]byte(text))
	}
	return err
}

// manSections is appended to the library's man page.
const manSections = `
.SH EXIT STATUS
.PP
\fBrun\fP: the status of PROGRAM; 125 if arenacap itself failed before PROGRAM ran, 126 if PROGRAM was found but
cannot be run, 127 if it was not found.
.PP
Other commands: 0 success; 1 a negative result (a policy is invalid, a cap is not kept, a process cannot be
read, a budget was breached); 2 wrong use.
.SH ENVIRONMENT
.PP
\fBARENACAP_POLICY\fP, \fBARENACAP_SERVICE\fP: the defaults of \-\-policy and \-\-service.
.PP
\fBMALLOC_ARENA_MAX\fP, \fBMALLOC_ARENA_TEST\fP, \fBGLIBC_TUNABLES\fP: an inherited value applies if no flag and no
policy file sets a cap.
.PP
\fBNO_COLOR\fP: no colour, even on a terminal.
.SH FILES
.PP
\fI$XDG_CONFIG_HOME/arenacap/policy.toml\fP (\fI~/.config\fP; not for root), \fI/etc/arenacap/policy.toml\fP: the policy.
arenacap reads the first one that exists, and only that one.
.SH SEE ALSO
.PP
\fBenv\fP(1), \fBmallopt\fP(3), \fBmalloc_info\fP(3), \fBproc_pid_maps\fP(5)
`
