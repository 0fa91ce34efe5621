//go:build !urfave_cli_no_docs

package main

// The completions of bash and zsh, and what the library's for fish lack.

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// programCommands have a program and its arguments behind their flags.
var programCommands = []string{"run", "plan", "sweep"}

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
  --shell) COMPREPLY=($(compgen -W %q -- "$cur")); return ;;
  --policy) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -z $command || $command == help ]]; then
    COMPREPLY=($(compgen -W %q -- "$cur"))
  elif [[ $command == %s ]]; then
    COMPREPLY=($(compgen -c -f -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -o filenames -F _arenacap arenacap
`, cases.String(), strings.Join(dialectNames(), " "), strings.Join(commands, " "), strings.Join(programCommands, " || $command == "))
}

func zshCompletion(app *cli.App) string {
	var list, cases strings.Builder
	for _, c := range app.VisibleCommands() {
		fmt.Fprintf(&list, "    %s\n", inQuotes(c.Name+":"+c.Usage))
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
  help) _describe command commands ;;
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
			switch {
			case name == "shell":
				spec += ":dialect:(" + strings.Join(dialectNames(), " ") + ")"
			case d.TakesValue():
				spec += ":value:_files"
			}
			b.WriteString(" " + inQuotes(spec))
		}
	}
	return b.String()
}

// zshOperands says what stands behind a command's flags.
func zshOperands(command string) string {
	switch {
	case slices.Contains(programCommands, command):
		return "'*::program:_normal'"
	case command == "watch", command == "inspect":
		return "'*:pid:_pids'"
	}
	return "'*:file:_files'"
}

// fishDialects has fish offer what --shell takes. The library's completions offer files there.
func fishDialects() string {
	return "complete -c arenacap -n '__fish_seen_subcommand_from env' -x -l shell -a '" + strings.Join(dialectNames(), " ") + "'\n"
}
