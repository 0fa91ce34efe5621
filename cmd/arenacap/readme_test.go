package main

// These tests check that the README shows what the program prints.

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// repository is the top folder, seen from the folder in which this test runs.
const repository = "../.."

func readme(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadme runs every command of the console blocks in the README files, and compares its output with the text. In the
// first README numbers are compared by their shape, because they depend on the machine.
func TestReadme(t *testing.T) {
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	dir, commands := t.TempDir(), 0
	for _, file := range []string{"README.md", "cmd/arenacap/README.md", "policy/README.md", "launcher/README.md", "examples/README.md"} {
		shown := testenv.Session.Printed
		if file == "README.md" {
			shown = testenv.Session.Resembles
		}
		for _, s := range testenv.Sessions(readme(t, file)) {
			commands++
			t.Run(s.Command, func(t *testing.T) {
				if strings.HasPrefix(s.Command, "go test") {
					return // the command would run this test again
				}
				if strings.Contains(s.Command, "pgrep") {
					testenv.Need(t, "pgrep")
				}
				if out := runSession(t, s.Command, root, dir); !shown(s, out) {
					t.Errorf("$ %s\nprinted:\n%s\n%s has:\n%s", s.Command, out, file, s.Output())
				}
			})
		}
	}
	if commands < 6 {
		t.Fatalf("the READMEs have %d commands; the parser finds no more, or they were taken out", commands)
	}
}

// The links of the README files to files lead somewhere, and every example has a page and a row in the table of examples.
func TestReadmeLinks(t *testing.T) {
	entries, err := os.ReadDir(repository + "/examples")
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{"README.md", "cmd/arenacap/README.md", "cmd/arenacap-exporter/README.md", "policy/README.md", "launcher/README.md", "examples/README.md"}
	table, _, _ := strings.Cut(readme(t, "examples/README.md"), "\n## ")
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || name == "internal" {
			continue
		}
		pages = append(pages, "examples/"+name+"/README.md")
		if row := "\n| [" + name + "](" + name + ") | "; strings.Count(table, row) != 1 {
			t.Errorf("examples/README.md has no row for %s", name)
		}
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(readme(t, page), -1) {
			if _, err := os.Stat(filepath.Join(repository, filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
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
