package main

// The README shows what the program prints.

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// TestReadme runs every command of the console blocks in the README files, and compares its output with the text.
func TestReadme(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var sessions []testenv.Session
	for _, file := range []string{"README.md", "cmd/arenacap/README.md", "policy/README.md", "launcher/README.md", "examples/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, testenv.Sessions(string(text))...)
	}
	if len(sessions) < 6 {
		t.Fatalf("the READMEs have %d commands; the parser finds no more, or they were taken out", len(sessions))
	}
	dir := t.TempDir()
	for _, s := range sessions {
		t.Run(s.Command, func(t *testing.T) {
			if strings.HasPrefix(s.Command, "go test") {
				return // this test itself
			}
			if strings.Contains(s.Command, "pgrep") {
				testenv.Need(t, "pgrep")
			}
			out := runSession(t, s.Command, root, dir)
			if !s.Printed(out) {
				t.Errorf("$ %s\nprinted:\n%s\nthe README has:\n%s", s.Command, out, s.Output())
			}
		})
	}
}

// runSession runs a command as a user would type it: with arenacap in PATH, in an empty folder, or at the top of the
// repository if it builds something. It replaces /tmp by the folder, because /tmp may have files of other users.
func runSession(t *testing.T, command, root, dir string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", strings.ReplaceAll(command, "/tmp/", dir+"/"))
	cmd.Dir = dir
	if program, _, _ := strings.Cut(command, " "); program == "go" || program == "cc" {
		cmd.Dir = root
	}
	cmd.Env = append(os.Environ(), "PATH="+requireTools(t).dir+":"+os.Getenv("PATH"))
	out, _ := cmd.CombinedOutput() // the status may be 1, for example of check for a bad file
	return string(out)
}
