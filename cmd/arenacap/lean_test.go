package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestLeanStart: for a launch the runtime of a release finds no control group to choose GOMAXPROCS by, and it does in all
// else. That the target's limit of files is what it was, TestNothingElseChanges says.
func TestLeanStart(t *testing.T) {
	tool := requireTools(t)
	need(t, "strace")
	dir := t.TempDir()
	policy := writeFile(t, filepath.Join(dir, "policy.toml"), "[arenas]\ncap = 2\n")
	calls := filepath.Join(dir, "calls")
	looked := regexp.MustCompile(`(?m)/proc/self/cgroup".* = [0-9]+$`)
	run := []string{"--policy", policy, "run", "--", "/bin/true"}
	for _, b := range builds(tool) {
		for _, c := range []struct {
			name        string
			setup, args []string
			looks       bool
		}{
			{"a launch", nil, run, b.name == "plain"},
			{"a launch that needs /dev/null", states("close 0"), run, true},
			{"no launch", nil, []string{"check", policy}, true},
		} {
			line := slices.Concat([]string{"-f", "-o", calls, "-e", "trace=?open,openat", tool.setup}, c.setup, []string{"--", b.path}, c.args)
			if out, err := exec.Command("strace", line...).CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v\n%s", b.name, c.name, err, out)
			}
			text, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if looked.Match(text) != c.looks {
				t.Errorf("%s, %s: it looks at its control group: %t, want %t\n%s", b.name, c.name, !c.looks, c.looks, text)
			}
		}
	}
}
