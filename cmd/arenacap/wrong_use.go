package main

// This file reports errors on the command line in arenacap's own words.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/policy"
	"arenacap/policy/text"
)

// wrongUse converts an error of the flag parser to one of the command, or of the app if the argument "sub" is false.
func wrongUse(c *cli.Context, err error, sub bool) error {
	command := ""
	if sub {
		command = c.Command.Name
	}
	err = say.Usage(command, flagMessage(err.Error(), c.Command))
	if command == "run" { // status 125, not 2
		return say.Launch(err)
	}
	return err
}

// flagSynonyms maps the names of flags in other tools to those here.
var flagSynonyms = map[string]string{
	"quiet": "-q", "silent": "-q", "v": "--verbose", "debug": "--verbose", "V": "--version",
	"cap": "--arenas", "max": "--arenas", "limit": "--budget", "memory": "--budget", "config": "--policy", "c": "--policy",
}

func flagMessage(text string, command *cli.Command) string {
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		flag := dashes(name)
		if meant := flagSynonyms[name]; slices.Contains(flagNames(command), meant) {
			return fmt.Sprintf("unknown flag %q; did you mean %q?", flag, meant)
		}
		// Only the app has subcommands. If command is the app, the flag was written before the name of a command.
		for _, c := range command.Subcommands {
			if slices.Contains(flagNames(c), flag) {
				return fmt.Sprintf("flag %q comes before the command; put the flag after the command, as in 'arenacap %s %s'", flag, c.Name, flag)
			}
		}
		if name == "user" && command.Name == "unit" {
			return fmt.Sprintf("unknown flag %q; write the path of the user's unit file, for example ~/.config/systemd/user/NAME.service", flag)
		}
		if key := strings.ReplaceAll(name, "-", "_"); policy.TableOf(key) != "" {
			return fmt.Sprintf("unknown flag %q; set the key %q in [%s] of a policy file", flag, key, policy.TableOf(key))
		}
		// A flag of one letter is not proposed as a correction, because it is similar to every other flag of one letter.
		oneLetter := func(flag string) bool { return len(flag) == len("-q") }
		return unknown("flag", flag, slices.DeleteFunc(flagNames(command), oneLetter))
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return "flag " + quote(dashes(strings.TrimLeft(name, "-"))) + " needs an argument"
	}
	if message, ok := badValue(text, command); ok {
		return message
	}
	return strings.TrimSuffix(strings.Replace(text, " for -", " for --", 1), ": parse error")
}

// unknown reports an unknown word, and a similar name if there is one.
func unknown(kind, word string, names []string) string {
	message := "unknown " + kind + " " + quote(word)
	if hint := text.DidYouMean(word, names); hint != "" {
		message += "; " + hint
	}
	return message
}

// badValue rewords what package flag reports for a value that it cannot parse:
//
//	invalid value "1e9" for flag -rounds: parse error
func badValue(text string, command *cli.Command) (message string, ok bool) {
	rest, ok := strings.CutPrefix(text, "invalid value ")
	value, err := strconv.QuotedPrefix(rest)
	if !ok || err != nil {
		return "", false
	}
	name, why, _ := strings.Cut(strings.TrimPrefix(rest[len(value):], " for flag -"), ": ")
	wanted, example := wantedValue(command, name)
	switch {
	case wanted == "":
		return "", false
	case why == "value out of range":
		return fmt.Sprintf("--%s: %s is out of range; write for example --%s %s", name, value, name, example), true
	}
	return fmt.Sprintf("--%s: %s is not a %s; write for example --%s %s", name, value, wanted, name, example), true
}

// wantedValue returns the kind of value that a flag takes, and an example.
func wantedValue(command *cli.Command, name string) (wanted, example string) {
	for _, f := range command.Flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		switch f := f.(type) {
		case *cli.DurationFlag:
			return "duration", "30s"
		case *cli.IntFlag:
			return "whole number", strconv.Itoa(f.Value)
		case *cli.Uint64Flag:
			return "whole number of 0 or more", "1"
		}
	}
	return "", ""
}

// refuseDashes refuses a flag, other than --argv0, that took the "--" after it as its value.
func refuseDashes(c *cli.Context) error {
	for _, name := range c.FlagNames() {
		if c.String(name) == "--" && name != "argv0" {
			return wrongUse(c, fmt.Errorf("flag needs an argument: -%s", name), true)
		}
	}
	return nil
}

func quote(s string) string { return strconv.Quote(s) }

func badFlag(c *cli.Context, name string, err error) error {
	return say.Usage(c.Command.Name, "--"+name+": "+err.Error())
}

// refuseFlags refuses operands that look like flags: the flag parser stops at the first operand, and
// "inspect 1 --json" must not silently ignore --json.
func refuseFlags(c *cli.Context) error {
	for _, arg := range c.Args().Slice() {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			return say.Usage(c.Command.Name, "flag "+quote(arg)+" comes after an operand; put flags first")
		}
	}
	return nil
}

func refuseOperands(c *cli.Context) error {
	if c.NArg() > 0 {
		return say.Usage(c.Command.Name, c.Command.Name+" takes no operands; remove "+quote(c.Args().First()))
	}
	return nil
}

// pidOperands parses the PIDs of a command. One operand may hold several, as "$(pidof X)" may; an operand without a PID
// is an error.
func pidOperands(c *cli.Context) (pids []int, err error) {
	command := c.Command.Name
	if err := refuseFlags(c); err != nil {
		return nil, err
	}
	if c.NArg() == 0 {
		return nil, say.Usage(command, "no PID to "+command)
	}
	for _, arg := range c.Args().Slice() {
		words := strings.Fields(arg)
		if len(words) == 0 {
			return nil, say.Usage(command, "the PID is empty: is the program running?")
		}
		for _, word := range words {
			pid, err := strconv.Atoi(word)
			if err != nil || pid < 1 {
				return nil, say.Usage(command, fmt.Sprintf("%q is not a PID; write for example $(pidof mariadbd)", word))
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
