package main

// The README shows what the program prints.

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// session is one command of a README with the output shown for it.
type session struct {
	command string
	want    []string
}

// TestReadme runs every command of the console blocks in the README files, and compares its output, stdout and stderr
// together, with the text. "…" matches any text, and alone on a line any lines.
func TestReadme(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var sessions []session
	for _, file := range []string{"README.md", "cmd/arenacap/README.md", "policy/README.md", "launcher/README.md", "examples/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, parseSessions(string(text))...)
	}
	if len(sessions) < 6 {
		t.Fatalf("the READMEs have %d commands; the parser finds no more, or they were taken out", len(sessions))
	}
	dir := t.TempDir()
	for _, s := range sessions {
		t.Run(s.command, func(t *testing.T) {
			if strings.HasPrefix(s.command, "go test") {
				return // this test itself
			}
			if strings.Contains(s.command, "pgrep") {
				testenv.Need(t, "pgrep")
			}
			out := runSession(t, s.command, root, dir)
			if !sessionPattern(s.want).MatchString(out) {
				t.Errorf("$ %s\nprinted:\n%s\nthe README has:\n%s", s.command, out, strings.Join(s.want, "\n"))
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

func parseSessions(text string) (list []session) {
	for _, block := range strings.Split(text, "```console\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			line = strings.TrimRight(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				list = append(list, session{command: command})
			} else if len(list) > 0 {
				last := &list[len(list)-1]
				last.want = append(last.want, line)
			}
		}
	}
	return list
}

func sessionPattern(want []string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range want {
		if line == "…" {
			b.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(line, " ")), "…", `[^\n]*`) + `[ ]*\n`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}
