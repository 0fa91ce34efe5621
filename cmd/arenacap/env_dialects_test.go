package main

// These tests let the real shells read the dialects of env for shells, and readers in Go the other dialects.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/environ"
	"arenacap/launcher/testenv"
)

func tunablesTo(value string) []environ.Change {
	return []environ.Change{{Name: "GLIBC_TUNABLES", Value: value}}
}

func TestRenderEnv(t *testing.T) {
	changes := []environ.Change{
		{Name: "MALLOC_ARENA_MAX", Value: "4"},
		{Name: "GLIBC_TUNABLES", Value: `a.b=it's $HOME\`},
		{Name: "MALLOC_ARENA_TEST", Unset: true},
	}
	for shell, want := range map[string]string{
		"sh":      "unset MALLOC_ARENA_TEST\nexport MALLOC_ARENA_MAX='4'\nexport GLIBC_TUNABLES='a.b=it'\\''s $HOME\\'\n",
		"fish":    "set -eg MALLOC_ARENA_TEST\nset -gx MALLOC_ARENA_MAX '4'\nset -gx GLIBC_TUNABLES 'a.b=it\\'s $HOME\\\\'\n",
		"csh":     "unsetenv MALLOC_ARENA_TEST;\nsetenv MALLOC_ARENA_MAX '4';\nsetenv GLIBC_TUNABLES 'a.b=it'\\''s $HOME'\\\\'';\n",
		"systemd": "MALLOC_ARENA_TEST=\nMALLOC_ARENA_MAX=4\nGLIBC_TUNABLES=\"a.b=it's \\$HOME\\\\\"\n",
		"docker":  "MALLOC_ARENA_TEST=\nMALLOC_ARENA_MAX=4\nGLIBC_TUNABLES=a.b=it's $HOME\\\n",
		"slurm":   "unset MALLOC_ARENA_TEST\nexport MALLOC_ARENA_MAX=4\nexport GLIBC_TUNABLES=a.b=it's $HOME\\\n",
		"json":    "{\n  \"set\": {\n    \"GLIBC_TUNABLES\": \"a.b=it's $HOME\\\\\",\n    \"MALLOC_ARENA_MAX\": \"4\"\n  },\n  \"unset\": [\n    \"MALLOC_ARENA_TEST\"\n  ]\n}\n",
	} {
		if got, err := renderEnv(shell, changes); err != nil || got != want {
			t.Errorf("%s: %v\n got %q\nwant %q", shell, err, got, want)
		}
	}
}

// TestShellsByTheirOwnNames checks that --shell also takes the name of a shell program: bash is a shell of the dialect sh.
func TestShellsByTheirOwnNames(t *testing.T) {
	changes := append(tunablesTo("it's"), environ.Change{Name: "MALLOC_ARENA_TEST", Unset: true})
	for shell, same := range map[string]string{"bash": "sh", "dash": "sh", "ksh": "sh", "zsh": "sh", "tcsh": "csh"} {
		want, err := renderEnv(same, changes)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := renderEnv(shell, changes); err != nil || got != want {
			t.Errorf("%s: %q, %v; %s has %q", shell, got, err, same, want)
		}
	}
}

func TestRenderEnvWithNothingToChange(t *testing.T) {
	for _, shell := range []string{"sh", "fish", "csh", "systemd", "docker", "slurm"} {
		if got, err := renderEnv(shell, nil); got != "" || err != nil {
			t.Errorf("%s: %q, %v", shell, got, err)
		}
	}
	if got, err := renderEnv("json", nil); got != "{\n  \"set\": {},\n  \"unset\": []\n}\n" || err != nil {
		t.Errorf("json: %q, %v", got, err)
	}
}

func TestRenderEnvRefusesWhatADialectCannotSay(t *testing.T) {
	for _, c := range []struct{ shell, value, why string }{
		{"csh", "a\nb", "loses line breaks"},
		{"systemd", "\xff", "not UTF-8"},
		{"systemd", "a\x1b[0m", "control character"},
		{"systemd", "a\r", "control character"},
		{"docker", "a\nb", "line break"},
		{"docker", "a\r", "line break"},
		{"docker", "\xff", "not UTF-8"},
		{"docker", strings.Repeat("x", 64<<10), "65535 bytes"},
		{"slurm", "a\nb", "line break"},
		{"slurm", strings.Repeat("x", 4<<10), "4094 bytes"},
		{"json", "a\xc3", "not UTF-8"},
	} {
		changes := append([]environ.Change{{Name: "MALLOC_ARENA_MAX", Value: "4"}}, tunablesTo(c.value)...)
		text, err := renderEnv(c.shell, changes)
		if err == nil || text != "" {
			t.Errorf("%s took %.40q and printed %q", c.shell, c.value, text)
			continue
		}
		message := err.Error()
		if !strings.Contains(message, c.why) || !strings.Contains(message, "GLIBC_TUNABLES=") || strings.Contains(message, "\n") || len(message) > 300 {
			t.Errorf("%s: %s", c.shell, message)
		}
	}
	_, err := renderEnv("powershell", nil)
	if say.Status(err) != 2 {
		t.Errorf("an unknown shell gave %v", err)
	}
	for _, name := range []string{"powershell", "sh", "dash", "tcsh", "slurm", "json"} {
		if !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("%v: does not name %s", err, name)
		}
	}
}

func TestShellWords(t *testing.T) {
	for arg, want := range map[string]string{"--caps": "--caps", "a=b": "a=b", "": "''", "it's": `'it'\''s'`, "$x": "'$x'", "a b": "'a b'", "é": "'é'", "~": "'~'", "{a,b}": "'{a,b}'", "php@8.2": "php@8.2", "2%": "2%"} {
		if got := shellWords([]string{arg}); got != want {
			t.Errorf("%q is %s, want %s", arg, got, want)
		}
	}
}

// realShell is a shell, and how it runs a script, sources a file and evaluates the text of a file.
type realShell struct {
	program, dialect string
	start            []string // command line of the shell; the file of the script follows
	source, eval     string   // commands that source a file and evaluate its text
}

func realShells() []realShell {
	const source, eval = `. %s`, `eval "$(cat %s)"`
	return []realShell{
		{"dash", "dash", []string{"-eu"}, source, eval},
		{"bash", "bash", []string{"--norc", "-eu"}, source, eval},
		{"bash", "sh", []string{"--norc", "--posix", "-eu", "-o", "history", "-o", "histexpand"}, source, eval},
		{"zsh", "zsh", []string{"-f", "-eu", "-o", "rcquotes"}, source, eval},
		{"ksh", "ksh", []string{"-eu"}, source, eval},
		{"fish", "fish", []string{"--no-config"}, `source %s`, `cat %s | source`},
		{"tcsh", "tcsh", []string{"-f"}, `source %s`, "eval \"`cat %s`\""},
		{"tcsh", "csh", []string{"-f", "-e"}, "set backslash_quote\nsource %s", "set backslash_quote\neval \"`cat %s`\""},
	}
}

// hostileValues are values with a special meaning in some shell, and random bytes.
func hostileValues() []string {
	values := []string{
		"", "glibc.malloc.tcache_count=2", "$(touch /nowhere/x)", "`touch /nowhere/x`", "$HOME", "${HOME}", "$$", "$'a\\n'", `"`, `'`, `''`, `'''`, `"'"`,
		`it's`, "!", "a!b", `a\!b`, "!!", "!$", "^a^b", `\`, `\\`, `a\`, `\'`, `'\`, `\n`, "*", "?", "[a-z]", "{a,b}", "~", "~root", "a=~:~", "-", "-n", "--help", "#", "a #b",
		";", "a;b", "&", "|", "<(true)", "> /nowhere/x", "()", " ", "  a  b  ", "\t", "a\tb", "\n", "a\nb", "a\n", "\n\na\n\n", "\\\n", "'\n'", "%s%n", "=ls", "a==ls", "é", "日本", "\u00a0",
		"\xff", "a\xc3", "\xc3(", "\xef\x98\x80", "\xed\xa0\x80", "\x01", "\x1b[31m", "\r", "a\r\n", "\x7f", "\u2028",
		strings.Repeat("x'!\\ ", 5000),
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		value := make([]byte, random.IntN(30))
		for i := range value {
			const special = "'\"\\!$`\n ;*~#^=\xff\xc3"
			if value[i] = byte(1 + random.IntN(255)); random.IntN(2) == 0 {
				value[i] = special[random.IntN(len(special))]
			}
		}
		values = append(values, string(value))
	}
	return values
}

// TestRealShellsReadBackEachByte sources or evaluates the output twice in a shell, and compares the environment of a
// child of the shell with the original values. Each value has a variable of its own, so that one file and one child
// suffice.
func TestRealShellsReadBackEachByte(t *testing.T) {
	for _, shell := range realShells() {
		for _, locale := range []string{"C", "C.UTF-8"} {
			for how, read := range map[string]string{"source": shell.source, "eval": shell.eval} {
				t.Run(fmt.Sprintf("%s/%s/%s/%s", shell.program, strings.Join(shell.start, " "), locale, how), func(t *testing.T) {
					testenv.Need(t, shell.program)
					t.Parallel()
					var changes []environ.Change
					want := map[string]string{}
					for i, value := range hostileValues() {
						change := environ.Change{Name: fmt.Sprint("VALUE", i), Value: value}
						if _, err := renderEnv(shell.dialect, []environ.Change{change}); err != nil {
							continue // TestRenderEnvRefusesWhatADialectCannotSay tests such values
						}
						changes, want[change.Name] = append(changes, change), value
					}
					text, err := renderEnv(shell.dialect, changes)
					if err != nil {
						t.Fatal(err)
					}
					dir := t.TempDir()
					line := fmt.Sprintf(read, writeFile(t, filepath.Join(dir, "values"), text))
					out := shell.run(t, dir, line+"\n"+line+"\nenv -0\n", []string{"LC_ALL=" + locale})
					got := map[string]string{}
					for entry := range strings.SplitSeq(out, "\x00") {
						name, value, _ := strings.Cut(entry, "=")
						got[name] = value
					}
					for name, value := range want {
						if back, ok := got[name]; !ok || back != value {
							t.Errorf("%.60q came back as %.60q", value, back)
						}
					}
				})
			}
		}
	}
}

// TestEnvInRealShells evaluates the output of arenacap env twice in each shell: after the first time the variables are
// as requested, and the second time changes nothing.
func TestEnvInRealShells(t *testing.T) {
	program := requireTools(t).plain // with the race detector a program takes a second to end
	const foreign = `a.b=it's "$HOME" \ !x`
	start := []string{"MALLOC_ARENA_TEST=9", "GLIBC_TUNABLES=glibc.malloc.arena_max=3:" + foreign, "HOME=/nowhere", "PATH=" + os.Getenv("PATH")}
	for _, c := range []struct {
		arenas string
		want   []string
	}{
		{"4", []string{"GLIBC_TUNABLES=" + foreign, "MALLOC_ARENA_MAX=4", "MALLOC_ARENA_TEST=3"}},
		{"glibc", []string{"GLIBC_TUNABLES=" + foreign, "MALLOC_ARENA_MAX=0"}},
		{"off", []string{start[1], start[0]}},
	} {
		for _, shell := range realShells() {
			t.Run(fmt.Sprintf("%s/%s/%s", c.arenas, shell.program, strings.Join(shell.start, " ")), func(t *testing.T) {
				testenv.Need(t, shell.program)
				dir := t.TempDir()
				line := strings.Replace(shell.eval, "cat %s", program+" -q env --arenas "+c.arenas+" --shell "+shell.dialect, 1)
				script := line + "\nenv -0 > " + dir + "/first\n" + line + "\nenv -0 > " + dir + "/second\n"
				shell.run(t, dir, script, start)
				for _, file := range []string{"first", "second"} {
					if got := arenaEntries(t, filepath.Join(dir, file)); !slices.Equal(got, c.want) {
						t.Errorf("%s time: got %q, want %q", file, got, c.want)
					}
				}
			})
		}
	}
}

// run returns the output of the shell's script.
func (s realShell) run(t *testing.T, dir, script string, env []string) string {
	t.Helper()
	file := filepath.Join(dir, "script")
	writeFile(t, file, script)
	cmd := exec.Command(s.program, append(slices.Clone(s.start), file)...)
	cmd.Dir = dir // in this folder an unquoted "*" or "?" would match the files of the test
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", s.program, err, errors.String())
	}
	return string(out)
}

// arenaEntries returns the entries about arenas in the output of env -0, sorted.
func arenaEntries(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	entries := slices.DeleteFunc(strings.Split(string(text), "\x00"), func(e string) bool {
		return !strings.HasPrefix(e, "MALLOC_ARENA_") && !strings.HasPrefix(e, "GLIBC_TUNABLES=")
	})
	slices.Sort(entries)
	return entries
}

// writeFile writes a file and returns its name.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestShReadsTheSystemdFileToo compares the double quotes of EnvironmentFile= with those of a real shell.
func TestShReadsTheSystemdFileToo(t *testing.T) {
	testenv.Need(t, "dash")
	dir := t.TempDir()
	sh := realShell{program: "dash", start: []string{"-eua"}}
	for _, value := range hostileValues() {
		text, err := renderEnv("systemd", tunablesTo(value))
		if err != nil {
			continue
		}
		writeFile(t, filepath.Join(dir, "file"), text)
		if got := sh.run(t, dir, ". ./file\nenv printenv -0 GLIBC_TUNABLES\n", nil); got != value+"\x00" {
			t.Errorf("%.60q came back as %.60q", value, got)
		}
	}
}

// FuzzRenderEnv reads the files back: systemd files with readSystemd, docker files with the scanner that docker uses,
// TaskProlog output as slurmstepd does, and JSON with encoding/json.
func FuzzRenderEnv(f *testing.F) {
	for _, value := range hostileValues() {
		f.Add(value)
	}
	readers := map[string]func(*testing.T, string) string{"systemd": readSystemd, "docker": readDocker, "slurm": readSlurm, "json": readJSON}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsRune(value, 0) {
			t.Skip("no value in an environment has a NUL")
		}
		for shell, read := range readers {
			text, err := renderEnv(shell, append(tunablesTo(value), environ.Change{Name: "MALLOC_ARENA_MAX", Value: "4"}))
			if err != nil {
				if text != "" {
					t.Errorf("%s: an error and the text %q", shell, text)
				}
				if utf8.ValidString(value) && shell == "json" {
					t.Errorf("json refused %q: %v", value, err)
				}
				continue
			}
			if got := read(t, text); got != value {
				t.Errorf("%s: %q came back as %q from %q", shell, value, got, text)
			}
		}
	})
}

// readSystemd reads the first assignment by the rules of systemd.exec(5): an unquoted value ends at the end of the
// line; in double quotes a backslash is removed before one of "\`$, joins lines before a line break, and stays before
// any other character.
func readSystemd(t *testing.T, text string) string {
	_, rest, _ := strings.Cut(text, "=")
	if !strings.HasPrefix(rest, `"`) {
		value, _, _ := strings.Cut(rest, "\n")
		if strings.ContainsAny(value, "'\"\\ \t#") {
			t.Errorf("unquoted: %q", value)
		}
		return value
	}
	var value []byte
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '"':
			if !strings.HasPrefix(rest[i+1:], "\nMALLOC_ARENA_MAX=4\n") {
				t.Errorf("the quotes end too early: %q", text)
			}
			return string(value)
		case rest[i] == '\\' && strings.IndexByte("\"\\`$", rest[i+1]) >= 0:
			i++
			value = append(value, rest[i])
		case rest[i] == '\\' && rest[i+1] == '\n':
			i++
		default:
			value = append(value, rest[i])
		}
	}
	t.Errorf("the quotes do not end: %q", text)
	return ""
}

func readDocker(t *testing.T, text string) string {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Scan()
	_, value, _ := strings.Cut(lines.Text(), "=")
	if !lines.Scan() || lines.Text() != "MALLOC_ARENA_MAX=4" {
		t.Errorf("not a line for each variable: %q, %v", text, lines.Err())
	}
	return value
}

// readSlurm reads a TaskProlog's output as _proc_stdout in Slurm's src/slurmd/slurmstepd/task.c does, in the pieces
// that fgets returns for a size of 4095: up to 4094 bytes, or up to a line break.
func readSlurm(t *testing.T, text string) string {
	env := map[string]string{}
	for text != "" {
		piece := text[:min(len(text), 4094)]
		if end := strings.IndexByte(piece, '\n'); end >= 0 {
			piece = piece[:end+1]
		}
		text = text[len(piece):]
		if rest, ok := strings.CutPrefix(piece, "export "); ok {
			name, value, _ := strings.Cut(strings.TrimLeft(rest, " \t"), "=")
			env[name] = strings.TrimSuffix(value, "\n")
		}
	}
	if len(env) != 2 || env["MALLOC_ARENA_MAX"] != "4" {
		t.Errorf("%d variables: %.100q", len(env), env)
	}
	return env["GLIBC_TUNABLES"]
}

func readJSON(t *testing.T, text string) string {
	var got struct {
		Set   map[string]string
		Unset []string
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	value := got.Set["GLIBC_TUNABLES"]
	if !reflect.DeepEqual(got.Set, map[string]string{"GLIBC_TUNABLES": value, "MALLOC_ARENA_MAX": "4"}) {
		t.Errorf("set is %q", got.Set)
	}
	return value
}
