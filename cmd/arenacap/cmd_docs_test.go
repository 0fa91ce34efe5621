//go:build !urfave_cli_no_docs

package main

// The man page and the completions, in the real shells.

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// docsOf is what "arenacap docs KIND" prints, from a build that has it.
func docsOf(t *testing.T, kind string) string {
	t.Helper()
	out, err := exec.Command(requireTools(t).plain, "docs", kind).Output()
	if err != nil {
		t.Fatalf("docs %s: %v", kind, err)
	}
	return string(out)
}

func TestManPageNamesEveryCommandAndFlag(t *testing.T) {
	page := docsOf(t, "man")
	app := newApp()
	app.Setup()
	for _, c := range app.VisibleCommands() {
		command := c.Name
		if !strings.Contains(page, ".SH "+command+"\n") {
			t.Errorf("the man page has no section for %q", command)
		}
		for _, flag := range flagNames(c) {
			if !strings.Contains(page, `\fB`+flag+`\fP`) && !strings.Contains(page, strings.ReplaceAll(flag, "-", `\-`)) && !strings.Contains(page, flag) {
				t.Errorf("the man page does not name %s of %q", flag, command)
			}
		}
	}
}

// completion is a file with the completions for a shell.
func completion(t *testing.T, shell string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "arenacap."+shell)
	if err := os.WriteFile(file, []byte(docsOf(t, shell)), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// ask gives the words that a shell prints. Its home is empty.
func ask(t *testing.T, shell string, args ...string) []string {
	t.Helper()
	testenv.Need(t, shell)
	home := t.TempDir()
	cmd := exec.Command(shell, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", shell, err, out)
	}
	return strings.Fields(string(out))
}

func expectOffered(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%q is not offered, only %q", w, got)
		}
	}
}

// askBash gives what bash offers behind the words of an array.
func askBash(t *testing.T, file, words string) []string {
	t.Helper()
	script := `source "$1"; COMP_WORDS=(` + words + `); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _arenacap; printf '%s\n' "${COMPREPLY[@]}"`
	return ask(t, "bash", "-c", script, "bash", file)
}

// TestCompletionsInTheRealShells asks each shell what it would complete.
func TestCompletionsInTheRealShells(t *testing.T) {
	t.Run("bash", func(t *testing.T) {
		file := completion(t, "bash")
		expectOffered(t, askBash(t, file, `arenacap ''`), "run", "check", "inspect", "unit")
		expectOffered(t, askBash(t, file, `arenacap help ''`), "run", "unit")
		expectOffered(t, askBash(t, file, `arenacap run --b`), "--budget")
		expectOffered(t, askBash(t, file, `arenacap --policy x plan --j`), "--json")
		expectOffered(t, askBash(t, file, `arenacap env --shell `+"''"), "fish", "zsh", "tcsh", "slurm")
		expectOffered(t, askBash(t, file, `arenacap run base64`), "base64")
	})
	t.Run("fish", func(t *testing.T) {
		file := completion(t, "fish")
		ask(t, "fish", "--no-execute", file)
		expectOffered(t, ask(t, "fish", "-c", "source "+file+"; complete -C 'arenacap '"), "run", "check")
		expectOffered(t, ask(t, "fish", "-c", "source "+file+"; complete -C 'arenacap run --bud'"), "--budget")
		expectOffered(t, ask(t, "fish", "-c", "source "+file+"; complete -C 'arenacap env --shell '"), "sh", "tcsh", "slurm")
	})
	t.Run("zsh", func(t *testing.T) {
		ask(t, "zsh", "-n", completion(t, "zsh"))
	})
}
