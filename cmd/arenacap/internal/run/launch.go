package run

// This file executes a plan, up to the exec of the target.

import (
	"fmt"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher"
	"arenacap/launcher/environ"
	"arenacap/launcher/machine"
	"arenacap/launcher/origin"
	"arenacap/launcher/target"
	"arenacap/policy"
)

// Launch runs the program. It returns if the program could not be started, or when a supervised target has ended. If
// the plan needs the argument "lib" and that is nil, it returns ErrNoLibrary before anything is printed or done.
func (l Line) Launch(lib machine.Host) error {
	if len(l.Args) == 0 {
		return say.Launch(say.Usage(l.Command, "no PROGRAM to run"))
	}
	plan, err := l.Plan(0, lib)
	if err != nil {
		return say.Launch(err)
	}
	v := l.Voice()
	Explain(v, plan)
	launch, err := prepare(plan, l.Args, v)
	if err != nil {
		return err
	}
	if name, given := l.Text("argv0"); given {
		launch.Args = append([]string{name}, l.Args[1:]...)
	}
	if yes, why := l.supervises(plan); yes {
		v.Explain("supervised: %s", why)
		return l.supervise(launch, v)
	}
	if err := l.superviseOnly(); err != nil {
		return say.Launch(err)
	}
	// Exec returns only when the target did not start.
	return l.notStarted(launcher.Exec(launch))
}

// prepare finds the program, computes its environment and the configuration of its watch, and refuses or warns if the
// cap cannot work.
func prepare(plan policy.Plan, args []string, v say.Voice) (launcher.Launch, error) {
	env := environ.Apply(origin.Environ(), plan)
	v.Notes(env.Conflicts)
	for _, entry := range env.Set {
		v.Explain("set %s", entry)
	}
	for _, name := range env.Removed {
		v.Explain("removed from the environment: %s", name)
	}
	path, err := target.Find(args[0], origin.Environ())
	if err != nil {
		return launcher.Launch{}, &launcher.StartError{Err: err}
	}
	l := launcher.Launch{Plan: plan, Path: path, Args: args, Env: env.Env}
	if len(plan.Limits) > 0 {
		l.Watch = launchWatch(l, v)
	}
	if err := judge(l, v); err != nil {
		return l, say.Launch(err)
	}
	v.Explain("target: %s", path)
	explainRoom(v, l)
	return l, nil
}

// judge reports before the start that the cap cannot reach this program or has no effect on it. It reads only a few
// headers, or examines the program thoroughly if the policy refuses such a start. If the policy only warns and there is
// a watch, the watch warns later instead. Even then a carrier (a program that starts the server) is examined, because
// the watch runs in "/" and cannot resolve the relative paths in the carrier's arguments.
func judge(l launcher.Launch, v say.Voice) error {
	rule := l.Plan.Policy.Launch.OnUnenforceable
	if l.Plan.ArenaMax == 0 || rule == "ignore" || rule == "warn" && l.Watch != nil && !target.IsCarrier(l.Path) {
		return nil
	}
	look := target.Quick
	if rule == "refuse" {
		look = target.Examine
	}
	t := look(l.Path, l.Args, l.Env)
	switch problem := t.Problem(); {
	case problem == "":
	case rule == "refuse" && t.CanCap == target.No:
		return fmt.Errorf(`%s; on_unenforceable = "refuse" forbids the start`, problem)
	case l.Watch != nil && t.CanCap == target.No:
		l.Watch.Notices = append(l.Watch.Notices, problem)
	default:
		v.Note("%s", problem)
	}
	if l.Watch != nil && len(t.Chain) > 0 {
		l.Watch.Server = t.Server
		if t.Server != "" {
			l.Watch.Server = absolute(t.Server)
		}
	}
	return nil
}
