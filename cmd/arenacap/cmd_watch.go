package main

// The command watch.

import (
	"fmt"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/watch"
)

func watchCommand() *cli.Command {
	return &cli.Command{
		Name:      "watch",
		Usage:     "watch the budget of programs that already run",
		UsageText: "arenacap watch [flags] PID…",
		Description: "Samples each process under the budget of the policy until it ends, or until INT,\n" +
			"TERM or QUIT ends the watch. On a terminal it says what it watches and, at the\n" +
			"end, what it saw.\n\n" +
			"Exit status: 0 if none breached its budget, 1 if one did or could not be\n" +
			"watched.",
		Action: watchPIDs,
	}
}

func watchPIDs(c *cli.Context) error {
	pids, err := pidOperands(c)
	if err != nil {
		return err
	}
	plan, err := makePlan(lineOf(c), 0)
	if err != nil {
		return err
	}
	if size, _ := lineOf(c).Text("budget"); size == "off" {
		return say.Usage("watch", "--budget off leaves nothing to watch for; write --budget 4GiB")
	}
	if len(plan.Limits) == 0 {
		return fmt.Errorf("no budget to watch for: %s has none; write --budget 4GiB, or name a service with --service", run.PolicyName(plan.Policy))
	}
	config := run.WatchConfig(plan, speaker(c))
	config.Mode, config.Cap = "attach", 0
	if isTerminal(os.Stderr) { // somebody waits: what is watched, and at the end what was seen
		config.Verbose = true
		if config.Log.To != "stderr" {
			speaker(c).Note("the events go to %s", config.Log.To)
		}
	}
	targets, failed := watch.AttachAll(pids)
	for _, err := range failed {
		say.Report(err)
	}
	outcomes, err := watch.Run(c.Context, config, targets)
	if err != nil {
		return err
	}
	if len(failed) > 0 || slices.ContainsFunc(outcomes, func(o watch.Outcome) bool { return o.Breaches > 0 }) {
		return say.No
	}
	return nil
}
