package main

// The commands help and version, which do what the flags do.

import (
	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
)

// helpCommands are hidden from the list of commands, where the flags of the same names stand below it.
func helpCommands() []*cli.Command {
	return []*cli.Command{{
		Name:      "help",
		Hidden:    true,
		Usage:     "show the help, or that of a command",
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
		return say.Usage("help", "help takes one COMMAND, and "+quote(c.Args().Get(1))+" is another")
	case name == "":
		return cli.ShowAppHelp(c)
	case c.App.Command(name) == nil:
		return unknownCommand(c, name)
	}
	return cli.ShowCommandHelp(c, name)
}
