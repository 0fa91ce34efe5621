package main

// This file runs the scripts of testdata/script, and has some of their additional commands.

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestScripts runs testdata/script/*.txtar, one topic per file, with the real program. In addition to the commands of
// testscript there are
//
//	exits STATUS COMMAND…   the command ends with this status, or by this signal (KILL, TERM, …)
//	signal NAME             sends a signal to the commands in the background
//	arenas NAME …           starts arenasProgram (scriptArenas)
//	tell PID LINE…          sends it more commands (scriptTell)
//	await FILE TEXT…        waits for a line of a file (scriptAwait)
//
// and the conditions
//
//	[root]    the tests run as root
//	[race]    the arenacap in PATH was built with the race detector
//	[early]   arenacap was built with package early
func TestScripts(t *testing.T) {
	t.Parallel()
	tool := requireTools(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               func(e *testscript.Env) error { return prepareScript(e, tool) },
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			case "race":
				return raceDetector && tool.checked != os.Getenv("ARENACAP_BINARY"), nil
			case "early":
				return early, nil
			}
			return false, errors.New("unknown condition " + name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "signal": signalAll, "arenas": scriptArenas, "tell": scriptTell, "await": scriptAwait,
		},
	})
}

// prepareScript puts arenacap and setup.c's program first in PATH, and sets HOME to a folder that only the script
// creates.
func prepareScript(e *testscript.Env, tool tools) error {
	bin := filepath.Join(e.WorkDir, ".bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for name, path := range map[string]string{"arenacap": tool.checked, "setup": tool.setup} {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Dir(e.WorkDir), 0o755); err != nil { // other users must be able to run the programs in it
		return err
	}
	e.Setenv("PATH", bin+":"+e.Getenv("PATH"))
	e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
	return nil
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = ending(exit.Sys().(syscall.WaitStatus))
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("%s ended with %s, expected %s", args[1], got, args[0])
	}
}

// ending returns the status, or the name of the signal without SIG.
func ending(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return unix.SignalName(ws.Signal())[len("SIG"):]
	}
	return strconv.Itoa(ws.ExitStatus())
}

func signalAll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signal NAME")
	}
	n := unix.SignalNum("SIG" + args[0])
	if n == 0 {
		ts.Fatalf("unknown signal %q", args[0])
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(n))
	}
}
