package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/page"
	"arenacap/launcher/sweep/verdict"
	"arenacap/policy"
)

// tryReport is the error that writeReport would have by the folder of --html.
func (s *sweepPlan) tryReport() error {
	if s.html == "" {
		return nil
	}
	return ofReport(canReplace(s.html))
}

func (s *sweepPlan) writeReport(result verdict.Result, seeded bool) error {
	if s.html == "" {
		return nil
	}
	return ofReport(replaceFile(s.html, func(w io.Writer) error { return page.HTML(w, result, s.about(seeded)) }))
}

func ofReport(err error) error {
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return nil
}

// about is what a reader of the report needs to repeat the sweep.
func (s *sweepPlan) about(seeded bool) page.About {
	x, m := s.experiment, s.machine
	about := page.About{Program: programName(x.Args), Command: s.command(seeded)}
	add := func(name, format string, args ...any) {
		about.Facts = append(about.Facts, page.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	add("program", "%s", x.Path)
	if x.Load != "" {
		add("load", "%s", x.Load)
		ready := x.Ready
		if ready == "" {
			ready = "when it listens on a socket"
		}
		add("ready", "%s", ready)
	}
	for _, m := range x.Metrics {
		add(m.Name, "%s", metricWords(m))
	}
	for _, c := range x.Candidates {
		add("cap "+c.Name, "%s", candidateWords(c))
	}
	add("rounds", "%s", roundsWords(x))
	add("seed", "%d", x.Seed)
	add("statistics", "median with its 95 %% interval of order statistics; Mann-Whitney U test, corrected by Holm for all pairs and metrics, at 5 %%; the same for the peaks of memory, each against that of what glibc does by itself, or else of the largest cap")
	add("CPUs", "online %s; affinity %s; quota %s", m.Online, m.Affinity, m.Quota)
	add("memory", "%s", policy.FormatSize(m.Memory.Bytes))
	add("libc", "%s %s", s.target.Libc, s.target.LibcVersion)
	if s.limit > 0 {
		add("glibc's own limit", "%d arenas", s.limit)
	}
	add("arenacap", "%s", version())
	return about
}

// programName is the command line where it is short enough for a heading, else the program's name.
func programName(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = word(arg)
	}
	if line := strings.Join(words, " "); len(line) <= 60 {
		return line
	}
	return filepath.Base(args[0])
}

func metricWords(m sweep.Metric) string {
	if m.Pattern == "" {
		return "wall time in seconds, " + m.Better()
	}
	return m.Pattern + " in the output, " + m.Better()
}

func candidateWords(c sweep.Candidate) string {
	switch {
	case c.ArenaMax > 0:
		return "MALLOC_ARENA_MAX=" + strconv.Itoa(c.ArenaMax)
	case c.Name == string(policy.Off):
		return "environment as it was inherited, with no cap in it"
	}
	return "MALLOC_ARENA_MAX=0, glibc's own limit"
}

func roundsWords(x sweep.Experiment) string {
	text := fmt.Sprintf("%d, after %d to warm up", x.Rounds, x.Warmup)
	if x.Until > 0 {
		text = fmt.Sprintf("at least %s, until each interval is within %g %%, at most %s", text, 100*x.Until, x.MaxTime)
	}
	return text
}
