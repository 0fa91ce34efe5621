package run

// This file makes the configuration of a launch's watch.

import (
	"fmt"
	"path/filepath"
	"strings"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher"
	"arenacap/launcher/target"
	"arenacap/launcher/watch"
	"arenacap/launcher/watch/protocol"
	"arenacap/policy"
)

// BecomeWatch runs the watch, and does not return, if this process was started as one.
func BecomeWatch(args []string) {
	if len(args) == 1 && strings.HasPrefix(args[0], protocol.ProcessName) {
		watch.Detached(whyNoCap)
	}
}

// absolute makes a path absolute, because a watch process changes to "/".
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// WatchConfig returns the configuration of a watch for a plan.
func WatchConfig(plan policy.Plan, v say.Voice) watch.Config {
	file := plan.Policy.File
	if file != "" {
		file = absolute(file) // the budget's command runs in "/"
	}
	return watch.Config{
		Service: plan.Policy.Service, PolicyFile: file, Path: variable("PATH"),
		Cap: plan.ArenaMax, Budget: plan.Policy.Budget, Limits: plan.Limits, Log: plan.Policy.Log,
		Journal: say.ToJournal(), Verbose: v.Verbose, Quiet: v.Quiet,
	}
}

// launchWatch returns the configuration of a launch's watch.
func launchWatch(l launcher.Launch, v say.Voice) *watch.Config {
	config := WatchConfig(l.Plan, v)
	config.Program, config.OnUnenforceable = absolute(l.Path), l.Plan.Policy.Launch.OnUnenforceable
	config.Server = config.Program
	return &config
}

// whyNoCap examines the target in the watch, after the start, and returns why the cap cannot reach it or has no effect.
// The launch has already reported problems with carriers. The argument "env" is the environment of the program that the
// target runs now. A start script may have changed the cap in it, so the target is judged with the planned cap.
func whyNoCap(config watch.Config, env []string) []string {
	if config.Server == "" || len(config.Notices) > 0 {
		return nil
	}
	given := []string{fmt.Sprintf("MALLOC_ARENA_MAX=%d", config.Cap)}
	for _, entry := range env {
		if !strings.HasPrefix(entry, "MALLOC_ARENA_MAX=") {
			given = append(given, entry)
		}
	}
	t := target.Examine(config.Server, nil, given)
	if t.CanCap != target.No {
		return nil
	}
	return []string{t.Problem()}
}
