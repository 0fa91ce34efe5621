package main

// This file has the command watch.

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/watch"
	"arenacap/launcher/watch/statefile"
)

func watchCommand() *cli.Command {
	return &cli.Command{
		Name:      "watch",
		Usage:     "watch the budget of programs that already run",
		UsageText: "arenacap watch [flags] PID…\n   arenacap watch [flags] --services [--state FILE]",
		Description: "Samples each process under the budget of the policy until it ends, or until\n" +
			"INT, TERM or QUIT ends the watch. On a terminal the watch prints what it\n" +
			"watches and, at the end, what it saw; in between a table at the bottom shows\n" +
			"each limit, except with -q, NO_COLOR, TERM=dumb or JSON events.\n\n" +
			"With --services, watch finds the processes of each service of the policy that\n" +
			"has a budget ([service.NAME.match]), also those that start later, and continues\n" +
			"until INT, TERM or QUIT; HUP reads the policy again.\n\n" +
			"Exit status: 0 if no process breached its budget, 1 if one did or could not\n" +
			"be watched. With --services: 0.",
		Flags: []cli.Flag{
			boolFlag("services", "watch every service of the policy that has a budget"),
			textFlag("state", "keep the counters and the state of the targets in `FILE` (default: "+statefile.Path+")"),
		},
		Action: func(c *cli.Context) error {
			if c.Bool("services") {
				return watchServices(c)
			}
			return watchPIDs(c)
		},
	}
}

// watchServices runs "watch --services": one process watches all services of the policy that have a budget.
func watchServices(c *cli.Context) error {
	if err := refuseOperands(c); err != nil {
		return err
	}
	line := lineOf(c)
	if _, given := line.Text("service"); given {
		return say.Usage("watch", "--services watches all services; remove --service")
	}
	load := func() ([]watch.Service, error) { return hostServices(line) }
	services, err := load()
	if err != nil {
		return err
	}
	var configs []watch.Config
	for _, s := range services {
		configs = append(configs, s.Config)
	}
	screen := newWatchScreen("SERVICE", configs...)
	defer screen.close()
	return watch.RunServices(c.Context, watch.Host{
		Services: services, Reload: load, State: cmp.Or(c.String("state"), statefile.Path), Say: line.Voice().Note, Lookup: run.Variable, Screen: screen.view(),
	})
}

// hostServices returns each service of the policy with its configuration for the watch.
func hostServices(line run.Line) (services []watch.Service, err error) {
	plans, err := line.Services(gopsutil.Root("/"))
	if err != nil {
		return nil, err
	}
	for _, plan := range plans {
		config := run.WatchConfig(plan, line.Voice())
		config.Mode, config.Cap = "attach", 0
		services = append(services, watch.Service{Policy: plan.Policy, Config: config})
	}
	return services, nil
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
		return say.Usage("watch", "--budget off removes every limit, so there is nothing to watch; write for example --budget 4GiB")
	}
	if len(plan.Limits) == 0 {
		return fmt.Errorf("no budget to watch: the policy (%s) sets none; write --budget 4GiB, or name a service with --service", run.PolicyName(plan.Policy))
	}
	config := run.WatchConfig(plan, speaker(c))
	config.Mode, config.Cap = "attach", 0
	if isTerminal(os.Stderr) { // a user waits at the terminal: the watch prints what it watches and, at the end, what it saw
		config.Verbose = true
		if config.Log.To != "stderr" {
			speaker(c).Note("the events go to %s", config.Log.To)
		}
	}
	targets, failed := watch.AttachAll(pids)
	for _, err := range failed {
		say.Report(err)
	}
	screen := newWatchScreen("PROCESS", config)
	defer screen.close()
	outcomes, err := watch.Run(c.Context, config, targets, screen.view())
	if err != nil {
		return err
	}
	if len(failed) > 0 || slices.ContainsFunc(outcomes, func(o watch.Outcome) bool { return o.Breaches > 0 }) {
		return say.No
	}
	return nil
}
