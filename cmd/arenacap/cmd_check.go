package main

// The command check.

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/policy"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "validate policy files",
		UsageText: "arenacap check FILE…",
		Description: "Names every problem of every file with its line, its column and a hint.\n\n" +
			"Exit status: 0 if all files are valid, 1 if one is not.",
		Action: check,
	}
}

func check(c *cli.Context) error {
	if err := refuseFlags(c); err != nil {
		return err
	}
	if c.NArg() == 0 {
		return say.Usage("check", "no FILE to check")
	}
	v, bad := speaker(c), false
	for _, file := range c.Args().Slice() {
		problems := policy.Check(file)
		for _, p := range problems {
			fmt.Fprintln(c.App.Writer, p)
		}
		if len(problems) > 0 {
			bad = true
			continue
		}
		v.Explain("%s is valid", file)
	}
	if bad {
		return say.No
	}
	return nil
}
