package main

// These tests run --supervise with a budget.

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// superviseUnder supervises a shell script under a policy, and returns its status and the events of its log.
func superviseUnder(t *testing.T, policy, script string, flags ...string) (status int, events []map[string]any, stderr string) {
	t.Helper()
	dir := t.TempDir()
	file, log := filepath.Join(dir, "policy.toml"), filepath.Join(dir, "log")
	if err := os.WriteFile(file, []byte(policy+"\n[log]\nformat = \"json\"\nto = \""+log+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	line := slices.Concat([]string{requireTools(t).checked, "run", "--supervise", "--policy", file}, flags, []string{"--", "/bin/sh", "-c", script})
	o, said := start(t, dir, os.Environ(), nil, line)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, event)
	}
	return o.status, events, said
}

func kinds(events []map[string]any) (all []string) {
	for _, e := range events {
		if e["event"] != "gap" { // "gap" reports missed samples, which occur on a busy machine
			all = append(all, e["event"].(string))
		}
	}
	return all
}

// Every program breaches the budget of the policy `strict` at once. A shell breaches the budget of the policy `roomy`
// only after it has run the command `grown`, which it does when it is ready for the action. The shell that runs the
// script `loops` is not replaced by another program: during an exec a process has a size of 4 KiB for a moment, which
// is within both budgets.
const (
	strict = "[arenas]\ncap = \"off\"\n[budget]\nvirtual = \"64KiB\"" + quick
	roomy  = "[arenas]\ncap = \"off\"\n[budget]\nvirtual = \"64MiB\"" + quick
	quick  = "\nsettle = \"0s\"\ninterval = \"10ms\"\nbreach = \"1/1\"\nwarn_at = \"100%\"\n"
	grown  = "text=$(head -c 100000000 /dev/zero | tr '\\0' x)"
	loops  = "while :; do sleep 0.01; done"
)

// TestSupervisedBudget: the action is taken on the target. arenacap's exit status is 124 if the action is "terminate",
// and the target's own after a signal.
func TestSupervisedBudget(t *testing.T) {
	for _, c := range []struct {
		name, policy, script string
		flags                []string
		status               int
		events               []string
	}{
		{name: "terminate", policy: strict + "action = \"terminate\"\n", script: loops, status: 124,
			events: []string{"started", "breach", "action", "exited"}},
		{name: "terminate and reraise", policy: strict + "action = \"terminate\"\n", script: loops, flags: []string{"--reraise"}, status: 124,
			events: []string{"started", "breach", "action", "exited"}},
		{name: "terminate one that does not want to", policy: roomy + "action = \"terminate\"\ngrace = \"50ms\"\n", script: "trap '' TERM; " + grown + "; while :; do sleep 0.1; done", status: 124,
			events: []string{"started", "breach", "action", "action", "exited"}},
		{name: "signal", policy: roomy + "action = \"signal\"\nsignal = \"SIGUSR1\"\n", script: "trap 'exit 7' USR1; " + grown + "; " + loops, status: 7,
			events: []string{"started", "breach", "action", "exited"}},
		{name: "command", policy: strict + "action = \"terminate\"\ncommand = [\"/bin/sh\", \"-c\", \"exit 3\"]\n", script: loops, status: 124,
			events: []string{"started", "breach", "action", "action", "exited"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, events, said := superviseUnder(t, c.policy, c.script, c.flags...)
			if got := kinds(events); status != c.status || !slices.Equal(got, c.events) {
				t.Errorf("status %d, events %q, want %d, %q; %s\n%v", status, got, c.status, c.events, said, events)
			}
			if mode := events[0]["mode"]; mode != "supervise" {
				t.Errorf("mode %q", mode)
			}
		})
	}
}

// TestSupervisedScope: a process of the tree that does not end at TERM gets KILL, even if the target itself has ended.
func TestSupervisedScope(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	script := `(trap '' TERM; echo up >` + pidFile + `.up; exec sleep 1000 >/dev/null 2>&1) & echo $! >` + pidFile + `; until [ -e ` + pidFile + `.up ]; do :; done; ` + grown + `; wait`
	status, events, said := superviseUnder(t, roomy+"scope = \"tree\"\naction = \"terminate\"\ngrace = \"100ms\"\n", script)
	if status != 124 || !slices.Contains(kinds(events), "action") {
		t.Errorf("status %d, %v, %s", status, events, said)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	if err := unix.Kill(pid, 0); err == nil && !isZombie(pid) {
		t.Errorf("process %d of the tree goes on: %v", pid, events)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

func isZombie(pid int) bool {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return strings.Contains(string(text), ") Z ")
}

// TestCommandOfPID1: as PID 1, which also reaps orphans, arenacap leaves the watch's command to the watch, which
// reports how the command ended. The command starts with no signal blocked.
func TestCommandOfPID1(t *testing.T) {
	tool := requireTools(t)
	dir := t.TempDir()
	file, log := filepath.Join(dir, "policy.toml"), filepath.Join(dir, "log")
	text := strict + "command = [\"/bin/sh\", \"-c\", \"" + `grep SigBlk /proc/self/status; for i in 1 2 3 4 5 6 7 8; do (/bin/true &); done; kill -TERM $$` + "\"]\naction = \"terminate\"\n"
	if err := os.WriteFile(file, []byte(text+"[log]\nto = \""+log+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := inNamespace(t, tool.checked, "run", "--policy", file, "--", "/bin/sh", "-c", "while :; do /bin/true; done")
	err := cmd.Run()
	said, _ := os.ReadFile(log)
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 124 {
		t.Errorf("%v, want status 124; %s", err, said)
	}
	for _, want := range []string{"SigBlk:\t0000000000000000", "/bin/sh ended with signal: terminated"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("no %q in the log:\n%s", want, said)
		}
	}
}

// TestSummary: the summary is one line. The target ends only after the breach, because it reads the line that the policy's
// command writes at the breach.
func TestSummary(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	if err := unix.Mkfifo(told, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, said := superviseUnder(t, strict+"command = [\"/bin/sh\", \"-c\", \"echo >"+told+"\"]\n", "read x <"+told, "--summary")
	for _, want := range []string{"arenacap: summary of ", "peak of virtual size ", "peak of resident memory ", "1 breach\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %q", want, said)
		}
	}
	o, said := start(t, t.TempDir(), os.Environ(), nil, append(supervised(requireTools(t).checked, "--summary"), "/bin/true"))
	if o.status != 0 || strings.Count(said, "\n") != 1 || strings.Contains(said, "breach") {
		t.Errorf("%v, %q", o, said)
	}
}
