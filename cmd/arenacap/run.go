package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"arenacap/launcher"
	"arenacap/launcher/environ"
	"arenacap/launcher/origin"
	"arenacap/launcher/target"
	"arenacap/launcher/watch"
	"arenacap/policy"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a program under the policy: the main job",
		UsageText: "arenacap run [flags] [--] PROGRAM [ARG…]",
		Description: "Sets MALLOC_ARENA_MAX and MALLOC_ARENA_TEST by the policy and executes PROGRAM in arenacap's place: same\n" +
			"PID, parent, descriptors, limits. With a budget, a separate process watches it. Everything behind PROGRAM\n" +
			"is passed on untouched.\n\n" +
			"Exit status: that of PROGRAM; 125 if arenacap itself failed, 126 if PROGRAM was found but cannot be run,\n" +
			"127 if it was not found. With --supervise: 128+n if signal n ended PROGRAM, 124 if arenacap did, over its\n" +
			"budget.",
		Flags: slices.Concat(globalFlags(), capFlags(), []cli.Flag{
			budgetFlag(),
			&cli.StringFlag{Name: "argv0", Usage: "PROGRAM gets `NAME` as its zeroth argument, instead of its own"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the plan instead", DisableDefaultText: true},
		}, superviseFlags()),
		Action: run,
	}
}

func run(c *cli.Context) error {
	if c.NArg() == 0 {
		return launchError{&usageError{"run", "no PROGRAM to run"}}
	}
	if c.Bool("dry-run") {
		return dryRun(c)
	}
	plan, err := makePlan(c, false)
	if err != nil {
		return launchError{err}
	}
	v := speaker(c)
	explainPlan(v, plan)
	l, err := prepareLaunch(plan, c.Args().Slice(), v)
	if err != nil {
		return err
	}
	if given(c, "argv0") {
		l.Args[0] = c.String("argv0")
	}
	if yes, why := supervises(c, plan); yes {
		v.explain("supervised: %s", why)
		return supervise(c, l, v)
	}
	if err := superviseOnly(c); err != nil {
		return launchError{err}
	}
	// Exec returns only when the target did not start.
	return notStarted(c, launcher.Exec(l))
}

// dryRun prints what run would do.
func dryRun(c *cli.Context) error {
	plan, err := makePlan(c, everything)
	if err != nil {
		return launchError{err}
	}
	view := newPlanView(plan, origin.Environ())
	if err := view.examine(c.Args().First()); err != nil {
		return &launcher.StartError{Err: err}
	}
	return view.print(c.App.Writer)
}

// prepareLaunch finds the program, works out its environment and what its watch needs to know, and refuses
// or warns where the cap cannot work.
func prepareLaunch(plan policy.Plan, args []string, v voice) (launcher.Launch, error) {
	env := environ.Apply(origin.Environ(), plan)
	for _, line := range env.Conflicts {
		v.note("%s", line)
	}
	for _, entry := range env.Set {
		v.explain("set %s", entry)
	}
	for _, name := range env.Removed {
		v.explain("removed %s", name)
	}
	path, err := target.Find(args[0], origin.Environ())
	if err != nil {
		return launcher.Launch{}, &launcher.StartError{Err: err}
	}
	l := launcher.Launch{Plan: plan, Path: path, Args: args, Env: env.Env}
	if err := judge(plan, path, env.Env, v); err != nil {
		return l, launchError{err}
	}
	v.explain("target: %s", path)
	if len(plan.Limits) == 0 {
		return l, nil
	}
	config := watchConfig(plan, v)
	config.PID, config.Program, config.Mode = os.Getpid(), absolute(path), "exec"
	config.OnUnenforceable = plan.Policy.Launch.OnUnenforceable
	if l.Watch, err = config.Encode(); err != nil {
		return l, launchError{fmt.Errorf("the watch's configuration: %w", err)}
	}
	l.WatchLine = func(reason string) ([]byte, string) { return watch.FailedLine(config, os.Getpid(), reason) }
	l.WatchFailed = func(reason string) { watch.Failed(config, os.Getpid(), reason) }
	return l, nil
}

// judge says before the start that the cap cannot work on this program: as far as a few header reads tell, or
// thoroughly where the policy refuses such a start. Where there is a watch, it warns at leisure instead.
func judge(plan policy.Plan, path string, env []string, v voice) error {
	rule := plan.Policy.Launch.OnUnenforceable
	if plan.ArenaMax == 0 || rule == "ignore" || rule == "warn" && len(plan.Limits) > 0 {
		return nil
	}
	look := target.Quick
	if rule == "refuse" {
		look = target.Examine
	}
	switch t := look(path, env); {
	case t.CanCap != target.No:
	case rule == "refuse":
		return fmt.Errorf(`the cap cannot work, because %s; on_unenforceable = "refuse" forbids the start`, t.Why[0])
	default:
		v.note("the cap cannot work, because %s", t.Why[0])
	}
	return nil
}

// absolute is the path from "/", where a watch process lives.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// watchConfig is what a watch needs to know of a plan.
func watchConfig(plan policy.Plan, v voice) watch.Config {
	file := plan.Policy.File
	if file != "" {
		file = absolute(file) // a command reads it from "/"
	}
	return watch.Config{
		Service: plan.Policy.Service, PolicyFile: file, Path: os.Getenv("PATH"),
		Cap: plan.ArenaMax, Budget: plan.Policy.Budget, Limits: plan.Limits, Log: plan.Policy.Log,
		Verbose: v.verbose, Quiet: v.quiet,
	}
}

// judgeForWatch is how a watch process finds out, beside the target and at leisure, why the cap cannot work.
func judgeForWatch(config watch.Config, env []string) []string {
	t := target.Examine(config.Program, env)
	if t.CanCap != target.No {
		return nil
	}
	return []string{"the cap cannot work, because " + t.Why[0]}
}
