package main

// This file has the command sweep: its flags, the measurement and its result.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/origin"
	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/verdict"
	"arenacap/launcher/target"
	"arenacap/launcher/watch/journal"
	"arenacap/policy"
	"arenacap/policy/text"
)

func sweepCommand() *cli.Command {
	return &cli.Command{
		Name:  "sweep",
		Usage: "run a workload under several caps and recommend one",
		UsageText: "arenacap sweep [flags] -- PROGRAM [ARG…]\n" +
			"   arenacap sweep --load CMD [--ready CMD] [--metric REGEX]\n" +
			"      [--latency REGEX] [flags] -- SERVER [ARG…]",
		Description: "Runs PROGRAM under several caps, in rounds of random order, and advises the\n" +
			"smallest cap that costs nothing measurable, with what that cap saves. A run is\n" +
			"measured by PROGRAM's wall time, or by the number that --metric finds in the\n" +
			"output. PROGRAM runs in its own session, without a terminal and with an empty\n" +
			"stdin. Processes that PROGRAM leaves behind are ended.\n\n" +
			"With --load, SERVER is started, CMD runs when it is ready, and SERVER gets\n" +
			"SIGTERM; the metrics are in the output of CMD. sh runs each CMD, with\n" +
			"ARENACAP_CAP and ARENACAP_PID in its environment.\n\n" +
			"The CMD of --ready also runs once before the first start. A success there means\n" +
			"that another server answers, so the sweep ends. If CMD always succeeds, put\n" +
			"'test $ARENACAP_PID &&' before it, because ARENACAP_PID is empty before the\n" +
			"start.\n\n" +
			"REGEX is a regular expression whose first group is the number, or a time such\n" +
			"as 1.5ms; the last match counts. \"lower:\" or \"higher:\" before it says which is\n" +
			"better. The default is higher for --metric and lower for --latency.\n\n" +
			"Exit status: 0 if there is advice, 1 if there is none or the sweep was\n" +
			"interrupted.",
		Flags: slices.Concat([]cli.Flag{
			textFlag("caps", "compare these `CAPS`, separated by commas (default: off,1,2,4,… below glibc's own limit)"),
			textFlag("cores", "simulate a machine with `N` cores: per-core caps use N, and the cap off is glibc's own limit there"),
			textFlag("load", "PROGRAM is a server; measure it under `CMD`"),
			textFlag("ready", "the server is ready when `CMD` succeeds (default: when it listens on a socket)"),
		}, metricFlags(), []cli.Flag{
			&cli.IntFlag{Name: "rounds", Value: 10, Usage: "run each cap `N` times"},
			&cli.IntFlag{Name: "warmup", Value: 1, Usage: "first run each cap `N` times without measuring"},
			textFlag("until", "continue after the rounds until each median is accurate to `P%`, or until --max-time is over"),
			&cli.DurationFlag{Name: "max-time", Usage: "start no run after this `DURATION`", DefaultText: "none, or with --until: 30m"},
			&cli.DurationFlag{Name: "timeout", Value: time.Hour, Usage: "a run or a load that takes longer than `DURATION` fails"},
			&cli.DurationFlag{Name: "ready-timeout", Value: time.Minute, Usage: "a server that needs longer than `DURATION` to get ready fails"},
			&cli.DurationFlag{Name: "grace", Value: 30 * time.Second, Usage: "send SIGKILL if a process still runs `DURATION` after SIGTERM"},
			&cli.Uint64Flag{Name: "seed", Usage: "use the random order of an earlier sweep, which printed its seed `N`", DefaultText: "random"},
			textFlag("resume", "store each run in `FILE`, and reuse the runs already stored there"),
			textFlag("html", "write a report with plots to `FILE`"),
			boolFlag("json", "print one JSON object instead of the table"),
			boolFlag("csv", "print each run as a line of CSV instead of the table"),
			boolFlag("force", "continue if a cap cannot reach PROGRAM or work on it, and mark its row"),
		}),
		Action: runSweep,
	}
}

func metricFlags() (flags []cli.Flag) {
	for _, m := range sweep.Metrics {
		flags = append(flags, textFlag(m.Flag, m.Usage))
	}
	return flags
}

func runSweep(c *cli.Context) error {
	s, err := planSweep(c)
	if err != nil {
		return err
	}
	v := speaker(c)
	for _, line := range s.notes {
		v.Note("%s", line)
	}
	if problem := s.target.Problem(); problem != "" {
		v.Line(journal.Warning, "%s", problem)
		if s.target.CanCap == target.No && !c.Bool("force") {
			return errors.New("nothing was run; --force runs the sweep anyway")
		}
	}
	if err := s.tryReport(); err != nil {
		return err
	}
	runs, err := s.measure(c.Context, v)
	if err != nil && !s.interrupted {
		return err
	}
	result := verdict.Judge(s.experiment, runs)
	told := s.deliver(c, result)
	v.Notes(result.NotCompared())
	tellZeros(v, result)
	tellFailures(v, result)
	tellKilled(v, result)
	return errors.Join(told, s.ending(err, result))
}

// measure runs the experiment until it ends, a run cannot be stored, or a signal arrives. After a second signal it ends
// the current run without a grace time.
func (s *sweepPlan) measure(ctx context.Context, v say.Voice) ([]sweep.Run, error) {
	x, seed := &s.experiment, s.experiment.Seed
	record, prior, err := sweep.OpenRecord(s.resume, x)
	if err != nil {
		return nil, err
	}
	defer record.Close()
	if s.seeded && x.Seed != seed {
		return nil, say.Usage("sweep", fmt.Sprintf("--seed: %s was written with the seed %d; leave the flag out", s.resume, x.Seed))
	}
	s.tellPrior(v, prior)
	show := newSweepProgress(v, *x)
	defer show.end()
	ctx, atOnce, release := interruptible(ctx, show.stopping)
	defer release()
	x.AtOnce = atOnce
	var lost error // why a run could not be stored, for example a full disk
	runs, err := x.Measure(ctx, prior, func(r sweep.Run) error {
		if lost = record.Add(r); lost != nil {
			lost = fmt.Errorf("--resume: %w", lost)
		}
		return lost
	}, show.next)
	canceled := errors.Is(err, context.Canceled)
	switch {
	case errors.Is(err, sweep.ErrNotKept):
		err = fmt.Errorf("%w; use --force to continue; the row of this cap is then marked \"not kept\"", err)
	case len(runs) > 0:
		s.interrupted = canceled || lost != nil
	case canceled:
		err = errors.New("interrupted before the first measured run")
	case err == nil:
		err = fmt.Errorf("no run was measured, because --max-time %s was too short; raise --max-time", x.MaxTime)
	}
	return runs, err
}

// ending returns the error that main prints after all output, and that sets the exit status.
func (s *sweepPlan) ending(err error, r verdict.Result) error {
	switch {
	case errors.Is(err, context.Canceled):
		goesOn := ""
		if s.resume != "" {
			goesOn = fmt.Sprintf("; run the same command again to continue %q", s.resume)
		}
		return fmt.Errorf("interrupted: this result covers %s%s", text.Count(len(r.Runs), "run"), goesOn)
	case err != nil:
		return fmt.Errorf("%w; the sweep stopped, and this result covers %s", err, text.Count(len(r.Runs), "run"))
	case r.Advice.Cap == "":
		return say.No
	}
	return nil
}

// deliver writes the report before it prints, so that a closed stdout does not lose the report. If printing fails, the
// error holds the advice.
func (s *sweepPlan) deliver(c *cli.Context, r verdict.Result) error {
	// Unless the process catches SIGPIPE, a write to stdout ends the process if stdout is a pipe without a reader
	// (os/signal, "SIGPIPE").
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	err := s.writeReport(r)
	if printed := s.print(c, r); printed != nil {
		err = errors.Join(err, fmt.Errorf("the result cannot be printed (%w); the result is: %s", printed, r.Advice.Sentence))
	}
	return err
}

// sweepPlan is what a sweep needs, and what its result reports besides the runs.
type sweepPlan struct {
	experiment sweep.Experiment
	machine    policy.Machine
	target     target.Target
	resume     string // file that stores the runs; "" for none
	html       string // file of the report; "" for none
	seeded     bool   // --seed was given
	notes      []string
	limit      int // glibc's own limit on this machine, or with N cores if --cores or the policy says so; 0 for none

	interrupted bool // a signal came, or a run could not be stored; the result covers the runs before that
}

func planSweep(c *cli.Context) (*sweepPlan, error) {
	if c.NArg() == 0 {
		return nil, say.Usage("sweep", "no PROGRAM to run")
	}
	if c.Bool("json") && c.Bool("csv") {
		return nil, say.Usage("sweep", "--json and --csv exclude each other")
	}
	s := &sweepPlan{experiment: sweep.Experiment{Args: c.Args().Slice()}, resume: c.String("resume"), seeded: c.IsSet("seed")}
	if err := s.readFlags(c); err != nil {
		return nil, err
	}
	path, err := target.Find(c.Args().First(), origin.Environ())
	if err != nil {
		return nil, err
	}
	s.experiment.Path = path
	s.target = target.Examine(path, c.Args().Slice(), origin.Environ())
	if s.html, err = planFiles(c, path); err != nil {
		return nil, err
	}
	if err := s.findCandidates(c); err != nil {
		return nil, err
	}
	if s.resume != "" {
		s.experiment.Setting = setting(path, s.machine, c.String("cores"))
	}
	return s, nil
}

// readFlags reads the flags of the experiment except --caps and --cores. planSweep reads the flags of the output.
func (s *sweepPlan) readFlags(c *cli.Context) (err error) {
	x := &s.experiment
	x.Load, x.Ready = c.String("load"), c.String("ready")
	x.Force = c.Bool("force")
	x.Rounds, x.Warmup, x.MaxTime = c.Int("rounds"), c.Int("warmup"), c.Duration("max-time")
	x.Timeout, x.ReadyTimeout, x.Grace = c.Duration("timeout"), c.Duration("ready-timeout"), c.Duration("grace")
	if x.Seed = c.Uint64("seed"); !s.seeded {
		x.Seed = randomSeed()
	}
	if err := refuseBad(c); err != nil {
		return err
	}
	if x.Ready != "" && x.Load == "" {
		return say.Usage("sweep", "--ready works only with a server; add --load CMD")
	}
	if x.Metrics, err = givenMetrics(c); err != nil {
		return err
	}
	if x.Load != "" && x.Metrics[0].Pattern == "" {
		s.note("the metric is the wall time of the load, which says nothing if the load runs for a fixed time; use --metric to take a number from its output")
	}
	if c.IsSet("until") {
		if x.Until, err = parsePercent(c.String("until")); err != nil {
			return badFlag(c, "until", err)
		}
		if !c.IsSet("max-time") {
			x.MaxTime = 30 * time.Minute
		}
	}
	return nil
}

// refuseBad refuses values that are invalid whatever the other flags are.
func refuseBad(c *cli.Context) error {
	texts := []string{"load", "ready", "caps", "cores", "until", "resume", "html"}
	for _, m := range sweep.Metrics {
		texts = append(texts, m.Flag)
	}
	for _, flag := range texts {
		if c.IsSet(flag) && c.String(flag) == "" {
			return badFlag(c, flag, errors.New(`the value is empty; leave the flag out for its default`))
		}
	}
	if n := c.Int("rounds"); n < 1 {
		return badFlag(c, "rounds", fmt.Errorf("invalid number %d; use at least 1, and at least 6 for advice", n))
	}
	if n := c.Int("warmup"); n < 0 {
		return badFlag(c, "warmup", fmt.Errorf("invalid number %d; use 0 or more", n))
	}
	for _, flag := range []string{"max-time", "timeout", "ready-timeout", "grace"} {
		if d := c.Duration(flag); d < 0 || d == 0 && c.IsSet(flag) && flag != "grace" {
			return badFlag(c, flag, fmt.Errorf("invalid duration %s; use more than 0, such as 30s", d))
		}
	}
	return nil
}

// givenMetrics returns the metrics to measure.
func givenMetrics(c *cli.Context) (measured []sweep.Metric, err error) {
	for _, m := range sweep.Metrics {
		if c.IsSet(m.Flag) {
			if m, err = m.Parse(c.String(m.Flag)); err != nil {
				return nil, badFlag(c, m.Flag, err)
			}
		}
		if m.Measured() {
			measured = append(measured, m)
		}
	}
	return measured, nil
}

// parsePercent reads "2%" as 0.02.
func parsePercent(s string) (float64, error) {
	number, ok := strings.CutSuffix(s, "%")
	p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(p > 0 && p < 100) {
		return 0, fmt.Errorf(`invalid percentage %q; write a percentage between 0%% and 100%%, for example "2%%"`, s)
	}
	return p / 100, nil
}

// randomSeed returns a seed below 10^9. All JSON readers keep integers below 2^53 exact.
func randomSeed() uint64 {
	return rand.Uint64N(1_000_000_000) // crypto/rand would add 32 MiB of .bss to every start
}

func (s *sweepPlan) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}
