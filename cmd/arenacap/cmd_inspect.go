package main

// The command inspect.

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/arena"
	"arenacap/launcher/inspect"
	"arenacap/launcher/machine"
	"arenacap/launcher/ordered"
	"arenacap/launcher/watch/journal"
	"arenacap/policy"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show where the virtual memory of live processes is, and whether the cap is kept",
		UsageText: "arenacap inspect [--json] [--deep] PID…",
		Description: "Reads each process from outside: nothing is stopped, attached or asked of it.\n" +
			"The cap is the one that its own glibc read when it started; with --policy or\n" +
			"--service it is the one that the policy wants.\n\n" +
			"Exit status: 0 if every cap is kept or there is none, 1 if one is not kept or a\n" +
			"process cannot be read.",
		Flags: []cli.Flag{
			boolFlag("json", "print one JSON list, an object a process"),
			boolFlag("deep", "walk the chunks: in use, free, and what malloc_trim would give back"),
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
		if err := show.one(pid); err != nil {
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

// wantedPolicy is the policy that should be in force, where --policy or --service asks for one.
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

// inspector shows one process after the other.
type inspector struct {
	c       *cli.Context
	machine policy.Machine
	wanted  *policy.Policy
	watchers
	shown   int
	objects []ordered.Object
	bad     bool // a cap is not kept, or a process could not be read
}

// one shows one process. The error is that of the output; what is wrong with the process is said.
func (i *inspector) one(pid int) error {
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
		i.objects = append(i.objects, append(reportJSON(pid, report, err), "watched_by", known(i.of(pid))))
	case err != nil:
		say.Voice{}.Line(journal.Err, "%s", err)
	default:
		text := reportText(i.c.App.Writer, report, i.words(pid), deep)
		if i.shown++; i.shown > 1 {
			text = "\n" + text
		}
		_, err := io.WriteString(i.c.App.Writer, text)
		return err
	}
	return nil
}

// walk walks the chunks, with a bar on stderr where it takes longer than a second and a person waits.
func (i *inspector) walk(p *arena.Process) error {
	if !term.IsTerminal(int(os.Stderr.Fd())) || speaker(i.c).Quiet {
		return p.Walk(i.c.Context, nil)
	}
	started, drawn := time.Now(), false
	err := p.Walk(i.c.Context, func(done, total uint64) {
		if time.Since(started) > time.Second && total > 0 {
			drawn = true
			fmt.Fprintf(os.Stderr, "\r%s of %s walked %s ", policy.FormatSize(done), policy.FormatSize(total), bar(done, total, 30))
		}
	})
	if drawn {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	return err
}
