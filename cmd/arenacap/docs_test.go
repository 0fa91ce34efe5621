//go:build !urfave_cli_no_docs

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
	commands, flags := words(setUp(newApp()))
	for _, command := range commands {
		if !strings.Contains(page, ".SH "+command+"\n") {
			t.Errorf("the man page has no section for %q", command)
		}
		for _, flag := range flags[command] {
			if !strings.Contains(page, `\fB`+flag+`\fP`) && !strings.Contains(page, strings.ReplaceAll(flag, "-", `\-`)) && !strings.Contains(page, flag) {
				t.Errorf("the man page does not name %s of %q", flag, command)
			}
		}
	}
}

// TestCompletionsInTheRealShells asks each shell what it would complete.
func TestCompletionsInTheRealShells(t *testing.T) {
	dir := t.TempDir()
	script := func(kind string) string {
		path := filepath.Join(dir, "arenacap."+kind)
		if err := os.WriteFile(path, []byte(docsOf(t, kind)), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ask := func(shell string, args ...string) []string {
		need(t, shell)
		cmd := exec.Command(shell, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", shell, err, out)
		}
		return strings.Fields(string(out))
	}
	expect := func(t *testing.T, got []string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+w+" ") {
				t.Errorf("%q is not offered, only %q", w, got)
			}
		}
	}
	bash := func(words string) string {
		return `source "$1"; COMP_WORDS=(` + words + `); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _arenacap; printf '%s\n' "${COMPREPLY[@]}"`
	}
	t.Run("bash", func(t *testing.T) {
		file := script("bash")
		expect(t, ask("bash", "-c", bash(`arenacap ''`), "bash", file), "run", "check", "inspect", "unit")
		expect(t, ask("bash", "-c", bash(`arenacap run --b`), "bash", file), "--budget")
		expect(t, ask("bash", "-c", bash(`arenacap --policy x plan --j`), "bash", file), "--json")
		expect(t, ask("bash", "-c", bash(`arenacap env --shell f`), "bash", file), "fish")
		expect(t, ask("bash", "-c", bash(`arenacap run base64`), "bash", file), "base64")
	})
	t.Run("fish", func(t *testing.T) {
		file := script("fish")
		ask("fish", "--no-execute", file)
		expect(t, ask("fish", "-c", "source "+file+"; complete -C 'arenacap '"), "run", "check")
		expect(t, ask("fish", "-c", "source "+file+"; complete -C 'arenacap run --bud'"), "--budget")
	})
	t.Run("zsh", func(t *testing.T) {
		file := script("zsh")
		ask("zsh", "-n", file)
	})
}
