package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"arenacap/launcher"
	"arenacap/launcher/watch"
	"arenacap/policy"
)

// superviseFlags are those of run that keep arenacap as the parent, and what it does there.
func superviseFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "supervise", Usage: "stay as the parent: forward signals, reap, pass on the status", DisableDefaultText: true},
		&cli.BoolFlag{Name: "kill-group", Usage: "give PROGRAM a process group of its own and forward signals to all of it", DisableDefaultText: true},
		&cli.BoolFlag{Name: "wait-orphans", Usage: "end only when everything that PROGRAM left has ended", DisableDefaultText: true},
		&cli.StringFlag{Name: "parent-death-signal", Usage: "PROGRAM gets the signal `SIG` (TERM, 15, …) when arenacap dies"},
		&cli.BoolFlag{Name: "reraise", Usage: "when a signal ended PROGRAM, end by the same signal instead of status 128+n", DisableDefaultText: true},
		&cli.BoolFlag{Name: "summary", Usage: "say one line at the end: time, peaks, arenas, breaches", DisableDefaultText: true},
	}
}

// supervises decides the mode, and says why. auto executes in place, but supervises where the watch would
// otherwise be the target's child.
func supervises(c *cli.Context, plan policy.Plan) (yes bool, why string) {
	switch mode := plan.Policy.Launch.Mode; {
	case c.Bool("supervise"):
		return true, "--supervise"
	case mode == "supervise":
		return true, `mode = "supervise"`
	case mode == "auto" && len(plan.Limits) > 0:
		if err := launcher.CanDetach(); err != nil {
			return true, err.Error()
		}
	}
	return false, ""
}

// superviseOnly refuses flags that say how to supervise where nothing supervises.
func superviseOnly(c *cli.Context) error {
	for _, f := range named(superviseFlags()) {
		if name := f.Names()[0]; given(c, name) {
			return &usageError{"run", "--" + name + " needs --supervise"}
		}
	}
	return nil
}

// endedError carries the status of a target that ran.
type endedError struct{ status int }

func (endedError) Error() string { return "" }

// statusTerminated is what a target gives that was ended over its budget, as with timeout(1).
const statusTerminated = 124

// supervise starts the target as a child and ends as it does.
func supervise(c *cli.Context, l launcher.Launch, v voice) error {
	s := launcher.Supervision{KillGroup: c.Bool("kill-group"), WaitOrphans: c.Bool("wait-orphans")}
	var err error
	if s.ParentDeath, err = parseParentDeath(c); err != nil {
		return launchError{err}
	}
	config := watchConfig(l.Plan, v)
	config.Program, config.Mode = l.Path, "supervise"
	if len(config.Limits) > 0 || c.Bool("summary") {
		s.Watch = &config
	}
	if l.Plan.Policy.Launch.OnUnenforceable == "warn" && config.Cap != 0 && len(config.Limits) > 0 {
		s.Notices = func() []string { return judgeForWatch(config, l.Env) }
	}
	e, err := launcher.Supervise(l, s)
	if err != nil {
		return notStarted(c, err)
	}
	if c.Bool("summary") {
		v.line("%s", summary(config, e))
	}
	if c.Bool("reraise") {
		e.Reraise()
	}
	return endedError{endStatus(e)}
}

// notStarted is the error of a launch whose target never ran. It names the program as it was typed, not by --argv0.
func notStarted(c *cli.Context, err error) error {
	var start *launcher.StartError
	if errors.As(err, &start) {
		if start.Name != "" {
			start.Name = c.Args().First()
		}
		return start
	}
	return launchError{err}
}

// endStatus is the target's own, or as shells have it where a signal ended the target.
func endStatus(e launcher.Ending) int {
	switch {
	case e.Terminated:
		return statusTerminated
	case e.Status.Signaled():
		return 128 + int(e.Status.Signal())
	}
	return e.Status.ExitStatus()
}

func parseParentDeath(c *cli.Context) (unix.Signal, error) {
	s := c.String("parent-death-signal")
	if !given(c, "parent-death-signal") {
		return 0, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= 64 {
		return unix.Signal(n), nil
	}
	if n := unix.SignalNum("SIG" + strings.TrimPrefix(s, "SIG")); n != 0 {
		return n, nil
	}
	return 0, badFlag(c, "parent-death-signal", fmt.Errorf("%q is no signal; write for example TERM, SIGTERM or 15", s))
}

// summary is the line of --summary. What is not known is left out.
func summary(config watch.Config, e launcher.Ending) string {
	parts := []string{e.Elapsed.Round(time.Millisecond).String()}
	var o watch.Outcome
	if e.Watched != nil {
		o = *e.Watched
	}
	if o.PeakVirtual != 0 {
		parts = append(parts, "peak virtual "+policy.FormatSize(o.PeakVirtual))
	}
	parts = append(parts, "peak resident "+policy.FormatSize(max(o.PeakResident, e.MaxRSS)))
	if o.Arenas != 0 {
		parts = append(parts, fmt.Sprintf("%d arenas", o.Arenas))
	}
	if o.CapKnown {
		parts = append(parts, fmt.Sprintf("cap of %d %s", config.Cap, map[bool]string{true: "kept", false: "not kept"}[o.CapKept]))
	}
	if len(config.Limits) > 0 {
		parts = append(parts, map[bool]string{true: "1 breach", false: fmt.Sprintf("%d breaches", o.Breaches)}[o.Breaches == 1])
	}
	return fmt.Sprintf("summary of %d: %s", e.PID, strings.Join(parts, ", "))
}
