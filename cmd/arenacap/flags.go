package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
)

// commonFlags are those that package run defines.
func commonFlags(groups ...run.Group) []cli.Flag {
	var flags []cli.Flag
	for _, f := range run.Flags(groups...) {
		if f.Text {
			flags = append(flags, &cli.StringFlag{Name: f.Name, Usage: f.Usage})
		} else {
			flags = append(flags, &cli.BoolFlag{Name: f.Name, Usage: f.Usage, DisableDefaultText: true})
		}
	}
	return flags
}

// lineOf is what the library read, as package run has it.
func lineOf(c *cli.Context) run.Line {
	l := run.Line{Command: c.Command.Name, Args: c.Args().Slice()}
	for _, f := range run.Flags(run.Global, run.Caps, run.Budget, run.Own, run.Supervise) {
		at := flagContext(c, f.Name)
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

// flagContext is where a flag that may stand in two places was given: behind the command, or before it.
func flagContext(c *cli.Context, name string) *cli.Context {
	for _, at := range c.Lineage() {
		if at.Command != nil && slices.Contains(at.LocalFlagNames(), name) {
			return at
		}
	}
	return nil
}

func globalString(c *cli.Context, name string) (value string, given bool) {
	if at := flagContext(c, name); at != nil {
		return at.String(name), true
	}
	return "", false
}

func globalBool(c *cli.Context, name string) bool {
	at := flagContext(c, name)
	return at != nil && at.Bool(name)
}

func speaker(c *cli.Context) say.Voice {
	return say.Voice{Quiet: globalBool(c, "q"), Verbose: globalBool(c, "verbose")}
}

func badFlag(c *cli.Context, name string, err error) error {
	return say.Usage(c.Command.Name, "--"+name+": "+err.Error())
}

// wrongUse turns what the flag parser says into this tool's words.
func wrongUse(c *cli.Context, err error, sub bool) error {
	command := ""
	if sub && c.Command != nil {
		command = c.Command.Name
	}
	return asLaunch(command, say.Usage(command, flagMessage(err.Error(), c)))
}

func flagMessage(text string, c *cli.Context) string {
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		message := "unknown flag " + quote(dashes(name))
		if near := nearestFlag(name, c); near != "" {
			message += "; did you mean " + quote(dashes(near)) + "?"
		}
		return message
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return "flag " + quote(dashes(strings.TrimLeft(name, "-"))) + " needs an argument"
	}
	if message, ok := badValue(text, c); ok {
		return message
	}
	return strings.TrimSuffix(strings.Replace(text, " for -", " for --", 1), ": parse error")
}

// badValue reads what package flag says of a value that it cannot read:
//
//	invalid value "1e9" for flag -rounds: parse error
func badValue(text string, c *cli.Context) (message string, ok bool) {
	rest, ok := strings.CutPrefix(text, "invalid value ")
	value, err := strconv.QuotedPrefix(rest)
	if !ok || err != nil {
		return "", false
	}
	name, why, _ := strings.Cut(strings.TrimPrefix(rest[len(value):], " for flag -"), ": ")
	wanted, example := wantedValue(c, name)
	switch {
	case wanted == "":
		return "", false
	case why == "value out of range":
		return fmt.Sprintf("--%s: %s is out of range; write for example --%s %s", name, value, name, example), true
	}
	return fmt.Sprintf("--%s: %s is no %s; write for example --%s %s", name, value, wanted, name, example), true
}

// wantedValue is what kind of value a flag takes, and one that it would.
func wantedValue(c *cli.Context, name string) (wanted, example string) {
	if c.Command == nil {
		return "", ""
	}
	for _, f := range c.Command.Flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		switch f := f.(type) {
		case *cli.DurationFlag:
			return "duration", "30s"
		case *cli.IntFlag:
			return "whole number", strconv.Itoa(f.Value)
		case *cli.Uint64Flag:
			return "whole number from 0 on", "1"
		}
	}
	return "", ""
}

// dashes is the flag as people type it.
func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + strings.TrimPrefix(name, "-")
}

func nearestFlag(name string, c *cli.Context) string {
	var names []string
	if c.Command != nil {
		for _, f := range c.Command.Flags {
			names = append(names, f.Names()...)
		}
	}
	return closest(strings.TrimLeft(name, "-"), names)
}

func nearest(name string, commands []*cli.Command) string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return closest(name, names)
}

// closest is the name that a typing mistake may have meant, or "".
func closest(name string, names []string) string {
	best, bestDistance := "", 3
	for _, n := range names {
		if d := smetrics.WagnerFischer(name, n, 1, 1, 1); d < bestDistance && d < len(n) {
			best, bestDistance = n, d
		}
	}
	return best
}

func quote(s string) string { return strconv.Quote(s) }

// refuseFlags refuses operands that look like flags: the flag parser stops at the first operand, and
// "inspect 1 --json" must not silently ignore --json.
func refuseFlags(c *cli.Context) error {
	for _, arg := range c.Args().Slice() {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			return say.Usage(c.Command.Name, "flag "+quote(arg)+" stands behind an operand; put flags first")
		}
	}
	return nil
}

// asLaunch marks a mistake in the use of run: its status is 125, not 2.
func asLaunch(command string, err error) error {
	if command == "run" {
		return say.Launch(err)
	}
	return err
}
