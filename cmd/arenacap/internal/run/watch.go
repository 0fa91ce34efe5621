package run

// What a launch and its watch have to agree on.

import (
	"path/filepath"
	"strings"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher"
	"arenacap/launcher/target"
	"arenacap/launcher/watch"
	"arenacap/policy"
)

// BecomeWatch does not return where this process was started as the watch of a target.
func BecomeWatch(args []string) {
	if len(args) == 1 && strings.HasPrefix(args[0], watch.ProcessName) {
		watch.Detached(whyNoCap)
	}
}

// absolute is the path from "/", where a watch process lives.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// WatchConfig is what a watch needs to know of a plan.
func WatchConfig(plan policy.Plan, v say.Voice) watch.Config {
	file := plan.Policy.File
	if file != "" {
		file = absolute(file) // a command reads it from "/"
	}
	return watch.Config{
		Service: plan.Policy.Service, PolicyFile: file, Path: variable("PATH"),
		Cap: plan.ArenaMax, Budget: plan.Policy.Budget, Limits: plan.Limits, Log: plan.Policy.Log,
		Journal: say.ToJournal(), Verbose: v.Verbose, Quiet: v.Quiet,
	}
}

// launchWatch is what the watch of a launch needs to know.
func launchWatch(l launcher.Launch, v say.Voice) *watch.Config {
	config := WatchConfig(l.Plan, v)
	config.Program, config.OnUnenforceable = absolute(l.Path), l.Plan.Policy.Launch.OnUnenforceable
	config.Server = config.Program
	return &config
}

// whyNoCap is how a watch finds out, beside the target and at leisure, why the cap cannot arrive or work. What there is
// to say of carriers was said by the launch.
func whyNoCap(config watch.Config, env []string) []string {
	if config.Server == "" || len(config.Notices) > 0 {
		return nil
	}
	if problem := target.Examine(config.Server, nil, env).Problem(); problem != "" {
		return []string{problem}
	}
	return nil
}
