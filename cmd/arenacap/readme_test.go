package main

// These tests check that the README files show what the programs print, and that their links and tables are complete.

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// TestReadme runs the commands of the console blocks in five README files, except "go test", and compares their output
// with the text. In the first README numbers are compared by their shape, because they depend on the machine.
func TestReadme(t *testing.T) {
	t.Parallel()
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

// Every example has a page and a row in the table of examples.
func TestReadmeOfExamples(t *testing.T) {
	entries, err := os.ReadDir(repository + "/examples")
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(readme(t, "examples/README.md"), "\n## ")
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || name == "internal" {
			continue
		}
		if _, err := os.Stat(filepath.Join(repository, "examples", name, "README.md")); err != nil {
			t.Error(err)
		}
		if row := "\n| [" + name + "](" + name + ") | "; strings.Count(table, row) != 1 {
			t.Errorf("examples/README.md has no row for %s", name)
		}
	}
}

// Each link in the README files to a file of the repository leads to a file that exists, and to a heading that this
// file has.
func TestReadmeLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	links, anchors := 0, 0
	for _, page := range readmes(t) {
		for _, m := range link.FindAllStringSubmatch(readme(t, page), -1) {
			links++
			to := filepath.Join(filepath.Dir(page), m[1])
			if m[1] == "" {
				to = page
			}
			info, err := os.Stat(filepath.Join(repository, to))
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if info.IsDir() {
				to = filepath.Join(to, "README.md")
			}
			if m[2] == "" {
				continue
			}
			if anchors++; !slices.Contains(headingAnchors(readme(t, to)), m[2]) {
				t.Errorf("%s links to %s#%s, which has no such heading", page, to, m[2])
			}
		}
	}
	if links < 100 || anchors < 20 {
		t.Errorf("the README files have %d links and %d with an anchor; the expression does not find all", links, anchors)
	}
}

// readmes returns the README files of the repository, seen from its top folder.
func readmes(t *testing.T) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(repository), ".", func(file string, e fs.DirEntry, err error) error {
		switch {
		case err == nil && file == ".git" && e.IsDir(): // in a worktree it is a file
			return fs.SkipDir
		case e != nil && e.Name() == "README.md":
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// headingAnchors returns the anchors that GitHub gives the headings of a page: in lower case, with "-" for each space,
// without other punctuation; a repeated heading gets a number.
func headingAnchors(page string) (anchors []string) {
	page = regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(page, "")
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		heading := regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		heading = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(heading), "")
		anchor := strings.ReplaceAll(heading, " ", "-")
		if n := seen[anchor]; n > 0 {
			anchors = append(anchors, fmt.Sprintf("%s-%d", anchor, n))
		} else {
			anchors = append(anchors, anchor)
		}
		seen[anchor]++
	}
	return anchors
}

// runSession runs a command as a user would type it: with arenacap in PATH, in the folder dir, or at the top of the
// repository if it builds something. It replaces /tmp by dir, because /tmp may have files of other users.
func runSession(t *testing.T, command, root, dir string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", strings.ReplaceAll(command, "/tmp/", dir+"/"))
	cmd.Dir = dir
	if program, _, _ := strings.Cut(command, " "); program == "go" || program == "cc" {
		cmd.Dir = root
	}
	cmd.Env = append(os.Environ(), "PATH="+requireTools(t).dir+":"+os.Getenv("PATH"))
	out, _ := cmd.CombinedOutput() // the status may be 1, for example if "arenacap check" finds a mistake in a file
	return string(out)
}
