package main

// The command env. How each dialect is written stands in env_dialects.go.

import (
	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/launcher/environ"
	"arenacap/launcher/origin"
)

func envCommand() *cli.Command {
	return &cli.Command{
		Name:      "env",
		Usage:     "print the variables for sourcing",
		UsageText: "eval \"$(arenacap env)\"\n   arenacap env --shell fish | source",
		Description: "Prints what run would set and remove, as commands of a shell, as a file, or as\n" +
			"what a TaskProlog of Slurm prints. systemd and docker files cannot remove a\n" +
			"variable: it becomes empty there, which glibc ignores. A budget has no effect\n" +
			"here, since nothing is launched.",
		Flags:  []cli.Flag{&cli.StringFlag{Name: "shell", Value: "sh", Usage: "`DIALECT` is " + dialectsInWords()}},
		Action: env,
	}
}

func env(c *cli.Context) error {
	if err := refuseOperands(c); err != nil {
		return err
	}
	plan, err := makePlan(lineOf(c), 0)
	if err != nil {
		return err
	}
	run.Explain(speaker(c), plan)
	text, err := renderEnv(c.String("shell"), environ.Changes(origin.Environ(), plan))
	if err != nil {
		return err
	}
	_, err = c.App.Writer.Write([]byte(text))
	return err
}
