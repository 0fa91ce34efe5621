package main

// These tests check that package early launches exactly what urfave/cli would launch, before the libraries are
// initialised.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
	"arenacap/launcher/machine/gopsutil"
)

// TestEarly makes Go's runtime list the packages that were initialised before an ordinary launch. Of the packages on
// github.com, the list has only the TOML parser and go-moremath, which is initialised fast; it has no package below
// net. In a build without package early, the list has urfave/cli.
func TestEarly(t *testing.T) {
	tool := requireTools(t)
	policy := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(policy, []byte("[budget]\nvirtual = \"4GiB\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"built-in policy": {"run", "true"},
		"with a budget":   {"--policy", policy, "run", "--", "true"},
		"supervised":      {"run", "--supervise", "--arenas=2/core", "true"},
	} {
		for _, binary := range []string{tool.plain, tool.release} {
			cmd := exec.Command(binary, args...)
			cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1", "ARENACAP_POLICY=", "XDG_CONFIG_HOME="+t.TempDir())
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, stderr.String())
			}
			if !strings.Contains(stderr.String(), "init github.com/BurntSushi/toml @") {
				t.Fatalf("%s: no trace of initialisation\n%s", name, stderr.String())
			}
			if !early {
				if !strings.Contains(stderr.String(), "init github.com/urfave/cli/v2 @") {
					t.Errorf("%s, %s: launched early\n%s", filepath.Base(binary), name, stderr.String())
				}
				continue
			}
			for line := range strings.Lines(stderr.String()) {
				if strings.HasPrefix(line, "init github.com/") && !strings.HasPrefix(line, "init github.com/BurntSushi/") &&
					!strings.HasPrefix(line, "init github.com/aclements/") || strings.HasPrefix(line, "init net/") {
					t.Errorf("%s, %s: %s", filepath.Base(binary), name, line)
				}
			}
		}
	}
}

// libraryReads returns a command line as urfave/cli reads it. The result "called" is false if urfave/cli does not call
// the command "run", or if --dry-run is given.
func libraryReads(args []string) (l run.Line, called bool) {
	app := newApp()
	app.Writer, app.ErrWriter = io.Discard, io.Discard
	for _, c := range app.Commands {
		if c.Name == "run" {
			c.Action = orVersion(func(c *cli.Context) error {
				l, called = lineOf(c), !c.Bool("dry-run")
				return nil
			})
			continue
		}
		c.Action = orVersion(func(*cli.Context) error { return nil })
	}
	_ = app.Run(args)
	return l, called
}

// FuzzRead compares how package run and urfave/cli read a command line. Newlines separate the arguments.
func FuzzRead(f *testing.F) {
	for _, words := range []string{
		"run true", "run -- true", "run -- -- true", "run true -- x", "run", "run --", "", "run \n", "-- run true",
		"--policy f run true", "-policy=f run -service s true", "--policy f run --policy g true", "run --policy -- true",
		"run --policy= true", "run --policy", "run -q --verbose true", "run -q=false true", "run --q=1 true", "run -q=x true",
		"run --arenas 2 --cores auto --budget 4GiB true", "run --supervise --summary --parent-death-signal TERM true",
		"run --dry-run true", "run --version true", "--version run true", "run --help", "run -h true", "run help", "run - true",
		"run --- true", "run ---q true", "run --=x true", "run -=x true", "run --unknown true", "run true --policy f",
		"run --generate-bash-completion", "env", "ru true", "-q run true", "--q --q run --q true", "--arenas 2 run true",
		"run --service run run run", "run --kill-group=0 true", "run --policy=a=b true", "help run", "help", "version", "version run",
		"help help", "--policy f help run", "run -- help", "run version", "run --budget off -- --help",
	} {
		f.Add(strings.ReplaceAll(words, " ", "\n"))
	}
	f.Add("run\n\n")
	f.Add("run\n--policy\n\ntrue")
	f.Fuzz(func(t *testing.T, text string) {
		args := append([]string{"arenacap"}, strings.Split(text, "\n")...)
		got, ok := run.Read(args)
		if !ok {
			return // package run does not read this command line but leaves it to the library urfave/cli
		}
		want, called := libraryReads(args)
		if !called {
			t.Fatalf("%q: package run reads it, but urfave/cli does not call run", args)
		}
		if got.Command != want.Command || !reflect.DeepEqual(got.Args, want.Args) {
			t.Fatalf("%q:\n read %+v\n cli  %+v", args, got, want)
		}
		for _, flag := range run.Flags("run") {
			value, given := got.Text(flag.Name)
			if v, g := want.Text(flag.Name); v != value || g != given {
				t.Fatalf("%q: --%s is %q, %v; urfave/cli has %q, %v", args, flag.Name, value, given, v, g)
			}
		}
	})
}

// TestReadUnderstandsTheOrdinary complements FuzzRead: package run must parse these command lines itself, because a launch
// that leaves its command line to urfave/cli is slower.
func TestReadUnderstandsTheOrdinary(t *testing.T) {
	for _, words := range []string{
		"run true", "run -- true", "run --policy f -- true -x", "--policy=f --service s run -q true", "run --verbose -- true",
		"run --arenas 2/core --cores 4 --budget 4GiB true", "run --supervise --kill-group --summary true",
	} {
		if _, ok := run.Read(append([]string{"arenacap"}, strings.Fields(words)...)); !ok {
			t.Errorf("%q was left to the library", words)
		}
	}
}

// FuzzPlan compares the plan of package early, made without gopsutil, with the plan that package main makes of what
// urfave/cli reads: both have the same plan or the same error, unless package early leaves the launch to package main.
// Newlines separate the arguments, and FILE stands for the policy.
func FuzzPlan(f *testing.F) {
	file := filepath.Join(f.TempDir(), "policy.toml")
	for line, text := range map[string]string{
		"run --policy FILE true":                                 "",
		"--policy FILE --service a run -- true":                  "[arenas]\ncap = 4\n[service.a]\narenas.cap = \"2/core\"\n",
		"run --policy=FILE --service b true":                     "[service.a]\narenas.cap = \"off\"\n",
		"run --policy FILE --arenas 0.5/core --cores 8 true":     "[arenas]\nmin = 3\nmax = 9\ncores = \"online\"\n",
		"run --policy FILE --budget 4GiB true":                   "[budget]\nvirtual = \"5GiB\"\nhard = true\n",
		"run --policy FILE --budget off true":                    "[budget]\nresident = \"50%\"\n",
		"run --policy FILE -q true":                              "[budget]\ndata = \"90%\"\nwarn_at = \"70%\"\n",
		"run --policy FILE --arenas glibc true":                  "[arenas]\ncap = \"1/core\"\ntest = 9\n",
		"run --policy FILE --cores 0 true":                       "[arenas]\ncap = 0\n",
		"run --policy FILE --arenas x --budget y --cores z true": "[budget]\n",
		"run --policy FILE --supervise --reraise true":           "[launch]\nmode = \"Exec\"\n",
		"run --policy FILE --budget 9999999TiB true":             "[arenas\n",
		"run --policy FILE --verbose true":                       "when = 1979-05-27 07:32:00\n",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\n"), text)
	}
	f.Fuzz(func(t *testing.T, line, text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"arenacap"}, strings.Split(strings.ReplaceAll(line, "FILE", file), "\n")...)
		read, ok := run.Read(args)
		if !ok {
			return
		}
		early, earlyErr := read.Plan(0, nil)
		if errors.Is(earlyErr, run.ErrNoLibrary) {
			return
		}
		late, _ := libraryReads(args)
		plan, err := late.Plan(0, gopsutil.Root("/"))
		if !reflect.DeepEqual(early, plan) || fmt.Sprint(earlyErr) != fmt.Sprint(err) {
			t.Fatalf("%q with %q:\n early %+v, %v\n late  %+v, %v", args, text, early, earlyErr, plan, err)
		}
	})
}

// TestPlanNeedsNoLibrary checks what FuzzPlan does not: a plan uses gopsutil only if the policy has a percentage of the
// host's memory.
func TestPlanNeedsNoLibrary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.toml")
	for text, late := range map[string]bool{
		"":                                        false,
		"[arenas]\ncap = 4\n":                     false,
		"[arenas]\ncap = \"2/core\"\n":            false,
		"[arenas]\ncap = \"off\"\n":               false,
		"[budget]\nvirtual = \"4GiB\"\n":          false,
		"[budget]\nresident = \"1GiB\"\n":         false,
		"[budget]\nresident = \"50%\"\n":          true,
		"[service.a]\nbudget.data = \"50%\"\n":    true,
		"[service.b]\nbudget.data = \"50%\"\n":    false,
		"[budget]\nwarn_at = \"70%\"\n":           false,
		"[arenas]\ncap = 4\n[budget]\nx = \"\"\n": false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		line, ok := run.Read([]string{"arenacap", "run", "--policy", file, "--service", "a", "true"})
		if !ok {
			t.Fatal("the line was left to the library")
		}
		if _, err := line.Plan(0, nil); errors.Is(err, run.ErrNoLibrary) != late {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestEarlyAndLateAreTheSame runs each line twice: unchanged, so that package early reads it, and with a flag without
// effect that package early leaves to urfave/cli. The target, its environment, the messages and the status are the
// same.
func TestEarlyAndLateAreTheSame(t *testing.T) {
	tool := requireTools(t)
	const nothing = "--q=false"
	dir := t.TempDir()
	write := func(name, text string) string { return writeFile(t, filepath.Join(dir, name), text) }
	fixed := write("fixed.toml", "[arenas]\ncap = 4\n")
	services := write("services.toml", "[arenas]\ncap = \"1/core\"\n[budget]\nvirtual = \"4GiB\"\n[service.db]\narenas.cap = 7\nbudget.virtual = \"off\"\n")
	share := write("share.toml", "[budget]\nresident = \"90%\"\n")
	bad := write("bad.toml", "[arenas]\ncpa = 4\ncap = 0\n")
	refuse := write("refuse.toml", "[launch]\non_unenforceable = \"refuse\"\n")
	script := write("script", "printf '%s\\n' \"$0\" \"$@\"\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		env  []string
	}{
		{args: []string{"run", "env"}},
		{args: []string{"run", "--", "env"}},
		{args: []string{"run", "env"}, env: []string{"MALLOC_ARENA_MAX=9", "no name", "=empty", "GLIBC_TUNABLES=glibc.malloc.arena_max=3:glibc.malloc.tcache_count=0"}},
		{args: []string{"run", "--policy", fixed, "env"}},
		{args: []string{"--policy", fixed, "run", "-q", "env"}, env: []string{"MALLOC_ARENA_MAX=9"}},
		{args: []string{"run", "env"}, env: []string{"ARENACAP_POLICY=" + services, "ARENACAP_SERVICE=db"}},
		{args: []string{"run", "--service", "dbs", "env"}, env: []string{"ARENACAP_POLICY=" + services}},
		{args: []string{"--service=x", "run", "--service=db", "--policy=" + services, "--arenas", "3/core", "--cores=5", "env"}},
		{args: []string{"run", "--policy", services, "env"}},
		{args: []string{"run", "--policy", services, "--budget=off", "--verbose", "env"}},
		{args: []string{"run", "--policy", services, "--supervise", "sh", "-c", "env; exit 7"}},
		{args: []string{"run", "--supervise", "--reraise", "sh", "-c", "kill -KILL $$"}},
		{args: []string{"run", "--policy", share, "env"}},
		{args: []string{"run", "--policy", bad, "env"}},
		{args: []string{"run", "--policy", filepath.Join(dir, "none.toml"), "env"}},
		{args: []string{"run", "--policy", "", "env"}},
		{args: []string{"run", "--policy", refuse, tool.release, "--version"}}, // a static program without glibc's malloc, which the policy refuses
		{args: []string{"run", tool.release, "--version"}},
		{args: []string{"run", "--arenas", "0", "env"}},
		{args: []string{"run", "--cores", "no", "env"}},
		{args: []string{"run", "--budget", "50%", "env"}},
		{args: []string{"run", "--reraise", "env"}},
		{args: []string{"run", "--supervise", "--parent-death-signal", "NONE", "env"}},
		{args: []string{"run", "--argv0", "name", "sh", "-c", "echo $0"}},
		{args: []string{"run", "no-such-program"}},
		{args: []string{"run", dir}},
		{args: []string{"run", "--", script, "--", "", "-q", "--policy", "\xff", "run"}},
		{args: []string{"run", "sh", "-c", "exit 42"}},
		{args: []string{"run", "sh", "-c", "kill -TERM $$"}},
	} {
		if _, ok := run.Read(slices.Concat([]string{"arenacap"}, test.args)); !ok {
			t.Errorf("%q is not launched early", test.args)
		}
		if _, ok := run.Read(slices.Concat([]string{"arenacap", nothing}, test.args)); ok {
			t.Errorf("%q is launched early behind %s", test.args, nothing)
		}
		var said [2]string
		for i, before := range [][]string{nil, {nothing}} {
			cmd := exec.Command(tool.checked, slices.Concat(before, test.args)...)
			cmd.Env = append([]string{"PATH=/usr/bin:/bin", "HOME=" + dir}, test.env...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			said[i] = fmt.Sprintf("%v\nstdout %q\nstderr %q", err, stdout.String(), stderr.String())
		}
		if said[0] != said[1] {
			t.Errorf("%q, environment %q:\nearly: %s\nlate:  %s", test.args, test.env, said[0], said[1])
		}
	}
}
