package run

// This file launches the target with arenacap as its parent (--supervise).

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher"
	"arenacap/launcher/watch"
	"arenacap/launcher/watch/journal"
	"arenacap/policy"
	"arenacap/policy/text"
)

// supervises returns true if arenacap starts the target as its child, and false if it becomes the target by exec. It also
// returns the reason. Mode auto chooses exec, unless the exec would make the watch a child of the target (see CanDetach).
func (l Line) supervises(plan policy.Plan) (child bool, why string) {
	switch mode := plan.Policy.Launch.Mode; {
	case l.on("supervise"):
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

// superviseOnly is for a launch that is not supervised: it returns an error if a flag was given that such a launch does
// not take. A boolean flag with the value false requests nothing, so it is allowed.
func (l Line) superviseOnly() error {
	for _, f := range flags {
		if value, given := l.Text(f.Name); given && f.group == supervise && (f.Text || value == "true") {
			return say.Usage(l.Command, "--"+f.Name+" needs --supervise")
		}
	}
	return nil
}

// supervise starts the target as a child and returns its status.
func (l Line) supervise(launch launcher.Launch, v say.Voice) error {
	s := launcher.Supervision{KillGroup: l.on("kill-group"), WaitOrphans: l.on("wait-orphans")}
	var err error
	if s.ParentDeath, err = l.parentDeath(); err != nil {
		return say.Launch(err)
	}
	if config := launch.Watch; config != nil && config.OnUnenforceable == "warn" && config.Cap != 0 {
		s.Notices = func() []string { return whyNoCap(*config, launch.Env) }
	}
	if launch.Watch == nil && l.on("summary") {
		launch.Watch = launchWatch(launch, v)
	}
	e, err := launcher.Supervise(launch, s)
	if err != nil {
		return l.notStarted(err)
	}
	if l.on("summary") {
		v.Line(journal.Info, "%s", summary(*launch.Watch, e))
	}
	if l.on("reraise") {
		e.Reraise()
	}
	return say.Ended(endStatus(e))
}

// notStarted returns the error of a launch whose target never ran. It names the program as typed, not as in --argv0.
func (l Line) notStarted(err error) error {
	var start *launcher.StartError
	if errors.As(err, &start) {
		if start.Name != "" {
			start.Name = l.Args[0]
		}
		return start
	}
	return say.Launch(err)
}

// statusTerminated is the status after arenacap ended the target because of its budget, as in timeout(1).
const statusTerminated = 124

// endStatus returns the target's status, or 128+n if signal n ended it, as in shells.
func endStatus(e launcher.Ending) int {
	switch {
	case e.Terminated:
		return statusTerminated
	case e.Status.Signaled():
		return 128 + int(e.Status.Signal())
	}
	return e.Status.ExitStatus()
}

func (l Line) parentDeath() (unix.Signal, error) {
	s, given := l.Text("parent-death-signal")
	if !given {
		return 0, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= 64 {
		return unix.Signal(n), nil
	}
	if n := unix.SignalNum("SIG" + strings.TrimPrefix(s, "SIG")); n != 0 {
		return n, nil
	}
	return 0, l.bad("parent-death-signal", fmt.Errorf("%q is not a signal; write for example TERM, SIGTERM or 15", s))
}

// summary returns the line of --summary, without unknown values.
func summary(config watch.Config, e launcher.Ending) string {
	parts := []string{e.Elapsed.Round(time.Millisecond).String()}
	var o watch.Outcome
	if e.Watched != nil {
		o = *e.Watched
	}
	if o.PeakVirtual != 0 {
		parts = append(parts, "peak of virtual size "+text.Size(o.PeakVirtual))
	}
	parts = append(parts, "peak of resident memory "+text.Size(max(o.PeakResident, e.MaxRSS)))
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
