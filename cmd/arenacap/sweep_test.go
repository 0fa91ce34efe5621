package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/verdict"
)

func TestSweepProgressText(t *testing.T) {
	p := &sweepProgress{x: sweep.Experiment{Rounds: 10}}
	until := &sweepProgress{x: sweep.Experiment{Rounds: 10, Until: 0.02}}
	for _, c := range []struct {
		p       *sweepProgress
		now     sweep.Progress
		left    time.Duration
		columns int
		want    string
	}{
		{p, sweep.Progress{Cap: "off", Round: 0, Total: 44}, 0, 0, "                        ▏  0%  warming up, cap off"},
		{p, sweep.Progress{Cap: "1/core", Round: 3, Done: 22, Total: 44, LeftOK: true}, 90*time.Second + time.Millisecond, 130,
			"████████████            ▏ 50%  round 3 of 10, cap 1/core, about 1m30s left"},
		{p, sweep.Progress{Cap: "4", Round: 10, Done: 43, Total: 44, LeftOK: true}, -time.Second, 0, "███████████████████████▍▏ 97%  round 10 of 10, cap 4, about 0s left"},
		{until, sweep.Progress{Cap: "4", Round: 12, Done: 50, LeftOK: true, AtMost: true}, time.Minute, 40, "round 12, cap 4, at most 1m0s left"},
		{p, sweep.Progress{Cap: "1/core", Round: 3, Done: 22, Total: 44, LeftOK: true}, time.Hour + 90*time.Second, 60, "███▌   ▏ 50%  round 3 of 10, cap 1/core, about 1h1m30s left"},
		{p, sweep.Progress{Cap: "1/core", Round: 3, Done: 22, Total: 44, LeftOK: true}, time.Hour + 90*time.Second, 55, "50%  round 3 of 10, cap 1/core, about 1h1m30s left"},
	} {
		if got := c.p.text(c.now, c.left, c.columns); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestLadder(t *testing.T) {
	for limit, want := range map[int]string{
		1: "[]", 2: "[1]", 8: "[1 2 4]", 9: "[1 2 4 8]", 16: "[1 2 4 8]", 32: "[1 2 4 8 16]", 512: "[1 2 4 8 16 64 256]", 65: "[1 2 4 8 16 64]",
	} {
		if got := fmt.Sprint(ladder(limit)); got != want {
			t.Errorf("limit %d: %s, want %s", limit, got, want)
		}
	}
}

func TestParsePercent(t *testing.T) {
	if p, err := parsePercent("2.5%"); err != nil || p != 0.025 {
		t.Error(p, err)
	}
	for _, bad := range []string{"", "%", "2", "0%", "-1%", "100%", "NaN%", "x%", "2%%"} {
		if p, err := parsePercent(bad); err == nil {
			t.Errorf("%q is %g", bad, p)
		}
	}
}

// TestSweepJSON checks the keys that are a contract with other programs, and that unknown values are null.
func TestSweepJSON(t *testing.T) {
	cmd := exec.Command(requireTools(t).plain, "sweep", "--caps", "off,2,4", "--rounds", "6", "--warmup", "0", "--seed", "5", "--json",
		"--metric", "rate (.*)", "--latency", "p99 (.*)", "--", "sh", "-c", "test \"$MALLOC_ARENA_MAX\" != 4 || exit 3; echo rate 10; echo p99 5ms")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var root any
	if err := json.Unmarshal(out, &root); err != nil {
		t.Fatal(err)
	}
	const any, no = "any", "null"
	for path, want := range map[string]string{
		"machine": any, "seed": "5", "rounds": "6", "rounds_wanted": "6", "interrupted": "false", "warmup_rounds": "0", "until": no, "load": no, "ready": no,
		"throughput_metric": `{"better":"higher","pattern":"rate (.*)"}`, "latency_metric": `{"better":"lower","pattern":"p99 (.*)"}`,
		"caps.0.cap": `"off"`, "caps.0.arena_max": no, "caps.1.cap": `"2"`, "caps.1.arena_max": "2", "caps.1.runs": "6", "caps.1.failed": "0", "caps.1.killed": "0",
		"caps.1.throughput": `{"high":10,"low":10,"median":10}`, "caps.1.latency": `{"high":0.005,"low":0.005,"median":0.005}`,
		"caps.1.throughput_worse": "false", "caps.1.latency_worse": "false", "caps.1.virtual_peak_bytes": any, "caps.1.resident_peak_bytes": any, "caps.1.arenas": any,
		"caps.2.throughput": no, "caps.2.latency": no, "caps.2.throughput_worse": no, "caps.2.arenas": no, "caps.2.runs": "0", "caps.2.failed": "3",
		"advice.cap": `"2"`, "advice.sentence": any, "advice.toml": `"[arenas]\ncap = 2\n"`, "advice.noisy": "false", "advice.safer_cap": no,
	} {
		got, ok := at(root, path)
		if !ok || want != any && got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// at returns the JSON value at a path such as caps.0.cap; ok is false if there is none.
func at(v any, path string) (text string, ok bool) {
	for key := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v, ok = node[key]
		case []any:
			i, err := strconv.Atoi(key)
			if ok = err == nil && i < len(node); ok {
				v = node[i]
			}
		default:
			ok = false
		}
		if !ok {
			return "", false
		}
	}
	out, _ := json.Marshal(v)
	return string(out), true
}

func TestTableText(t *testing.T) {
	table := verdict.Table{Heads: []string{"Cap", "Throughput", "VmSize peak", "Resident peak", "Arenas", "CPU", "Runs"}, Rows: []verdict.Row{
		{Cells: cells("off", "10 ±1.0%", "1 GiB", "8 MiB", "16", "1 s", "6")},
		{Cells: cells("1", "5 ±1.0%", "1 MiB", "8 MiB", "1", "1 s", "6")},
		{Advised: true, Cells: cells("1/core (2)", "10 ±1.0%", "2 MiB", "8 MiB", "2", "1 s", "5, 1 failed")}}}
	table.Rows[1].Cells[1].Worse, table.Rows[2].Cells[6].Worse = true, true
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, "           CAP      THROUGHPUT  VMSIZE PEAK  RESIDENT PEAK  ARENAS  CPU         RUNS\n" +
			"           off  10 ±1.0%              1 GiB          8 MiB      16  1 s            6\n" +
			"             1   5 ±1.0% worse        1 MiB          8 MiB       1  1 s            6\n" +
			"  → 1/core (2)  10 ±1.0%              2 MiB          8 MiB       2  1 s  5, 1 failed\n"},
		{75, "           CAP      THROUGHPUT  VMSIZE PEAK  RESIDENT PEAK         RUNS\n" +
			"           off  10 ±1.0%              1 GiB          8 MiB            6\n" +
			"             1   5 ±1.0% worse        1 MiB          8 MiB            6\n" +
			"  → 1/core (2)  10 ±1.0%              2 MiB          8 MiB  5, 1 failed\n"},
		{20, "           CAP      THROUGHPUT  VMSIZE PEAK         RUNS\n" +
			"           off  10 ±1.0%              1 GiB            6\n" +
			"             1   5 ±1.0% worse        1 MiB            6\n" +
			"  → 1/core (2)  10 ±1.0%              2 MiB  5, 1 failed\n"},
	} {
		if got := tableText(table, c.width); got != c.want {
			t.Errorf("%d columns:\n%s\nwant\n%s", c.width, got, c.want)
		}
	}
}

func cells(texts ...string) (list []verdict.Cell) {
	for _, text := range texts {
		list = append(list, verdict.Cell{Text: text})
	}
	return list
}

// A closed stdout loses nothing: the report is written, and the advice goes to stderr.
func TestSweepWithoutReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	page := filepath.Join(t.TempDir(), "page.html")
	cmd := exec.Command(requireTools(t).plain, "sweep", "--caps", "1,2", "--rounds", "6", "--html", page, "--metric", "rate (.*)", "--",
		"sh", "-c", "echo rate $MALLOC_ARENA_MAX")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = w, &said
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v: %s", err, &said)
	}
	if !strings.Contains(said.String(), "broken pipe); the result is: A cap of 2 is the smallest ") {
		t.Errorf("it says %q", &said)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "A cap of 2 is the smallest ") {
		t.Errorf("the report has %d bytes, %v", len(text), err)
	}
}
