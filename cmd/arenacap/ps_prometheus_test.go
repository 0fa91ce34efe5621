package main

// These tests run ps --prometheus on real processes, compare its output with that of inspect, and check it with
// promtool.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// startNamed starts arenasProgram under another name, with five threads that allocate: 6 arenas, or as many as a cap
// allows.
func startNamed(t *testing.T, name string, env ...string) *arenas {
	t.Helper()
	requireTools(t)
	program, err := arenasProgram()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	a := mustStart(t, env, link)
	if _, err := a.do("threads 5 1"); err != nil {
		t.Fatal(err)
	}
	return a
}

// ps --prometheus prints the sums of the values that inspect prints, for a group by service and for a group by name.
// The processes are idle, so that their values do not change between the two commands.
func TestPrometheusEqualsInspect(t *testing.T) {
	name := fmt.Sprintf("sums-%d", os.Getpid())
	capped, uncapped := startNamed(t, name, "MALLOC_ARENA_MAX=3"), startNamed(t, name)
	policy := writeFile(t, t.TempDir()+"/policy.toml", "[service.summed]\nmatch.name = \""+name+"\"\nbudget = {virtual = \"1TiB\", arenas = \"1GiB\", scope = \"cgroup\"}\n")
	sums := map[string]float64{}
	most := 0.0
	stdout, stderr, _ := runTool(t, "inspect", "--json", capped.pid(), uncapped.pid())
	for _, p := range decode(t, stdout) {
		for _, key := range []string{"arenas", "arena_reserved_bytes", "arena_committed_bytes", "arena_resident_bytes", "virtual_bytes"} {
			sums[key] += p[key].(float64)
		}
		most = max(most, p["virtual_bytes"].(float64))
	}
	for group, args := range map[string][]string{"summed": nil, name: {"--group-by", "name"}} {
		stdout, stderr, status := runTool(t, append([]string{"ps", "--prometheus", "--policy", policy}, args...)...)
		if status != 0 {
			t.Fatalf("status %d: %s", status, stderr)
		}
		want := map[string]float64{"processes": 2, "uncapped_processes": 1, "cap": 3, "cap_kept": 1}
		for key, sum := range sums {
			want[key] = sum
		}
		for key, value := range want {
			if got := sampleOf(stdout, "arenacap_"+key+`{group="`+group+`"}`); got != fmt.Sprint(value) {
				t.Errorf("%s of %s is %q, want %v", key, group, got, value)
			}
		}
		if got := sampleOf(stdout, `arenacap_budget_limit_bytes{group="summed",metric="virtual"}`); got != fmt.Sprint(1<<40*1.0) {
			t.Errorf("the limit is %q", got)
		}
	}
	if len(sums) != 5 {
		t.Errorf("inspect: %s", stderr)
	}
	writeFile(t, policy, "[service.summed]\nmatch.name = \""+name+"\"\nbudget.virtual = \"1TiB\"\n")
	stdout, _, _ = runTool(t, "ps", "--prometheus", "--policy", policy)
	if got := sampleOf(stdout, `arenacap_budget_used_bytes{group="summed",metric="virtual"}`); got != fmt.Sprint(most) {
		t.Errorf("the largest process uses %q, want %v", got, most)
	}
}

// sampleOf returns the value of a series in the text format, "" if it has none.
func sampleOf(text, series string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// promtool accepts what ps prints, also with names of processes that could break the format.
func TestPrometheusFormat(t *testing.T) {
	testenv.Need(t, "promtool")
	names := map[string]string{"a\nb": "a\uFFFDb", "q\"{}\\ ": `q\"{}\\ `, "\x1b[31mred": "\uFFFD[31mred", "\xff\xfe": "\uFFFD", "grün": "grün"}
	for name := range names {
		startNamed(t, name)
	}
	stdout, stderr, status := runTool(t, "ps", "--prometheus", "--group-by", "name")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for name, label := range names {
		if got := sampleOf(stdout, `arenacap_arenas{group="`+label+`"}`); got == "" {
			t.Errorf("%q has no series %s in %s", name, label, stdout)
		}
	}
	for line := range strings.Lines(stdout) {
		if !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "arenacap_") {
			t.Errorf("odd line %q", line)
		}
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(stdout)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v: %s", err, out)
	}
}

// arenacap links no library of Prometheus: package metrics writes the text format itself.
func TestNoPrometheusLibrary(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "github.com/prometheus") {
		t.Errorf("%s", out)
	}
}
