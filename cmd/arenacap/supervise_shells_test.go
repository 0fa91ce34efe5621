package main

// These tests run --supervise in common shells, and in the cases of the test suites of tini, dumb-init and coreutils.

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
)

// TestShells stops a job by Ctrl-Z and continues it by fg in interactive shells, which differ in how they give the
// terminal to jobs. The target catches Ctrl-Z and then stops itself (suspender.c). It runs alone and in a pipeline.
func TestShells(t *testing.T) {
	tool := requireTools(t)
	prefix := strings.Join(supervised(tool.release), " ") + " "
	for _, line := range [][]string{{"dash", "-i"}, {"zsh", "-f", "-i"}, {"ksh", "-i"}, {"busybox", "sh", "-i"}} {
		for _, before := range []string{"", "echo words | "} {
			t.Run(line[0]+" "+before, func(t *testing.T) {
				t.Parallel()
				testenv.Need(t, line[0])
				s := startTerminal(t, line...)
				s.expect("$ ")
				s.write(before + prefix + buildC(t, "suspender") + "\n")
				s.expect("ready\r\n")
				for range 2 {
					s.write(keyStop)
					s.expect("going\r\n")
					s.expect("$ ")
					s.run("fg", "back\r\n")
					s.run("words", "got words\r\n")
				}
				s.key(keyInterrupt)
				s.run("echo status=$?", "status=130\r\n")
			})
		}
	}
}

// TestStopsAreFollowed: a stop signal from another process stops target and supervisor, so that the starting shell sees
// a stopped job, and CONT continues both. The cases come from dumb-init's own tests of suspending: the target in
// the supervisor's process group, and in its own.
func TestStopsAreFollowed(t *testing.T) {
	tool := requireTools(t)
	for _, flags := range [][]string{nil, {"--kill-group"}} {
		for _, n := range []unix.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} {
			t.Run(fmt.Sprint(unix.SignalName(n), flags), func(t *testing.T) {
				t.Parallel()
				line := append(supervised(tool.checked, flags...), "/bin/sh", "-c", "sleep 60 & echo $$ $!; read x; kill $!; exit 5")
				cmd := exec.Command(line[0], line[1:]...)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				in, err1 := cmd.StdinPipe()
				out, err2 := cmd.StdoutPipe()
				if err1 != nil || err2 != nil || cmd.Start() != nil {
					t.Fatal(err1, err2)
				}
				t.Cleanup(func() { _ = cmd.Process.Kill() })
				text, _ := bufio.NewReader(out).ReadString('\n')
				pids := strings.Fields(text)
				if flags == nil {
					pids = pids[:1] // without --kill-group the stop signal does not reach the child of the target
				}
				for range 2 {
					_ = cmd.Process.Signal(n)
					if status := change(t, cmd); !status.Stopped() || status.StopSignal() != n {
						t.Fatalf("%#x, want a stop by %d", status, n)
					}
					awaitState(t, pids, true)
					_ = cmd.Process.Signal(unix.SIGCONT)
					if status := change(t, cmd); !status.Continued() {
						t.Fatalf("%#x, want it continued", status)
					}
					awaitState(t, pids, false)
				}
				in.Close()
				if status := change(t, cmd); status.ExitStatus() != 5 {
					t.Errorf("%#x, want status 5", status)
				}
			})
		}
	}
}

// TestStopFromOutside: another process stops and continues the target, and arenacap still supervises the target. The
// shell that waits for arenacap runs in the foreground in one case, and in the background in the other.
func TestStopFromOutside(t *testing.T) {
	tool := requireTools(t)
	target := strings.Join(supervised(tool.checked), " ") + ` sh -c "trap : USR1; echo up=\$\$,\$PPID,; until read x <fifo; do :; done; exit 4"`
	for name, line := range map[string]string{
		"in a script":       "sh -c '" + target + "; echo sta''tus=$?,'",
		"in the background": "set +m; (echo x | " + target + "; echo sta''tus=$?,) &",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
				t.Fatal(err)
			}
			s := interactive(t)
			s.write("cd " + dir + "; " + line + "\n")
			s.expect("up=")
			pid, supervisor := s.number(), s.number()
			_ = unix.Kill(pid, unix.SIGSTOP)
			awaitState(t, []string{strconv.Itoa(pid)}, true)
			_ = unix.Kill(supervisor, unix.SIGUSR1) // the supervisor still forwards signals to the stopped target
			awaitPending(t, pid, unix.SIGUSR1)
			_ = unix.Kill(pid, unix.SIGCONT)
			if err := os.WriteFile(dir+"/fifo", []byte("x\n"), 0); err != nil {
				t.Error(err)
			}
			s.expect("status=4,")
		})
	}
}

// number reads the next number from the screen, and the comma after it.
func (s *terminalSession) number() (n int) {
	s.t.Helper()
	from := s.taken
	s.expect(",")
	if _, err := fmt.Sscanf(s.seen.String()[from:s.taken], "%d,", &n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// awaitPending waits until a signal is pending.
func awaitPending(t *testing.T, pid int, n unix.Signal) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, pending, _ := strings.Cut(string(text), "ShdPnd:\t")
		if set, _ := strconv.ParseUint(pending[:16], 16, 64); set>>(n-1)&1 != 0 {
			return
		}
	}
	t.Fatalf("signal %d did not come", n)
}

// change waits for the next change of a command: it stops, continues or ends.
func change(t *testing.T, cmd *exec.Cmd) (status unix.WaitStatus) {
	t.Helper()
	for {
		if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED|unix.WCONTINUED, nil); err == nil {
			return status
		} else if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// awaitState waits until a signal has stopped all the processes, or, if the argument "stopped" is false, until all run
// again.
func awaitState(t *testing.T, pids []string, stopped bool) {
	t.Helper()
	for _, pid := range pids {
		for {
			text, err := os.ReadFile("/proc/" + pid + "/stat")
			if err != nil {
				t.Fatal(err)
			}
			if stat, _ := proc.ParseStat(text); (stat.State == 'T') == stopped {
				break
			}
			runtime.Gosched()
		}
	}
}

// TestStatusWhateverTheStart checks that arenacap returns the target's status if SIGCHLD was ignored or blocked at
// the start, if arenacap had children before, and through several supervisors. The first three conditions come from the
// tests that coreutils has for timeout.
func TestStatusWhateverTheStart(t *testing.T) {
	tool := requireTools(t)
	one := supervised(tool.checked)
	two := slices.Concat(one, one)
	group := supervised(tool.checked, "--kill-group", "--wait-orphans")
	for _, c := range []struct {
		name   string
		setup  []string
		line   []string
		script string
		want   syscall.WaitStatus
	}{
		{"CHLD ignored", states("ignore 17"), one, "exit 3", 3 << 8},
		{"CHLD blocked", states("block 17"), one, "exit 3", 3 << 8},
		{"CHLD blocked and pending", states("block 17 raise 17"), one, "exit 3", 3 << 8},
		{"CHLD ignored, a group", states("ignore 17"), group, "sleep 60 & exit 3", 3 << 8},
		{"all blocked", states("block 1 block 2 block 3 block 10 block 15 block 17 block 18 block 20 block 64"), group, "exit 3", 3 << 8},
		{"a child of before", nil, slices.Concat([]string{"/bin/sh", "-c", `sleep 60 & exec "$@"`, "sh"}, one), "kill $(cat /proc/$PPID/task/$PPID/children | sed s/$$//); exit 3", 3 << 8},
		{"two", nil, two, "exit 3", 3 << 8},
		{"two, by a signal", nil, two, "kill -TERM $$", 143 << 8},
		{"two, by the same signal", nil, slices.Concat(supervised(tool.checked, "--reraise"), supervised(tool.checked, "--reraise")), "kill -TERM $$", 15},
		{"two groups", nil, slices.Concat(group, group), "sleep 60 & exit 3", 3 << 8},
		{"behind nohup", nil, slices.Concat([]string{"/usr/bin/nohup"}, one), "kill -HUP $PPID; exit 3", 3 << 8},
		{"behind timeout", nil, slices.Concat([]string{"/usr/bin/timeout", "60"}, one), "exit 3", 3 << 8},
		{"before timeout", nil, slices.Concat(group, []string{"/usr/bin/timeout", "0.01"}), "sleep 60", 124 << 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := ended(t, c.setup, slices.Concat(c.line, []string{"/bin/sh", "-c", c.script})...); got != c.want {
				t.Errorf("%#x, want %#x", got, c.want)
			}
		})
	}
}

// TestGroupOnATerminal: a target in its own process group reads and writes the terminal, and learns of a new size. The cases
// come from dumb-init's own tests with a terminal.
func TestGroupOnATerminal(t *testing.T) {
	tool := requireTools(t)
	s := startTerminal(t, append(supervised(tool.checked, "--kill-group"), "sh", "-c", "trap 'echo res''ized' WINCH; echo up; while :; do read x && echo got $x; done")...)
	s.expect("up\r\n")
	s.run("words", "got words\r\n")
	if err := unix.IoctlSetWinsize(int(s.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 20}); err != nil {
		t.Fatal(err)
	}
	_ = unix.SetNonblock(int(s.master.Fd()), true) // os.File.Fd has set the descriptor to blocking mode
	s.write("\n")
	s.expect("resized\r\n")
	s.write(keyInterrupt)
	_ = s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("status %d, want 130", got)
	}
}
