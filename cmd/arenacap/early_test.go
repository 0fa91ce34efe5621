package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/run"
)

// TestEarly lets Go's runtime tell which packages were initialised before an ordinary launch: of others' only the
// TOML parser, and what is as quick as go-moremath.
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
			for line := range strings.Lines(stderr.String()) {
				if strings.HasPrefix(line, "init github.com/") && !strings.HasPrefix(line, "init github.com/BurntSushi/") &&
					!strings.HasPrefix(line, "init github.com/aclements/") || strings.HasPrefix(line, "init net/") {
					t.Errorf("%s, %s: %s", filepath.Base(binary), name, line)
				}
			}
		}
	}
}

// libraryReads is what urfave/cli makes of a command line, "" where run is not called.
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

// FuzzRead compares what package run reads of a command line with what urfave/cli does. The arguments are divided by
// newlines.
func FuzzRead(f *testing.F) {
	for _, words := range []string{
		"run true", "run -- true", "run -- -- true", "run true -- x", "run", "run --", "", "run \n", "-- run true",
		"--policy f run true", "-policy=f run -service s true", "--policy f run --policy g true", "run --policy -- true",
		"run --policy= true", "run --policy", "run -q --verbose true", "run -q=false true", "run --q=1 true", "run -q=x true",
		"run --arenas 2 --cores auto --budget 4GiB true", "run --supervise --summary --parent-death-signal TERM true",
		"run --dry-run true", "run --version true", "--version run true", "run --help", "run -h true", "run help", "run - true",
		"run --- true", "run ---q true", "run --=x true", "run -=x true", "run --unknown true", "run true --policy f",
		"run --generate-bash-completion", "env", "ru true", "-q run true", "--q --q run --q true", "--arenas 2 run true",
		"run --service run run run", "run --kill-group=0 true", "run --policy=a=b true", "help run", "run --budget off -- --help",
	} {
		f.Add(strings.ReplaceAll(words, " ", "\n"))
	}
	f.Add("run\n\n")
	f.Add("run\n--policy\n\ntrue")
	f.Fuzz(func(t *testing.T, text string) {
		args := append([]string{"arenacap"}, strings.Split(text, "\n")...)
		got, ok := run.Read(args)
		if !ok {
			return // the library's, whatever it is
		}
		want, called := libraryReads(args)
		if !called {
			t.Fatalf("%q: read, and urfave/cli does not run it", args)
		}
		if got.Command != want.Command || !reflect.DeepEqual(got.Args, want.Args) {
			t.Fatalf("%q:\n read %+v\n cli  %+v", args, got, want)
		}
		for _, flag := range run.Flags(run.Global, run.Caps, run.Budget, run.Own, run.Supervise) {
			value, given := got.Text(flag.Name)
			if v, g := want.Text(flag.Name); v != value || g != given {
				t.Fatalf("%q: --%s is %q, %v; urfave/cli has %q, %v", args, flag.Name, value, given, v, g)
			}
		}
	})
}

// TestReadUnderstandsTheOrdinary is the other side of FuzzRead: lines that must not be left to the library, since only
// its way round makes a launch slower.
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
