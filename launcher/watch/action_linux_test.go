package watch

// These tests check the actions at a breach.

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/policy"
)

func TestTheSignalOfABreach(t *testing.T) {
	for _, name := range []string{"SIGUSR1", "SIGRTMIN+3"} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t)
			c.ask(t, "catch "+name, "ready")
			cfg := testConfig("virtual=1")
			cfg.Budget.Action, cfg.Budget.Signal = "signal", name
			s := watchIt(t, cfg, nil, c.pid())
			s.ready()
			s.want("breach virtual")
			s.want("action virtual signal " + name)
			want, _ := parseSignal(name)
			if got := c.answer(); got != fmt.Sprint(int(want)) {
				t.Errorf("signal %s came, want %d", got, want)
			}
			s.silent() // one signal for each breach, not for each sample
		})
	}
}

func TestTerminate(t *testing.T) {
	for _, test := range []struct {
		name, prepare string
		grace         time.Duration
		want          []string
		by            syscall.Signal
	}{
		{"who obeys ends by SIGTERM", "", time.Hour, []string{"action virtual terminate SIGTERM", "exited"}, syscall.SIGTERM},
		{"who does not ends by SIGKILL", "ignore SIGTERM", 20 * time.Millisecond,
			[]string{"action virtual terminate SIGTERM", "action virtual terminate SIGKILL", "exited"}, syscall.SIGKILL},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := startChild(t)
			if test.prepare != "" {
				c.ask(t, test.prepare, "ok")
			}
			cfg := testConfig("virtual=1")
			cfg.Budget.Action, cfg.Budget.Grace = "terminate", test.grace
			s := watchIt(t, cfg, nil, c.pid())
			s.ready()
			s.want("breach virtual")
			for _, want := range test.want {
				s.want(want)
			}
			if out := s.wait()[0]; !out.Terminated || out.Breaches != 1 {
				t.Errorf("%+v", out)
			}
			_ = c.cmd.Wait()
			if status := c.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != test.by {
				t.Errorf("it ended by %v, want %v", status.Signal(), test.by)
			}
		})
	}
}

// The watch reads the value again before the action, and skips the action if the value is no longer over the limit.
func TestAnActionThatIsNotNeededAnyMore(t *testing.T) {
	c := startChild(t)
	fifo := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig("growth=1073741824")
	cfg.Budget.Action = "terminate"
	cfg.Budget.Command = []string{"/bin/cat", fifo} // the command ends when the test closes the FIFO
	cfg.Budget.Timeout = time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	c.ask(t, "map 2147483648", "ok")
	s.want("breach growth")
	c.ask(t, "unmap", "ok")
	release(t, fifo)
	for { // "recovered" may come before or after the skipped action, depending on the time of the samples
		e := s.next()
		if e.Event == eventAction && e.Action == "terminate" {
			if e.Signal != "" || !strings.Contains(e.Message, "was skipped") {
				t.Errorf("%+v", e)
			}
			break
		}
	}
	c.ask(t, "ignore SIGHUP", "ok") // the child has not been ended
}

// If the action of a breach was skipped, the next breach takes its action, although the value fell only slightly below
// the limit in between.
func TestAnActionThatIsNeededTheSecondTime(t *testing.T) {
	c := startChild(t)
	fifo := t.TempDir() + "/fifo"
	must(t, unix.Mkfifo(fifo, 0o600))
	cfg := testConfig("growth=68719476736") // so large that arenas that the child makes in the meantime do not matter
	cfg.Budget.Action, cfg.Budget.Command, cfg.Budget.Timeout = "terminate", []string{"/bin/cat", fifo}, time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	c.ask(t, "map 67001489817", "ok") // 97.5 %
	s.want("warning growth")
	c.ask(t, "map 68719476736", "ok")
	s.want("breach growth")
	c.ask(t, "unmap", "ok")
	release(t, fifo)
	s.want("action growth command")
	if e := s.want("action growth terminate"); !strings.Contains(e.Message, ", no longer over the limit of 64 GiB") {
		t.Errorf("%+v", e)
	}
	c.ask(t, "map 68719476736", "ok")
	for s.next().Event != eventBreach { // a second warning may precede the breach
	}
	release(t, fifo)
	s.want("action growth command")
	s.want("action growth terminate SIGTERM")
}

// release lets the reader of a FIFO end. The open waits until there is a reader.
func release(t *testing.T, fifo string) {
	t.Helper()
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

func TestTheCommandsEnvironment(t *testing.T) {
	t.Setenv("SECRET", "of the one who types watch")
	c := startChild(t)
	log := t.TempDir() + "/log"
	cfg := testConfig("virtual=1")
	cfg.Log = policy.Log{Format: "text", To: log}
	cfg.Path, cfg.PolicyFile = "/nowhere:/usr/bin:/bin", "/etc/arenacap/policy.toml"
	cfg.Budget.Command = []string{"env"}
	cfg.Budget.Action, cfg.Budget.Signal = "signal", "SIGUSR1"
	c.ask(t, "catch SIGUSR1", "ready")
	s := watchIt(t, cfg, nil, c.pid())
	if got := c.answer(); got != "10" { // SIGUSR1, sent after the end of the command: its output is in the log
		t.Fatalf("signal %s", got)
	}
	s.end()
	s.wait()
	var got []string
	var value string
	for line := range strings.Lines(readFile(t, log)) {
		if name, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.Contains(name, " ") {
			if name == "ARENACAP_VALUE" {
				value = v
				continue
			}
			got = append(got, name+"="+v)
		}
	}
	want := []string{"PATH=/nowhere:/usr/bin:/bin", fmt.Sprintf("ARENACAP_PID=%d", c.pid()), "ARENACAP_EVENT=breach", "ARENACAP_METRIC=virtual",
		"ARENACAP_LIMIT=1", "ARENACAP_SERVICE=authserver", "ARENACAP_POLICY=/etc/arenacap/policy.toml"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || len(value) < 7 {
		t.Errorf("the command got\n%s\nvalue %s\nwant\n%s", strings.Join(got, "\n"), value, strings.Join(want, "\n"))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The action follows even if the command fails, is killed or does not start.
func TestACommandThatFailsStopsNothing(t *testing.T) {
	for _, test := range []struct {
		name    string
		command []string
		says    string
	}{
		{"is missing", []string{"/nowhere/on-breach"}, "did not start"},
		{"is not in PATH", []string{"on-breach"}, "not in PATH"},
		{"is a folder", []string{"/etc"}, "did not start"},
		{"ends with a status", []string{"/bin/false"}, "status 1"},
		{"ends by a signal", []string{"/bin/sh", "-c", "kill -9 $$"}, "killed"},
		{"hangs, and a child of its with it", []string{"/bin/sh", "-c", "sleep 1000 & wait"}, "timeout of 30ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := startChild(t)
			c.ask(t, "catch SIGUSR1", "ready")
			cfg := testConfig("virtual=1")
			cfg.Path = "/usr/bin:/bin"
			cfg.Budget.Command, cfg.Budget.Timeout = test.command, 30*time.Millisecond
			if !strings.Contains(test.says, "timeout") {
				cfg.Budget.Timeout = time.Hour
			}
			cfg.Budget.Action, cfg.Budget.Signal = "signal", "SIGUSR1"
			s := watchIt(t, cfg, nil, c.pid())
			s.ready()
			s.want("breach virtual")
			if e := s.want("action virtual command failed"); !strings.Contains(e.Message, test.says) {
				t.Errorf("message %q has no %q", e.Message, test.says)
			}
			s.want("action virtual signal SIGUSR1")
			c.answer()
		})
	}
}

// A command that makes the service end, for example by a restart, is not killed when the service ends.
func TestTheTargetEndsDuringTheCommand(t *testing.T) {
	c := startChild(t)
	fifo := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig("virtual=1")
	cfg.Budget.Command, cfg.Budget.Timeout, cfg.Budget.Action = []string{"/bin/cat", fifo}, time.Hour, "terminate"
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	s.want("breach virtual")
	_ = c.in.Close()
	s.want("exited")
	release(t, fifo)
	s.want("action virtual command")
	s.wait()
}

// A watch that ends kills a command that still runs, because no other process would enforce the timeout.
func TestTheEndOfTheWatchEndsTheCommand(t *testing.T) {
	c := startChild(t)
	path, words := fifo(t)
	cfg := testConfig("virtual=1")
	cfg.Budget.Command = []string{"/bin/sh", "-c", "echo $$ > " + path + "; exec sleep 1000"}
	cfg.Budget.Timeout = time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	line, err := words.ReadString('\n')
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	p := mustHold(t, pid)
	s.end()
	s.wait()
	awaitEnd(t, p)
}
