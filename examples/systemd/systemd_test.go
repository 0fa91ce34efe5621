// Package systemd_test checks the units of this folder with systemd-analyze verify, and runs the command line of
// authserver.service.
package systemd_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// install builds the programs and copies the unit and the policy into one folder, and adapts the unit's paths.
func install(t *testing.T) (ctx context.Context, dir, unit string) {
	t.Helper()
	testenv.Need(t, "go", "gcc")
	dir = lab.Dir(t)
	arenacap, server := lab.Programs(t, dir)
	file, err := lab.Copy("policy.toml", dir)
	if err != nil {
		t.Fatal(err)
	}
	unit, err = lab.Copy("authserver.service", dir, "/usr/bin/arenacap", arenacap, "/opt/auth/authserver", server, "/etc/arenacap/policy.toml", file)
	if err != nil {
		t.Fatal(err)
	}
	return lab.Within(t, time.Minute), dir, unit
}

func TestUnitIsValid(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	ctx, _, unit := install(t)
	// An unknown key is only printed; the status is 0.
	out, err := exec.CommandContext(ctx, "systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// The unit of the watch of the host is valid. systemd before 253 reports only the unknown type notify-reload.
func TestWatchUnitIsValid(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	_, dir, _ := install(t)
	unit, err := lab.Copy("arenacap-watch.service", dir, "/usr/bin/arenacap", dir+"/arenacap")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Failed to parse service type, ignoring: notify-reload") {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// execStart is the unit's command line. It contains no quotes, and only the specifier %t, the folder of run-time files.
func execStart(t *testing.T, unit, runtime string) []string {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if !ok {
			continue
		}
		command = strings.ReplaceAll(command, "%t", runtime)
		if strings.ContainsAny(command, `"'\$%`) {
			t.Fatalf("%s needs more than a split at blanks", command)
		}
		return strings.Fields(command)
	}
	t.Fatalf("%s has no ExecStart=", unit)
	return nil
}

func TestCommandLineRuns(t *testing.T) {
	ctx, dir, unit := install(t)
	if err := os.Mkdir(filepath.Join(dir, "authserver.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	line := execStart(t, unit, dir)
	// The unit's command line has the socket %t/authserver/auth.sock. Here %t is dir, and dir/authserver is the
	// program, not a folder, so the test uses another folder.
	line[len(line)-1] = filepath.Join(dir, "authserver.d", "auth.sock")
	p, err := lab.Start(exec.CommandContext(ctx, line[0], line[1:]...), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if _, err := p.AwaitText(ctx, "authserver: 128 threads, ready"); err != nil {
		t.Fatal(err)
	}
	env, err := lab.Environ(p.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if env["MALLOC_ARENA_MAX"] != "4" {
		t.Errorf("the main PID has MALLOC_ARENA_MAX=%q, want the policy's 4", env["MALLOC_ARENA_MAX"])
	}
	if status, err := p.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
	if e, err := p.AwaitEvent(ctx, "exited", ""); err != nil || e.Pid != p.Pid || e.Service != "authserver" {
		t.Errorf("%+v, %v", e, err)
	}
}

// The unit tells systemd not to restart it after the statuses 125 to 127. The test checks that arenacap ends with these
// statuses.
func TestStatusesThatPreventARestart(t *testing.T) {
	ctx, dir, unit := install(t)
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	if want := "RestartPreventExitStatus=125 126 127\n"; !strings.Contains(string(text), want) {
		t.Fatalf("the unit has no %q", want)
	}
	line := execStart(t, unit, dir)
	for _, c := range []struct {
		name   string
		spoil  func() error
		status int
	}{
		{"the program may not be run", func() error { return os.Chmod(filepath.Join(dir, "authserver"), 0o644) }, 126},
		{"the program is missing", func() error { return os.Remove(filepath.Join(dir, "authserver")) }, 127},
		{"the policy has a mistake", func() error {
			return os.WriteFile(filepath.Join(dir, "policy.toml"), []byte("[arenas]\ncaps = 4\n"), 0o644)
		}, 125},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.status {
			t.Errorf("%s: %v, want status %d\n%s", c.name, err, c.status, out)
		}
	}
}
