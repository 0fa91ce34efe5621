package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/page"
	"arenacap/launcher/sweep/verdict"
	"arenacap/launcher/target"
	"arenacap/policy"
)

var update = flag.Bool("update", false, "rewrite testdata/sweep from the current output")

// measured is a possible result of a sweep: a cap of 1 is slower, one of 4 fails once, one of 64 always fails, and of
// "1/core" memory and arenas are not known.
func measured(latency bool) (*sweepPlan, verdict.Result) {
	x := sweep.Experiment{Path: "/opt/server", Args: []string{"server", "a b"}, Metrics: slices.Clone(sweep.Metrics[:1]), Rounds: 8, Warmup: 1, Seed: 42}
	x.Metrics[0].Pattern = `"rate": (.*)`
	if latency {
		x.Metrics, x.Load, x.Ready, x.Until = append(x.Metrics, sweep.Metrics[1]), "load <&3", "ask", 0.02
		x.Metrics[1].Pattern = "p99 (.*)"
	}
	for i, name := range []string{"off", "1", "1/core", "4", "64"} {
		x.Candidates = append(x.Candidates, sweep.Candidate{Name: name, ArenaMax: []int{0, 1, 2, 4, 64}[i], Default: i == 0})
	}
	var runs []sweep.Run
	for round := 1; round <= 8; round++ {
		for i, c := range x.Candidates {
			r := sweep.Run{Cap: c.Name, Round: round, Start: time.Unix(1700000000, 0).UTC(), Wall: 1.5, CPU: 2.25, MinorFaults: 100, MajorFaults: 1,
				VoluntarySwitches: 30, InvoluntarySwitches: int64(round)}
			r.Values = map[string]float64{"throughput": 1000 + float64(round*7%5), "latency": 0.0125 + float64(round)/1e5}
			switch i {
			case 1:
				r.Values["throughput"] /= 2
			case 3:
				if round == 3 {
					r.Error, r.Exit, r.Tail, r.Values = "the program ended with status 3", 3, "cannot, \"sorry\"", nil
				}
			case 4:
				r.Error, r.Exit, r.Values = "the program was killed by SIGSEGV", 139, nil
			}
			if i != 2 {
				r.VirtualPeak, r.VirtualFinal, r.ResidentPeak, r.ResidentFinal = uint64(100+64*c.ArenaMax)<<20, 90<<20, 20<<20, 19<<20
				r.Arenas, r.ArenaReserved, r.ArenaResident = max(1, c.ArenaMax), uint64(max(0, c.ArenaMax-1))<<26, 1<<20
			}
			if i == 0 {
				r.Killed, r.VirtualPeak, r.Arenas, r.ArenaReserved = round == 2, 1<<30, 16, 15<<26
			}
			runs = append(runs, r)
		}
	}
	s := &sweepPlan{experiment: x, limit: 16, seeded: latency, interrupted: latency,
		machine: policy.Machine{Online: policy.Reading[int]{N: 2}, Memory: policy.Reading[uint64]{N: 8 << 30}}, target: target.Target{Libc: "glibc", LibcVersion: "2.36", Allocator: "glibc"}}
	return s, verdict.Judge(x, runs)
}

// TestSweepOutput compares a result as text, JSON and CSV, and the facts of the HTML page except the version, byte for
// byte with golden files. Other programs read the JSON and the CSV.
func TestSweepOutput(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	os.Args = []string{"arenacap", "sweep", "--json", "server", "a b"}
	for name, latency := range map[string]bool{"throughput": false, "latency": true} {
		s, r := measured(latency)
		var json, csv bytes.Buffer
		if err := printJSON(&json, s.json(r)); err != nil {
			t.Fatal(err)
		}
		if err := printCSV(&csv, r); err != nil {
			t.Fatal(err)
		}
		var facts bytes.Buffer
		for _, f := range s.about().Facts {
			if f.Name != "arenacap" {
				fmt.Fprintf(&facts, "%s: %s\n", f.Name, f.Value)
			}
		}
		for kind, text := range map[string][]byte{"txt": []byte(resultText(nil, r)), "json": json.Bytes(), "csv": csv.Bytes(), "facts": facts.Bytes()} {
			file := filepath.Join("testdata/sweep", name+"."+kind)
			if *update {
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(file); err != nil || !bytes.Equal(text, want) {
				t.Errorf("%s, %v:\n%s", file, err, text)
			}
		}
	}
}

// TestOneMoreMetric: a metric added to the list appears in every output.
func TestOneMoreMetric(t *testing.T) {
	known := sweep.Metrics
	defer func() { sweep.Metrics = known }()
	sweep.Metrics = append(slices.Clip(known), sweep.Metric{Name: "stalls", Flag: "stalls", Lower: true})
	s, r := measured(true)
	stalls, err := sweep.Metrics[2].Parse("stalled (.*)")
	if err != nil {
		t.Fatal(err)
	}
	r.Experiment.Metrics = append(r.Experiment.Metrics, stalls)
	for i, run := range r.Runs {
		if run.Error == "" {
			run.Values["stalls"] = float64(i % 5)
		}
		text, err := json.Marshal(run)
		var again sweep.Run
		if err := errors.Join(err, json.Unmarshal(text, &again)); err != nil || again.Values["stalls"] != run.Values["stalls"] {
			t.Fatalf("%s, %v", text, err)
		}
	}
	r = verdict.Judge(r.Experiment, r.Runs)
	out := bytes.NewBufferString(resultText(nil, r))
	if err := errors.Join(printJSON(out, s.json(r)), printCSV(out, r), page.HTML(out, r, page.About{})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" LATENCY ", " STALLS ", `"stalls_metric": {`, `"stalls": {`, `"stalls_p": `, `"stalls_worse": true`, ",latency,stalls,wall_seconds,",
		"<th>Stalls</th>", "<h2>Stalls by cap</h2>"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if !slices.ContainsFunc(metricFlags(), func(f cli.Flag) bool { return f.Names()[0] == "stalls" }) {
		t.Error("there is no flag")
	}
}
