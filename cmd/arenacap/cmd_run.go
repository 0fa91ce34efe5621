package main

// The command run, as far as package run leaves it to urfave/cli.

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
		Usage:     "run a program under the policy: the main job",
		UsageText: "arenacap run [flags] [--] PROGRAM [ARG…]",
		Description: "Sets MALLOC_ARENA_MAX and MALLOC_ARENA_TEST by the policy and executes PROGRAM\n" +
			"in arenacap's place: same PID, parent, descriptors, limits. With a budget, a\n" +
			"separate process watches it. Everything behind PROGRAM is passed on untouched.\n\n" +
			"Exit status: that of PROGRAM; 125 if arenacap itself failed, 126 if PROGRAM was\n" +
			"found but cannot be run, 127 if it was not found. With --supervise: 128+n if\n" +
			"signal n ended PROGRAM, 124 if arenacap did, over its budget.",
		Action: runProgram,
	}
}

// runProgram launches what package early leaves: a line that is unusual, or a plan that needs gopsutil.
func runProgram(c *cli.Context) error {
	l := lineOf(c)
	if !c.Bool("dry-run") || len(l.Args) == 0 {
		return l.Launch(gopsutil.Root("/"))
	}
	return dryRun(c, l)
}

// dryRun prints what run would do.
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
