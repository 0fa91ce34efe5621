package main

// This file has the command inspect.

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/arena"
	"arenacap/launcher/inspect"
	"arenacap/launcher/machine"
	"arenacap/launcher/ordered"
	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
	"arenacap/launcher/watch/journal"
	"arenacap/policy"
	"arenacap/policy/text"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show where the virtual memory of live processes is, and whether the cap is kept",
		UsageText: "arenacap inspect [--json] [--deep] PID…",
		Description: "Reads each process from outside, without stopping or tracing it. The cap is the\n" +
			"one that the glibc of the process read at start: from MALLOC_ARENA_MAX\n" +
			"(\"environment\"), or from GLIBC_TUNABLES or /etc/tunables.conf (\"tunables\"). A\n" +
			"cap that arenacap has set is \"environment\" too. With --policy or --service, the\n" +
			"cap is that of the policy (\"policy\").\n\n" +
			"Exit status: 0 if every cap is kept or none is set, 1 if a cap is not kept or a\n" +
			"process cannot be read.",
		Flags: []cli.Flag{
			boolFlag("json", "print a JSON list with one object per process"),
			boolFlag("deep", "walk malloc's chunks: show what is in use, free, and what malloc_trim would release"),
		},
		Action: inspectPIDs,
	}
}

func inspectPIDs(c *cli.Context) error {
	pids, err := pidOperands(c)
	if err != nil {
		return err
	}
	wanted, err := wantedPolicy(c)
	if err != nil {
		return err
	}
	show := inspector{c: c, watchers: findWatchers(), machine: machine.Find("/", machine.Cores, nil), wanted: wanted, objects: []ordered.Object{}}
	for _, pid := range pids {
		if err := show.showProcess(pid); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		if err := printJSON(c.App.Writer, show.objects); err != nil {
			return err
		}
	}
	if show.bad {
		return say.No
	}
	return nil
}

// wantedPolicy returns the policy of --policy or --service, nil without these flags.
func wantedPolicy(c *cli.Context) (*policy.Policy, error) {
	line := lineOf(c)
	_, named := line.Text("policy")
	_, service := line.Text("service")
	if !named && !service {
		return nil, nil
	}
	p, err := line.Policy()
	if err != nil {
		return nil, err
	}
	line.Voice().Notes(p.Notes)
	return &p, nil
}

// inspector shows the processes one by one.
type inspector struct {
	c       *cli.Context
	machine policy.Machine
	wanted  *policy.Policy
	watchers
	shown   int
	objects []ordered.Object
	bad     bool // a cap is not kept, or a process could not be read
}

// showProcess shows one process. It prints errors of the process and returns errors of the output.
func (i *inspector) showProcess(pid int) error {
	deep := i.c.Bool("deep")
	report, err := inspect.Look(pid, i.machine, i.wanted)
	if err == nil && deep {
		err = i.walk(report.Process)
	}
	if err != nil || report.Cap.Kept == inspect.No {
		i.bad = true
	}
	switch {
	case i.c.Bool("json"):
		i.objects = append(i.objects, append(reportJSON(pid, report, err), "watched_by", known(i.of(pid)), "pod", known(podOf(pid))))
	case err != nil:
		say.Voice{}.Line(journal.Err, "%s", err)
	default:
		text := reportText(i.c.App.Writer, report, i.words(pid), podOf(pid), deep)
		if i.shown++; i.shown > 1 {
			text = "\n" + text
		}
		_, err := io.WriteString(i.c.App.Writer, text)
		return err
	}
	return nil
}

// podOf returns the UID of the Kubernetes pod of a process; "" for none, or if it is not known.
func podOf(pid int) string {
	text, err := proc.Here.Read(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	groups, _ := cgroup.ParseMemberships(text) // on an error there are no groups
	return groups.Pod()
}

// walk walks the chunks. On a terminal it draws a progress bar on stderr after the first second.
func (i *inspector) walk(p *arena.Process) error {
	if speaker(i.c).Quiet {
		return p.Walk(i.c.Context, nil)
	}
	draw, erase := walkBar(os.Stderr, time.Now().Add(time.Second))
	defer erase()
	return p.Walk(i.c.Context, draw)
}

// walkBar returns a function that draws a progress bar on w from the given time on, nil if w takes no escape sequences,
// and a function that erases the bar.
func walkBar(w io.Writer, from time.Time) (draw func(done, total uint64), erase func()) {
	if !takesSequences(w) {
		return nil, func() {}
	}
	drawn := false
	draw = func(done, total uint64) {
		if time.Now().After(from) && total > 0 {
			drawn = true
			fmt.Fprintf(w, "\rexamined %s of %s of heap memory %s ", text.Size(done), text.Size(total), bar(done, total, 30))
		}
	}
	return draw, func() {
		if drawn {
			fmt.Fprint(w, "\r"+eraseLine)
		}
	}
}
