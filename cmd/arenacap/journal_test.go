package main

// These tests check that lines for systemd's journal begin with their priority.

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// saidTo runs arenacap with a pipe as stderr and returns all that it wrote there. $JOURNAL_STREAM is the argument
// "stream", in which DEV and INO stand for the pipe's device and inode.
func saidTo(t *testing.T, stream string, env []string, args ...string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(w.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	stream = strings.NewReplacer("DEV", fmt.Sprint(st.Dev), "INO", fmt.Sprint(st.Ino)).Replace(stream)
	cmd := exec.CommandContext(t.Context(), requireTools(t).checked, args...)
	cmd.Env = append(append(os.Environ(), "JOURNAL_STREAM="+stream), env...)
	cmd.Stderr = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }() // another test checks the status
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

// beginnings returns the priorities of the lines, or their first letters.
func beginnings(text string) (all []string) {
	for line := range strings.Lines(text) {
		size := 1
		if line[0] == '<' {
			size = len("<3>")
		}
		all = append(all, line[:size])
	}
	return all
}

// TestPrioritiesForTheJournal: if stderr is the journal, and only then, each line of text begins with its priority
// (sd-daemon(3)).
func TestPrioritiesForTheJournal(t *testing.T) {
	requireTools(t)
	log := filepath.Join(t.TempDir(), "log")
	policy := func(more string) []string {
		file := filepath.Join(t.TempDir(), "policy.toml")
		if err := os.WriteFile(file, []byte(strict+more), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--policy", file, "--", "sleep", "60"}
	}
	terminate := "action = \"terminate\"\n"
	run := func(more ...string) []string { return append([]string{"run"}, more...) }
	for _, c := range []struct {
		name, stream string
		env, args    []string
		want         string // beginnings of the lines; equal ones in a row count once
	}{
		{"a mistake", "DEV:INO", nil, run(), "<3>"},
		{"a list of problems", "DEV:INO", nil, run("--policy", "testdata/no/such/file", "true"), "<3>"},
		{"a warning", "DEV:INO", []string{"MALLOC_ARENA_MAX=9"}, run("--arenas", "3", "true"), "<4>"},
		{"explanations", "DEV:INO", nil, run("--verbose", "--arenas", "off", "true"), "<6>"},
		{"a summary", "DEV:INO", nil, run("--supervise", "--summary", "true"), "<6>"},
		{"a breach", "DEV:INO", nil, run(policy(terminate)...), "<3> <5>"},
		{"a breach, supervised", "DEV:INO", nil, run(append([]string{"--supervise"}, policy(terminate)...)...), "<3> <5>"},
		{"every event", "DEV:INO", nil, run(append([]string{"--verbose"}, policy(terminate)...)...), "<6> <3> <5> <6>"},
		{"JSON says it in its own way", "DEV:INO", nil, run(policy(terminate + "[log]\nformat = \"json\"\n")...), "{"},
		{"stderr is not the journal any more", "DEV:1", nil, run(policy(terminate)...), "a"},
		{"no journal", "", nil, run(policy(terminate)...), "a"},
		{"no stream", "INO", nil, run(), "a T"},
		{"the log is a file", "DEV:INO", nil, run(policy(terminate + "[log]\nto = \"" + log + "\"\n")...), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := saidTo(t, c.stream, c.env, c.args...)
			if got := strings.Join(slices.Compact(beginnings(said)), " "); got != c.want {
				t.Errorf("%s\nthe lines begin with %q, want %q", said, got, c.want)
			}
		})
	}
	// The watch logs its action after it has sent the signal that ends the target, so saidTo may return before the line
	// is in the log.
	text, err := os.ReadFile(log)
	for deadline := time.Now().Add(patience); !strings.Contains(string(text), "SIGTERM sent") && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		text, err = os.ReadFile(log)
	}
	if err != nil || !strings.Contains(string(text), " arenacap: sleep[") || strings.Contains(string(text), "<") {
		t.Errorf("%s has %q, %v", log, text, err)
	}
}
