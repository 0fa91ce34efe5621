//go:build !urfave_cli_no_docs

package main

// The hidden command docs: the man page, and completions.go.

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
)

// docsCommands are the man page and the completions, made from the definitions of the commands. The code
// behind them costs a millisecond of initialisation at every start, so a release build leaves it out and
// ships what it prints.
//
// The completions are static text: the ones of urfave/cli run the half-typed command line to complete it,
// and "arenacap run reboot <TAB>" would reboot.
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
	app.Setup() // the flags that the library adds, as in a run of the app
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
		return say.Usage("docs", fmt.Sprintf("%q is none of man, bash, zsh and fish", kind))
	}
	if err == nil {
		_, err = c.App.Writer.Write([]byte(text))
	}
	return err
}

// manSections is what the library's man page lacks.
const manSections = `
.SH EXIT STATUS
.PP
\fBrun\fP: the status of PROGRAM; 125 if arenacap itself failed before PROGRAM ran, 126 if PROGRAM was found but
cannot be run, 127 if it was not found.
.PP
Commands that launch nothing: 0 fine; 1 the answer is no (a policy is invalid, a cap is not kept, a process cannot be
read, a budget was breached); 2 wrong use.
.SH ENVIRONMENT
.PP
\fBARENACAP_POLICY\fP, \fBARENACAP_SERVICE\fP: what \-\-policy and \-\-service give, unless they are given.
.PP
\fBMALLOC_ARENA_MAX\fP, \fBMALLOC_ARENA_TEST\fP, \fBGLIBC_TUNABLES\fP: what was inherited counts where no flag and no
policy file sets a cap.
.PP
\fBNO_COLOR\fP: no colour, even on a terminal.
.SH FILES
.PP
\fI$XDG_CONFIG_HOME/arenacap/policy.toml\fP (\fI~/.config\fP; not for root), \fI/etc/arenacap/policy.toml\fP: the policy.
The first that is found is the whole policy.
.SH SEE ALSO
.PP
\fBenv\fP(1), \fBmallopt\fP(3), \fBmalloc_info\fP(3), \fBproc_pid_maps\fP(5)
`
