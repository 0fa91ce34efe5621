package main

// This file has the command run, for the launches that package early leaves to urfave/cli.

import (
	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher"
	"arenacap/launcher/machine/gopsutil"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a program under the policy",
		UsageText: "arenacap run [flags] [--] PROGRAM [ARG…]",
		Description: "Sets MALLOC_ARENA_MAX and MALLOC_ARENA_TEST from the policy and execs PROGRAM:\n" +
			"same PID, parent, descriptors and limits. With a budget, a separate process\n" +
			"watches the program. The arguments of PROGRAM are passed on unchanged.\n\n" +
			"Exit status: that of PROGRAM; 125 if arenacap itself failed, 126 if PROGRAM was\n" +
			"found but cannot be executed, 127 if it was not found. With --supervise: 128+n\n" +
			"if signal n ended PROGRAM, 124 if arenacap ended it because of the budget.",
		Action: runProgram,
	}
}

// runProgram launches what package early does not: unusual command lines, and plans that need gopsutil.
func runProgram(c *cli.Context) error {
	l := lineOf(c)
	if !c.Bool("dry-run") || len(l.Args) == 0 {
		return l.Launch(gopsutil.Root("/"))
	}
	return dryRun(c, l)
}

func dryRun(c *cli.Context, l run.Line) error {
	plan, err := makePlan(l, everything)
	if err != nil {
		return say.Launch(err)
	}
	view := newPlanView(plan)
	if err := view.examine(l.Args); err != nil {
		return &launcher.StartError{Err: err}
	}
	return view.print(c.App.Writer)
}
