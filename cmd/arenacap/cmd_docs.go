//go:build !urfave_cli_no_docs

package main

import (
	"fmt"
	"strings"

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
	app := setUp(newApp())
	var text string
	var err error
	switch kind := c.Args().First(); kind {
	case "man":
		text, err = app.ToManWithSection(1)
		text += manSections
	case "fish":
		text, err = app.ToFishCompletion()
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

// setUp gives every command the flags that the library adds, as a run of the app would.
func setUp(app *cli.App) *cli.App {
	app.Setup()
	return app
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

func bashCompletion(app *cli.App) string {
	var commands []string
	var cases strings.Builder
	for _, c := range app.VisibleCommands() {
		commands = append(commands, c.Name)
		fmt.Fprintf(&cases, "    %s) flags=%q ;;\n", c.Name, strings.Join(flagNames(c), " "))
	}
	return fmt.Sprintf(`# bash completion for arenacap
_arenacap() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= flags= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    --policy|--service) ((i++)) ;;
    -*) ;;
    *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command in
%s    *) flags="--policy --service --verbose -q --version --help" ;;
  esac
  case $prev in
  --shell) COMPREPLY=($(compgen -W "sh fish csh systemd docker json" -- "$cur")); return ;;
  --policy) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -z $command ]]; then
    COMPREPLY=($(compgen -W %q -- "$cur"))
  elif [[ $command == run || $command == plan || $command == sweep ]]; then
    COMPREPLY=($(compgen -c -f -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -o filenames -F _arenacap arenacap
`, cases.String(), strings.Join(commands, " "))
}

func zshCompletion(app *cli.App) string {
	var list, cases strings.Builder
	for _, c := range app.VisibleCommands() {
		fmt.Fprintf(&list, "    %s\n", zshQuote(c.Name+":"+c.Usage))
		fmt.Fprintf(&cases, "  %s) _arguments%s %s ;;\n", c.Name, zshFlags(c), zshOperands(c.Name))
	}
	return fmt.Sprintf(`#compdef arenacap
# zsh completion for arenacap
_arenacap() {
  local -a commands
  local context state line
  typeset -A opt_args
  commands=(
%s  )
  _arguments -C '--policy[policy file]:file:_files' '--service[service]:name:' '-q[say nothing but errors]' \
    '--verbose[explain each decision]' '--version[print the version]' '1:command:->command' '*::arg:->args'
  case $state in
  command) _describe command commands ;;
  args) case $words[1] in
%s  esac ;;
  esac
}
_arenacap "$@"
`, list.String(), cases.String())
}

func zshFlags(c *cli.Command) string {
	var b strings.Builder
	for _, f := range c.VisibleFlags() {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		for _, name := range f.Names() {
			spec := dashes(name) + "[" + strings.NewReplacer("[", "(", "]", ")", ":", ",", "`", "").Replace(d.GetUsage()) + "]"
			if d.TakesValue() {
				spec += ":value:_files"
			}
			b.WriteString(" " + zshQuote(spec))
		}
	}
	return b.String()
}

// zshOperands says what stands behind a command's flags.
func zshOperands(command string) string {
	switch command {
	case "run", "plan", "sweep":
		return "'*::program:_normal'"
	case "watch", "inspect":
		return "'*:pid:_pids'"
	}
	return "'*:file:_files'"
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
