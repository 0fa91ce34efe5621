package main

// This file has the command plan.

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ/glibc"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "show what run would set on this machine, and why",
		UsageText: "arenacap plan [--json] [--arenas CAP] [--cores N] [--budget SIZE] [--glibc VERSION] [--32] [PROGRAM [ARG…]]",
		Description: "Prints what run would set on this machine under this policy: each source of the\n" +
			"number of cores, the rule that applies, glibc's own limit, and the address\n" +
			"space of arenas in the worst case. With PROGRAM, plan also prints the carriers\n" +
			"in front of the server (env, sudo, sh -c, …), the libraries of the server, and\n" +
			"whether the cap reaches that server and works. --glibc, --cores and --32 show\n" +
			"the arena limit of another glibc, of another machine and of a 32-bit program.",
		Flags: []cli.Flag{
			boolFlag("json", "print one JSON object"),
			textFlag("glibc", "show the arena limit of glibc `VERSION` (2.36; 2.26.0 is a release without later patches)"),
			boolFlag("32", "show the arena limit of a 32-bit program"),
		},
		Action: plan,
	}
}

func plan(c *cli.Context) error {
	if err := refuseOwnFlags(c); err != nil {
		return err
	}
	made, err := makePlan(lineOf(c), everything)
	if err != nil {
		return err
	}
	if c.Bool("32") {
		made.Machine.Heap = glibc.Version{Bits32: true}.HeapBytes()
		if made, err = made.Policy.Resolve(made.Machine); err != nil {
			return err
		}
	}
	speaker(c).Notes(made.Policy.Notes)
	view := newPlanView(made)
	if c.NArg() > 0 {
		if err := view.examine(c.Args().Slice()); err != nil {
			return err
		}
	}
	var version *string
	if c.IsSet("glibc") {
		version = new(c.String("glibc"))
	}
	if err := view.suppose(version, c.Bool("32")); err != nil {
		return badFlag(c, "glibc", err)
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, view.json())
	}
	return view.print(c.App.Writer)
}

// refuseOwnFlags refuses a flag of the command "plan" that comes after PROGRAM, unless "--" precedes PROGRAM. "plan"
// runs nothing, so the flag was probably meant for "plan".
func refuseOwnFlags(c *cli.Context) error {
	args := c.Args().Slice()
	if before := len(os.Args) - len(args) - 1; before >= 0 && os.Args[before] == "--" {
		return nil
	}
	for _, arg := range args[min(1, len(args)):] {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
			return say.Usage("plan", fmt.Sprintf("flag %q comes after PROGRAM; put the flag first, or write \"--\" before PROGRAM", arg))
		}
	}
	return nil
}
