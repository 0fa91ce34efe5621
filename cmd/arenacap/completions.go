//go:build !urfave_cli_no_docs

package main

// This file finds out what each flag and operand takes, for the completions of bash, zsh and fish. The templates
// completion.bash, completion.zsh and completion.fish make the scripts.

import (
	"embed"
	"slices"
	"strings"
	"text/template"

	"github.com/urfave/cli/v2"
)

//go:embed completion.bash completion.zsh completion.fish
var completionFiles embed.FS

// These texts say which kind of value a flag or an operand takes; the templates know them. Any other text is a list
// of words to offer; "" means that there is nothing to offer.
const (
	takesProgram = "PROGRAM" // a program and its arguments, which the program's own completion completes
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

// valueOf returns what a flag takes: FILE or DIR if that is the placeholder between backquotes in its usage; otherwise
// NAME, a list of words or "", depending on the flag's name.
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

// completion makes the script of a shell.
func completion(app *cli.App, shell string) (string, error) {
	file := "completion." + shell
	t, err := template.New(file).Funcs(template.FuncMap{
		"quote": inQuotes, "fishQuote": inFishQuotes, "fishName": fishName, "zshSpec": zshSpec,
	}).ParseFS(completionFiles, file)
	if err != nil {
		return "", err
	}
	var script strings.Builder
	err = t.Execute(&script, newCompletions(app))
	return script.String(), err
}

// completions is the input of the templates.
type completions struct {
	Levels          []level
	Values          []completed // the flags with a value to offer, each of them once
	Services, Units string      // the shell commands that list the services and the units
}

// level is the app or one of its commands.
type level struct {
	Name, Usage, Operand string
	Flags                []completed
}

type completed struct {
	Names []string // names of the flag: "--help" and "-h"
	Usage string
	Value bool
	Takes string
}

func newCompletions(app *cli.App) (c completions) {
	c.Services, c.Units = services, units
	c.Levels = []level{{Flags: completedFlags(app.VisibleFlags())}}
	for _, command := range app.VisibleCommands() {
		c.Levels = append(c.Levels, level{Name: command.Name, Usage: command.Usage, Flags: completedFlags(append(command.VisibleFlags(), cli.HelpFlag))})
	}
	c.Levels = append(c.Levels, level{Name: "help", Usage: "show the help of arenacap or of a command"}, level{Name: "version", Usage: "print the version"})
	for i := range c.Levels {
		c.Levels[i].Operand = operandOf[c.Levels[i].Name]
		for _, f := range c.Levels[i].Flags {
			if f.Takes != "" && !slices.ContainsFunc(c.Values, f.same) {
				c.Values = append(c.Values, f)
			}
		}
	}
	return c
}

func completedFlags(flags []cli.Flag) (all []completed) {
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		c := completed{Usage: strings.ReplaceAll(d.GetUsage(), "`", ""), Value: d.TakesValue(), Takes: valueOf(f.Names()[0], d.GetUsage())}
		for _, name := range f.Names() {
			c.Names = append(c.Names, dashes(name))
		}
		if !slices.ContainsFunc(all, c.same) { // the library lists --help twice
			all = append(all, c)
		}
	}
	return all
}

func (c completed) same(other completed) bool { return c.Names[0] == other.Names[0] }

// Commands joins the names of the commands.
func (c completions) Commands() string {
	var names []string
	for _, l := range c.Levels[1:] {
		names = append(names, l.Name)
	}
	return strings.Join(names, " ")
}

// Words joins the names of the flags.
func (l level) Words() string { return joined(l.Flags) }

// Valued joins the names of the flags that take a value.
func (l level) Valued() string {
	return joined(slices.DeleteFunc(slices.Clone(l.Flags), func(f completed) bool { return !f.Value }))
}

func joined(flags []completed) string {
	var all []string
	for _, f := range flags {
		all = append(all, f.Names...)
	}
	return strings.Join(all, " ")
}

// services is a shell command that lists the sections [service.NAME] of the policy. The shell variable "policy" holds
// the file of --policy.
const services = `sed -nE 's/^[[:space:]]*\[service\.("([^"]+)"|([A-Za-z0-9_-]+)).*/\2\3/p' \
    "${policy:-${ARENACAP_POLICY:-/etc/arenacap/policy.toml}}" 2>/dev/null | sort -u`

// units is a shell command that lists the services of systemd by their unit files.
const units = `find /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system -maxdepth 1 -name '*.service' 2>/dev/null | sed 's|.*/||' | sort -u`

// zshSpec is the part of a flag's specification for _arguments that follows its name.
func zshSpec(f completed) string {
	usage := "[" + strings.NewReplacer("[", "(", "]", ")", ":", ",").Replace(f.Usage) + "]"
	if !f.Value {
		return usage
	}
	value, ok := map[string]string{takesFile: "_files", takesFolder: "_files -/", takesService: "_arenacap_services"}[f.Takes]
	if !ok {
		value = "(" + f.Takes + ")"
	}
	return "=" + usage + ":value:" + value
}

// fishName returns the option of fish's builtin "complete" that declares the name of a flag: -l and a long name, or -s
// and a letter.
func fishName(name string) string {
	if long, ok := strings.CutPrefix(name, "--"); ok {
		return "-l " + long
	}
	return "-s " + name[1:]
}
