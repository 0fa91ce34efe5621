package main

// This file has the command env. Its dialects are in env_dialects.go.

import (
	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/launcher/environ"
	"arenacap/launcher/origin"
)

func envCommand() *cli.Command {
	return &cli.Command{
		Name:      "env",
		Usage:     "print the variables, as shell commands or as a file",
		UsageText: "eval \"$(arenacap env)\"\n   arenacap env --shell fish | source\n   arenacap env --shell kubernetes",
		Description: "Prints the variables that run would set and unset: as shell commands, as a file\n" +
			"for systemd or docker, or as lines for a Slurm TaskProlog. systemd and docker\n" +
			"files cannot unset a variable, so they set it to an empty value, which glibc\n" +
			"ignores. Budgets have no effect, because env launches nothing.\n\n" +
			"The dialect kubernetes is the env list of a container. This list depends only\n" +
			"on the policy and the flags, not on this machine: a per-core cap refers to\n" +
			"limits.cpu.",
		Flags:  []cli.Flag{&cli.StringFlag{Name: "shell", Value: "sh", Usage: "`DIALECT` is " + dialectsInWords()}},
		Action: env,
	}
}

func env(c *cli.Context) error {
	if err := refuseOperands(c); err != nil {
		return err
	}
	if c.String("shell") == kubernetes {
		return envKubernetes(c)
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
