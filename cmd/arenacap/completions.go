//go:build !urfave_cli_no_docs

package main

// The completions of bash, zsh and fish, from one table of what each flag and operand takes.

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// What a flag or an operand takes. Any other text is a list of words to offer; "" offers nothing.
const (
	takesProgram = "PROGRAM" // and its arguments, which the program's own completion completes
	takesPID     = "PID"
	takesFile    = "FILE"
	takesFolder  = "DIR"
	takesUnit    = "UNIT"
	takesService = "NAME"
	takesCommand = "COMMAND"
)

var operandOf = map[string]string{
	"run": takesProgram, "plan": takesProgram, "sweep": takesProgram, "inspect": takesPID, "watch": takesPID,
	"check": takesFile, "unit": takesUnit, "help": takesCommand, "copy-to": takesFolder, "": takesCommand,
}

// valueOf returns what a flag takes: the placeholder between backquotes in its usage, or else words by its name.
func valueOf(flag, usage string) string {
	if parts := strings.Split(usage, "`"); len(parts) == 3 && (parts[1] == takesFile || parts[1] == takesFolder) {
		return parts[1]
	}
	switch flag {
	case "service":
		return takesService
	case "shell":
		return strings.Join(dialectNames(), " ")
	case "arenas":
		return "1/core 2/core off glibc"
	case "cores":
		return "auto online affinity"
	case "budget":
		return "off"
	case "sort":
		return strings.NewReplacer(",", "", " or", "").Replace(sortKeys)
	}
	return ""
}

// level is the app or one of its commands.
type level struct {
	name, usage string
	flags       []completed
}

type completed struct {
	names []string // "--help", "-h"
	usage string
	value bool
	takes string
}

// levels returns the app, under the name "", and its commands.
func levels(app *cli.App) []level {
	all := []level{{"", "", completedFlags(app.VisibleFlags())}}
	for _, c := range app.VisibleCommands() {
		all = append(all, level{c.Name, c.Usage, completedFlags(append(c.VisibleFlags(), cli.HelpFlag))})
	}
	return append(all, level{name: "help", usage: "show the help of arenacap or of a command"}, level{name: "version", usage: "print the version"})
}

func completedFlags(flags []cli.Flag) (all []completed) {
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		c := completed{usage: strings.ReplaceAll(d.GetUsage(), "`", ""), value: d.TakesValue(), takes: valueOf(f.Names()[0], d.GetUsage())}
		for _, name := range f.Names() {
			c.names = append(c.names, dashes(name))
		}
		if !slices.ContainsFunc(all, func(o completed) bool { return o.names[0] == c.names[0] }) { // the library lists --help twice
			all = append(all, c)
		}
	}
	return all
}

// flagWords joins the names of the flags, or with valued only of those that take a value.
func flagWords(flags []completed, valued bool) string {
	var all []string
	for _, f := range flags {
		if f.value || !valued {
			all = append(all, f.names...)
		}
	}
	return strings.Join(all, " ")
}

func commandNames(all []level) string {
	var list []string
	for _, l := range all[1:] {
		list = append(list, l.name)
	}
	return strings.Join(list, " ")
}

// services is a shell command that lists the sections [service.NAME] of the policy. The shell variable policy holds the
// file of --policy.
const services = `sed -nE 's/^[[:space:]]*\[service\.("([^"]+)"|([A-Za-z0-9_-]+)).*/\2\3/p' \
    "${policy:-${ARENACAP_POLICY:-/etc/arenacap/policy.toml}}" 2>/dev/null | sort -u`

// units is a shell command that lists the services of systemd by their unit files.
const units = `find /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system -maxdepth 1 -name '*.service' 2>/dev/null | sed 's|.*/||' | sort -u`

func bashCompletion(app *cli.App) string {
	all := levels(app)
	var cases, values strings.Builder
	seen := map[string]bool{}
	for _, l := range all {
		fmt.Fprintf(&cases, "  %q) flags=%q valued=%q operand=%q ;;\n", l.name, flagWords(l.flags, false), flagWords(l.flags, true), operandOf[l.name])
		for _, f := range l.flags {
			if f.takes != "" && !seen[f.names[0]] {
				seen[f.names[0]] = true
				fmt.Fprintf(&values, "  %s) echo %q ;;\n", f.names[0], f.takes)
			}
		}
	}
	return fmt.Sprintf(bashText, cases.String(), values.String(), commandNames(all), services, units)
}

const bashText = `# bash completion for arenacap
_arenacap_level() {
  case $1 in
%s  esac
}
_arenacap_value() {
  case $1 in
%s  esac
}
_arenacap_offer() { # what a flag or an operand takes
  case $1 in
  PROGRAM) [[ $cur == */* ]] && _arenacap_files -f || mapfile -t COMPREPLY < <(compgen -c -- "$cur" | sort -u) ;;
  FILE) _arenacap_files -f ;;
  DIR) _arenacap_files -d ;;
  PID) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$cur") ;;
  COMMAND) mapfile -t COMPREPLY < <(compgen -W %q -- "$cur") ;;
  NAME) mapfile -t COMPREPLY < <(compgen -W "$(%s)" -- "$cur") ;;
  UNIT) [[ $cur == */* ]] && _arenacap_files -f || mapfile -t COMPREPLY < <(compgen -W "$(%s)" -- "$cur") ;;
  *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur") ;;
  esac
}
_arenacap_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}
_arenacap() {
  local cur=${COMP_WORDS[COMP_CWORD]} command= flags= valued= operand= policy= last= dashed= word i
  COMPREPLY=()
  _arenacap_level ""
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $last ]]; then # $word is its value; "=" is a separate word
      [[ $word == = ]] && continue
      [[ $last == --policy ]] && policy=$word
      last=
    elif [[ $word == -- ]]; then
      dashed=yes; ((i++)); break
    elif [[ $word == -* ]]; then
      [[ " $valued " == *" $word "* ]] && last=$word
    elif [[ $command ]]; then
      break
    else
      command=$word; _arenacap_level "$command"
    fi
  done
  [[ $cur == = ]] && cur=
  if [[ $last ]]; then
    _arenacap_offer "$(_arenacap_value "$last")"
  elif [[ $operand == PROGRAM ]] && ((i < COMP_CWORD)); then # the target's arguments
    if declare -F _comp_command_offset >/dev/null; then _comp_command_offset "$i"
    elif declare -F _command_offset >/dev/null; then _command_offset "$i"
    else _arenacap_files -f; fi
  elif [[ $cur == -* && ! $dashed ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
  elif [[ $operand ]]; then
    _arenacap_offer "$operand"
  fi
}
complete -F _arenacap arenacap
`

func zshCompletion(app *cli.App) string {
	all := levels(app)
	var list, cases strings.Builder
	for _, l := range all[1:] {
		fmt.Fprintf(&list, "    %s\n", inQuotes(l.name+":"+l.usage))
		fmt.Fprintf(&cases, "  %s) _arguments -S -A '-*'%s%s ;;\n", l.name, zshFlags(l.flags), zshOperands[operandOf[l.name]])
	}
	return fmt.Sprintf(zshText, services, units, list.String(), zshFlags(all[0].flags), cases.String())
}

const zshText = `#compdef arenacap
# zsh completion for arenacap
_arenacap_services() {
  local policy=${opt_args[--policy]:-$before} && compadd -- $(%s)
}
_arenacap_target() { # completes PROGRAM and its arguments with their own completions
  [[ $words[1] == -- ]] && shift words && ((CURRENT--))
  _normal
}
_arenacap_units() {
  [[ $PREFIX == */* ]] && _files || compadd -- $(%s)
}
_arenacap() {
  local -a subcommands
  local context state line ret=1
  typeset -A opt_args
  subcommands=(
%s  )
  _arguments -C -A '-*'%s '1:command:->command' '*::arg:->args' && ret=0
  local before=${opt_args[--policy]} # _arguments overwrites opt_args
  case $state in
  command) _describe command subcommands && ret=0 ;;
  args) case $words[1] in
%s  esac && ret=0 ;;
  esac
  return ret
}
_arenacap "$@"
`

// zshOperands are the operands of a command, as arguments of _arguments.
var zshOperands = map[string]string{
	takesProgram: " '(-)1:program:_command_names -e' '*:: :_arenacap_target'", takesPID: " '*:pid:_pids'", takesFile: " '*:file:_files'",
	takesUnit: " '*:unit:_arenacap_units'", takesCommand: " '1:command:{ _describe command subcommands }'", takesFolder: " '1:folder:_files -/'",
}

func zshFlags(flags []completed) string {
	var b strings.Builder
	for _, f := range flags {
		for _, name := range f.names {
			spec := "[" + strings.NewReplacer("[", "(", "]", ")", ":", ",").Replace(f.usage) + "]"
			switch {
			case f.value:
				spec = name + "=" + spec + ":value:" + zshValue(f.takes)
			default:
				spec = name + spec
			}
			b.WriteString(" " + inQuotes(spec))
		}
	}
	return b.String()
}

func zshValue(takes string) string {
	switch takes {
	case takesFile:
		return "_files"
	case takesFolder:
		return "_files -/"
	case takesService:
		return "_arenacap_services"
	}
	return "(" + takes + ")"
}

func fishCompletion(app *cli.App) string {
	all := levels(app)
	var cases, lines strings.Builder
	for _, l := range all {
		fmt.Fprintf(&cases, "        case '%s'\n            set valued %s\n", l.name, flagWords(l.flags, true))
		for _, f := range l.flags {
			fmt.Fprintf(&lines, "complete -c arenacap -n '__arenacap_at %q' %s\n", l.name, fishFlag(f))
		}
		if l.name != "" {
			fmt.Fprintf(&lines, "complete -c arenacap -n '__arenacap_at \"\"' -a %s -d %s\n", l.name, inFishQuotes(l.usage))
			fmt.Fprintf(&lines, "complete -c arenacap -n '__arenacap_in %s' %s\n", l.name, fishOffer(operandOf[l.name], commandNames(all)))
		}
	}
	return fmt.Sprintf(fishText, inFishQuotes(services), inFishQuotes(units), cases.String()) + lines.String()
}

const fishText = `# fish completion for arenacap
complete -c arenacap -f
function __arenacap_services
    set -lx policy (string match -r -g -- '--policy[= ](\S+)' (commandline -p))
    sh -c %s
end
function __arenacap_units
    sh -c %s
end
# Prints the command and, on the next line, the index of its first operand.
function __arenacap_parse
    set -l words (commandline -opc)
    set -l command
    set -l last
    __arenacap_valued ''
    for i in (seq 2 (count $words))
        if test -n "$last"
            set last
        else if test "$words[$i]" = --
            printf '%%s\n' "$command" (math $i + 1)
            return
        else if string match -q -- '-*' $words[$i]
            contains -- $words[$i] $__arenacap_flags; and set last $words[$i]
        else if test -n "$command"
            printf '%%s\n' "$command" $i
            return
        else
            set command $words[$i]
            __arenacap_valued $command
        end
    end
    printf '%%s\n' "$command"
end
function __arenacap_valued
    set -l valued
    switch $argv[1]
%s    end
    set -g __arenacap_flags $valued
end
function __arenacap_in
    set -l parsed (__arenacap_parse)
    test "$parsed[1]" = "$argv[1]"
end
function __arenacap_at
    set -l parsed (__arenacap_parse)
    test "$parsed[1]" = "$argv[1]" -a (count $parsed) -eq 1
end
# Completes PROGRAM and its arguments with their own completions.
function __arenacap_target
    set -l parsed (__arenacap_parse)
    set -l words (commandline -opc)
    set -l target
    test (count $parsed) -eq 2; and test $parsed[2] -le (count $words); and set target $words[$parsed[2]..]
    set -a target (commandline -ct)
    string match -q -- '-*' $target[1]; or complete -C (string join ' ' -- (string escape -- $target[..-2]) $target[-1])
end
`

func fishFlag(f completed) string {
	var b strings.Builder
	for _, name := range f.names {
		if long, ok := strings.CutPrefix(name, "--"); ok {
			b.WriteString("-l " + long + " ")
		} else {
			b.WriteString("-s " + name[1:] + " ")
		}
	}
	if f.value {
		b.WriteString("-r " + fishOffer(f.takes, "") + " ")
	}
	return b.String() + "-d " + inFishQuotes(f.usage)
}

func fishOffer(takes, commands string) string {
	switch takes {
	case takesFile:
		return "-F"
	case takesProgram:
		takes = "(__arenacap_target)"
	case takesPID:
		takes = "(__fish_complete_pids)"
	case takesFolder:
		takes = "(__fish_complete_directories)"
	case takesUnit:
		takes = "(__arenacap_units)"
	case takesService:
		takes = "(__arenacap_services)"
	case takesCommand:
		takes = commands
	}
	return "-f -a '" + takes + "'"
}
