//go:build !urfave_cli_no_docs

package main

// These tests check the manual pages, and the completions in the real shells.

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"arenacap/launcher/testenv"
)

// docsOf is the output of "arenacap docs KIND…" of a build that has the command.
func docsOf(t *testing.T, kind ...string) string {
	t.Helper()
	out, err := exec.Command(requireTools(t).plain, append([]string{"docs"}, kind...)...).Output()
	if err != nil {
		t.Fatalf("docs %s: %v", kind, err)
	}
	return string(out)
}

// TestManPages checks that each command has a page with its flags, and that the formatters accept all pages.
func TestManPages(t *testing.T) {
	t.Parallel()
	app := newApp()
	app.Setup()
	pages := map[string]string{"arenacap.1": docsOf(t, "man")}
	for _, file := range []string{"../../policy/arenacap.toml.5", "../../launcher/watch/arenacap-events.7", "../arenacap-exporter/arenacap-exporter.8"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(file)] = string(text)
	}
	for _, name := range documented(app) {
		if !strings.Contains(pages["arenacap.1"], "\n.It Xr arenacap-"+name+" 1\n") {
			t.Errorf("arenacap(1) does not name %s", name)
		}
		page := docsOf(t, "man", name)
		for _, flag := range flagNames(app.Command(name)) {
			if !strings.Contains(page, " Fl "+strings.TrimPrefix(flag, "-")) {
				t.Errorf("the page of %s does not name %s", name, flag)
			}
		}
		checkExamples(t, app, name)
		pages["arenacap-"+name+".1"] = page
	}
	for _, m := range regexp.MustCompile(`(?m)\.Xr (arenacap\S*) (\d)`).FindAllStringSubmatch(strings.Join(slices.Collect(maps.Values(pages)), "\n"), -1) {
		if pages[m[1]+"."+m[2]] == "" {
			t.Errorf("%s(%s) is referred to and does not exist", m[1], m[2])
		}
	}
	checkExamples(t, app, "arenacap")
	for status, page := range exitStatuses(t) {
		if !regexp.MustCompile(`\b` + status + `\b`).MatchString(pages[page]) {
			t.Errorf("%s has no exit status %s", page, status)
		}
	}
	dir := t.TempDir()
	for name, page := range pages {
		writeFile(t, filepath.Join(dir, name), page)
	}
	lintPages(t, filepath.Join(dir, "*"))
}

// checkExamples checks that a page has examples, and that the commands and flags in them exist.
func checkExamples(t *testing.T, app *cli.App, page string) {
	t.Helper()
	if len(manExamples[page]) == 0 {
		t.Errorf("the page of %s has no example", page)
	}
	for _, e := range manExamples[page] {
		for _, line := range regexp.MustCompile(`\barenacap ([a-z-]+)(.*)`).FindAllStringSubmatch(e.lines, -1) {
			c := app.Command(line[1])
			if c == nil {
				t.Errorf("the page of %s names the command %q", page, line[1])
				continue
			}
			own, _, _ := strings.Cut(line[2], " -- ")
			for _, flag := range regexp.MustCompile(`(?:^| )(--[a-z0-9-]+)`).FindAllStringSubmatch(own, -1) {
				if !slices.Contains(flagNames(c), flag[1]) {
					t.Errorf("an example of %s names the flag %s", page, flag[1])
				}
			}
		}
	}
}

// exitStatuses returns the exit statuses that the sources define, and the manual page that must document each.
func exitStatuses(t *testing.T) map[string]string {
	page := map[string]string{"126": "arenacap-run.1", "127": "arenacap-run.1"} // the statuses of launcher.StartError
	for _, file := range []string{"internal/say/exit_status.go", "internal/run/supervise.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\t?(?:const )?status\w+ += (\d+)`).FindAllStringSubmatch(string(text), -1) {
			page[m[1]] = "arenacap-run.1"
			if len(m[1]) == 1 {
				page[m[1]] = "arenacap.1"
			}
		}
	}
	if len(page) < 7 {
		t.Errorf("the sources have only the exit statuses %v", slices.Sorted(maps.Keys(page)))
	}
	return page
}

// lintPages runs the two formatters. mandoc also reports references to pages that are not installed here.
func lintPages(t *testing.T, pattern string) {
	testenv.Need(t, "mandoc", "man")
	files, _ := filepath.Glob(pattern)
	for _, file := range files {
		out, _ := exec.Command("mandoc", "-Tlint", file).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "referenced manual not found") && !strings.Contains(line, "outdated mandoc.db") {
				t.Error(line)
			}
		}
		cmd := exec.Command("man", "--warnings", "--local-file", file)
		var problems strings.Builder
		cmd.Env, cmd.Stderr = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8"), &problems
		if text, err := cmd.Output(); err != nil || problems.Len() > 0 || !strings.Contains(string(text), "SYNOPSIS") && !strings.Contains(string(text), "DESCRIPTION") {
			t.Errorf("man %s: %v %s", file, err, problems.String())
		}
	}
}

// askers are scripts that read lines from stdin. For each line they print "== " and the line, then the completions that
// the shell offers, one per line. Their folder has the completion files and the files that the lines name.
var askers = map[string][]string{
	"bash": {"bash", "--norc", "-c", `source /usr/share/bash-completion/bash_completion; source ./arenacap.bash
		while IFS= read -r line; do
			echo "== $line"
			COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMP_KEY=9
			read -ra COMP_WORDS <<<"${line//=/ = }"
			[[ $line == *' ' ]] && COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]}-1))
			_arenacap; printf '%s\n' "${COMPREPLY[@]}"
		done`},
	"fish": {"fish", "-c", `source ./arenacap.fish
		while read line; echo "== $line"; complete -C $line; end`},
	// zsh completes only at a terminal, so the completions go to a file.
	"zsh": {"zsh", "-f", "-c", `zmodload zsh/zpty; zpty z zsh -f -i
		zpty -w z "source ./inner.zsh"; zpty -r -m z got "*READY*"
		while IFS= read -r line; do
			print -r -- "== $line" >>offered
			zpty -w -n z "$line"$'\t'; zpty -r -m z got "*END*"
			zpty -w -n z $'\C-u'
		done
		zpty -d z; cat offered`},
}

const innerZsh = `PROMPT= fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; bindkey '^I' complete-word
	zstyle ':completion:*' insert-tab false
	compadd() {
		if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
			local -a hits; builtin compadd -O hits "$@"; print -rl -- $hits >>offered
		fi
		builtin compadd "$@"
	}
	ends() { print END; comppostfuncs=(ends) }; comppostfuncs=(ends)
	print READY
`

// offered returns what a shell offers at the end of each line. The shell's home has only the files of this test, so the
// user's settings do not matter.
func offered(t *testing.T, shell string, lines []string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"arenacap.bash": docsOf(t, "bash"), "arenacap.fish": docsOf(t, "fish"), "_arenacap": docsOf(t, "zsh"), "inner.zsh": innerZsh,
		"policy.toml": "[service.auth]\n[service.\"php8.2-fpm\".budget]\n"} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(askers[shell][0], askers[shell][1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir), strings.NewReader(strings.Join(lines, "\n")+"\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", shell, err, out)
	}
	all, line := map[string][]string{}, ""
	for text := range strings.Lines(string(out)) {
		word, _, _ := strings.Cut(strings.TrimSuffix(text, "\n"), "\t") // fish adds a description
		if next, ok := strings.CutPrefix(word, "== "); ok {
			line = next
		} else {
			all[line] = append(all[line], word)
		}
	}
	return all
}

// TestCompletionsInTheRealShells checks what each shell offers after the start of a command line.
func TestCompletionsInTheRealShells(t *testing.T) {
	t.Parallel()
	const number = "a number"
	table := []struct {
		line      string
		want, not string
	}{
		{"arenacap ", "run check inspect unit help version", "policy.toml docs"},
		{"arenacap help ", "run unit", "policy.toml"},
		{"arenacap run --b", "--budget", ""},
		{"arenacap run --hel", "--help", ""},
		{"arenacap --policy policy.toml plan --j", "--json", ""},
		{"arenacap --policy poli", "policy.toml", "run"},
		{"arenacap --policy=poli", "policy.toml", "run"},
		{"arenacap env --shell ", "bash fish zsh tcsh slurm", "policy.toml"},
		{"arenacap env p", "", "policy.toml plan"},
		{"arenacap run base6", "base64", ""},
		{"arenacap run -- base6", "base64", ""},
		{"arenacap run -q -- base6", "base64", ""},
		{"arenacap run --budget 4G base6", "base64", ""},
		{"arenacap run ls --recu", "--recursive", ""},
		{"arenacap run --supervise -- ls --recu", "--recursive", ""},
		{"arenacap run ls --b", "--block-size", "--budget"},
		{"arenacap run -- ls --b", "--block-size", "--budget"},
		{"arenacap sweep -- ls poli", "policy.toml", ""},
		{"arenacap run --policy policy.toml --service ", "auth php8.2-fpm", "run base64 policy.toml"},
		{"arenacap --policy policy.toml run --service ", "auth php8.2-fpm", "run base64 policy.toml"},
		{"arenacap run --arenas ", "1/core glibc", "policy.toml"},
		{"arenacap run --argv0 p", "", "policy.toml"},
		{"arenacap check poli", "policy.toml", ""},
		{"arenacap inspect ", number, "policy.toml"},
		{"arenacap watch --budget 4G ", number, "policy.toml"},
		{"arenacap unit systemd-jour", "systemd-journald.service", ""},
		{"arenacap unit --root fold", "folder", ""},
		{"arenacap copy-to fold", "folder", ""},
	}
	var lines []string
	for _, test := range table {
		lines = append(lines, test.line)
	}
	for shell := range askers {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			testenv.Need(t, shell)
			for _, file := range []string{"/lib/systemd/system/systemd-journald.service", "/usr/share/bash-completion/bash_completion"} {
				if _, err := os.Stat(file); err != nil {
					testenv.Lack(t, "there is no %s", file)
				}
			}
			all := offered(t, shell, lines)
			for _, test := range table {
				got := all[test.line]
				has := func(word string) bool {
					return slices.ContainsFunc(got, func(g string) bool { // zsh appends "=" to a completion, fish includes the text before the word
						return strings.TrimPrefix(strings.TrimRight(g, "=/"), "--policy=") == word
					})
				}
				if _, isNumber := strconv.Atoi(strings.Join(got[:min(len(got), 1)], "")); test.want == number && isNumber == nil {
					test.want = ""
				}
				for word := range strings.FieldsSeq(test.want) {
					if !has(word) {
						t.Errorf("%q: %q is not offered, only %.300q", test.line, word, got)
					}
				}
				for word := range strings.FieldsSeq(test.not) {
					if has(word) {
						t.Errorf("%q: %q is offered", test.line, word)
					}
				}
			}
		})
	}
}
