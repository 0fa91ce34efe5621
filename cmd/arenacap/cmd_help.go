package main

// This file has the commands help and version, which do the same as the flags --help and --version.

import (
	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
)

// helpCommands are hidden in the list of commands, because the flags of the same names follow that list.
func helpCommands() []*cli.Command {
	return []*cli.Command{{
		Name:      "help",
		Hidden:    true,
		Usage:     "show the help of arenacap or of a command",
		UsageText: "arenacap help [COMMAND]",
		Action:    help,
	}, {
		Name:      "version",
		Hidden:    true,
		Usage:     "print the version and the commit",
		UsageText: "arenacap version",
		Action: func(c *cli.Context) error {
			if err := refuseOperands(c); err != nil {
				return err
			}
			return printVersion(c)
		},
	}}
}

func help(c *cli.Context) error {
	name := c.Args().First()
	switch {
	case c.NArg() > 1:
		return say.Usage("help", "help takes one COMMAND; remove "+quote(c.Args().Get(1)))
	case name == "":
		return cli.ShowAppHelp(c)
	case c.App.Command(name) == nil:
		return unknownCommand(c, name)
	}
	return cli.ShowCommandHelp(c, name)
}
