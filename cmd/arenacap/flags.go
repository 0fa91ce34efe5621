package main

// This file converts the flags of package run to those of urfave/cli, and finds the values of flags that may also
// precede the command.

import (
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
)

func textFlag(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }

func boolFlag(name, usage string) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: usage, DisableDefaultText: true}
}

// commonFlags returns those flags of a command that package run defines; "" stands for arenacap without a command.
func commonFlags(command string) (flags []cli.Flag) {
	for _, f := range run.Flags(command) {
		usage := f.Usage
		if command == "unit" {
			usage = usageInUnit(usage)
		}
		if f.Text {
			flags = append(flags, textFlag(f.Name, usage))
		} else {
			flags = append(flags, boolFlag(f.Name, usage))
		}
	}
	return flags
}

// lineOf converts the common flags and the operands to the form of package run.
func lineOf(c *cli.Context) run.Line {
	l := run.Line{Command: c.Command.Name, Args: c.Args().Slice()}
	for _, f := range run.Flags("run") { // the command "run" has all of them
		at := givenAt(c, f.Name)
		switch {
		case at == nil:
		case f.Text:
			l.Give(f.Name, at.String(f.Name))
		default:
			l.Give(f.Name, strconv.FormatBool(at.Bool(f.Name)))
		}
	}
	return l
}

// givenAt returns the context in which a flag was given, after the command or before it, or nil.
func givenAt(c *cli.Context, name string) *cli.Context {
	for _, at := range c.Lineage() {
		if at.Command != nil && slices.Contains(at.LocalFlagNames(), name) {
			return at
		}
	}
	return nil
}

func speaker(c *cli.Context) say.Voice { return lineOf(c).Voice() }

// flagNames returns the flags of a command with their dashes.
func flagNames(c *cli.Command) (names []string) {
	for _, f := range c.VisibleFlags() {
		for _, name := range f.Names() {
			names = append(names, dashes(name))
		}
	}
	return names
}

func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + strings.TrimPrefix(name, "-")
}
