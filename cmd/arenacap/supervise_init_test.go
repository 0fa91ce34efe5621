package main

// These tests run --supervise as PID 1, as a sub-reaper, with orphans, and with the variables and the socket of
// systemd.

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// TestSystemdVariables: LISTEN_PID, WATCHDOG_PID and SYSTEMD_EXEC_PID have the target's PID. LISTEN_PIDFDID, which
// identifies arenacap, is removed. MAINPID, and a variable that names another process, are not changed.
func TestSystemdVariables(t *testing.T) {
	tool := requireTools(t)
	// The shell passes its own PID, which arenacap takes over by exec.
	script := `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_PIDFDID=77 WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ MAINPID=$$ exec "$@"`
	target := `echo self=$$; tr '\0' '\n' </proc/$$/environ; cat <&3`
	fd, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fd.WriteString("passed\n")
	_, _ = fd.Seek(0, io.SeekStart)
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, append(supervised(tool.checked), "/bin/sh", "-c", target)...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "WATCHDOG_PID=1", "X=LISTEN_PID=1"}
	cmd.ExtraFiles = []*os.File{fd}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	self := strings.TrimPrefix(lines[0], "self=")
	if self == strconv.Itoa(cmd.Process.Pid) {
		t.Fatal("the target has arenacap's PID")
	}
	for _, want := range []string{"LISTEN_PID=" + self, "WATCHDOG_PID=" + self, "SYSTEMD_EXEC_PID=" + self, "LISTEN_FDS=1",
		"MAINPID=" + strconv.Itoa(cmd.Process.Pid), "X=LISTEN_PID=1", "passed"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %s in %q", want, lines)
		}
	}
	if slices.Contains(lines, "LISTEN_PIDFDID=77") {
		t.Error("LISTEN_PIDFDID still names arenacap")
	}
	// A variable that names another process is not changed.
	others := []string{"LISTEN_PID=1", "LISTEN_PIDFDID=7", "WATCHDOG_PID=2", "WATCHDOG_PID=3"}
	setup := []string{"no-env"}
	for _, entry := range others {
		setup = append(setup, "env", entry)
	}
	ran, said := start(t, t.TempDir(), nil, setup, append(supervised(tool.checked), "/usr/bin/env"))
	if got := strings.Fields(ran.stdout); !slices.Equal(got, others) {
		t.Errorf("%q, want %q; %s", got, others, said)
	}
}

// TestNotify checks that arenacap's MAINPID= reaches the service manager before the target's READY=1. The manager
// accepts READY=1 only from the main process (NotifyAccess=main).
func TestNotify(t *testing.T) {
	testenv.Need(t, "python3") // systemd-notify sends with the PID of its parent, but READY=1 has to come from the target
	tool := requireTools(t)
	const ready = `import os, socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))`
	busy, err := os.OpenFile(filepath.Join(t.TempDir(), "busy"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, _ = busy.WriteString("#!/bin/sh\n")
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@arenacap-test-" + strconv.Itoa(os.Getpid())} {
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		raw, err := socket.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		if err != nil {
			t.Fatal(err)
		}
		_ = socket.SetReadDeadline(time.Now().Add(patience))
		next := func() (text string, from int) {
			buf, control := make([]byte, 512), make([]byte, 512)
			n, size, _, _, err := socket.ReadMsgUnix(buf, control)
			if err != nil {
				t.Fatal(err)
			}
			messages, err := unix.ParseSocketControlMessage(control[:size])
			if err != nil {
				t.Fatal(err)
			}
			cred, err := unix.ParseUnixCredentials(&messages[0])
			if err != nil {
				t.Fatal(err)
			}
			return string(buf[:n]), int(cred.Pid)
		}
		run := func(line ...string) *exec.Cmd {
			cmd := exec.Command(tool.checked, append(supervised(tool.checked)[1:], line...)...)
			cmd.Env = []string{"PATH=/usr/bin:/bin", "NOTIFY_SOCKET=" + name}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return cmd
		}
		cmd := run("python3", "-c", ready)
		text, from := next()
		main, err := strconv.Atoi(strings.TrimPrefix(text, "MAINPID="))
		if err != nil || from != cmd.Process.Pid || main == from {
			t.Errorf("%q from %d, which is not MAINPID= from %d", text, from, cmd.Process.Pid)
		}
		if text, from := next(); text != "READY=1" || from != main {
			t.Errorf("%q from %d, want READY=1 from %d", text, from, main)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		// A target that cannot be executed ("text file busy") leaves arenacap as the main process.
		cmd = run(busy.Name())
		_, _ = next()
		if text, from := next(); text != "MAINPID="+strconv.Itoa(cmd.Process.Pid) || from != cmd.Process.Pid {
			t.Errorf("%q from %d, want MAINPID=%d", text, from, cmd.Process.Pid)
		}
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 126 {
			t.Error(cmd.ProcessState)
		}
	}
}

// inNamespace starts a command line as PID 1 of a new PID namespace.
func inNamespace(t *testing.T, line ...string) *exec.Cmd {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.Need(t, "unshare")
	if err := exec.Command("unshare", "-pf", "--mount-proc", "true").Run(); err != nil {
		testenv.Lack(t, "no PID namespace here: %v", err)
	}
	cmd := exec.Command("unshare", append([]string{"-pf", "--mount-proc", "--kill-child"}, line...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// orphans is the beginning of a shell script. It leaves fifty orphaned processes, which end at once.
const orphans = `for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5; do /bin/true & done); done; `

// noZombies waits until no process of the namespace is a zombie.
const noZombies = `while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z '; do :; done; echo clean; `

// TestFirstProcess checks that as PID 1 arenacap reaps orphans, and that as PID 1 with a budget it supervises by
// default (mode = "auto").
func TestFirstProcess(t *testing.T) {
	tool := requireTools(t)
	for name, flags := range map[string][]string{
		"supervise":            {"--supervise"},
		"auto with a budget":   {"--budget", "1TiB"},
		"supervise and budget": {"--supervise", "--budget", "1TiB", "--kill-group"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := slices.Concat([]string{tool.checked, "run"}, flags, []string{"--", "/bin/sh", "-c", orphans + noZombies + "echo $$; exit 5"})
			out, err := inNamespace(t, line...).Output()
			if got := strings.Fields(string(out)); len(got) != 2 || got[0] != "clean" || got[1] == "1" {
				t.Errorf("%q, %v", got, err)
			}
			if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 5 {
				t.Errorf("%v, want status 5", err)
			}
		})
	}
	t.Run("exec", func(t *testing.T) {
		t.Parallel()
		out, err := inNamespace(t, tool.checked, "run", "--", "/bin/sh", "-c", "echo $$").Output()
		if string(out) != "1\n" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("signals", func(t *testing.T) {
		t.Parallel()
		cmd := inNamespace(t, append(supervised(tool.checked), buildC(t, "catcher"), "15")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		said.Scan()
		first, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(first)))
		for _, n := range []unix.Signal{unix.SIGUSR1, unix.SIGINT, 40, unix.SIGTERM} {
			if err := unix.Kill(pid, n); err != nil {
				t.Fatal(err)
			}
			said.Scan()
			if want := fmt.Sprintf("%d 0 0", n); said.Text() != want {
				t.Errorf("%q, want %q", said.Text(), want)
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// TestSubReaper: as a child sub-reaper arenacap reaps orphans too.
func TestSubReaper(t *testing.T) {
	tool := requireTools(t)
	for _, flags := range [][]string{{"--supervise"}, {"--budget", "1TiB"}} {
		line := slices.Concat([]string{"subreaper", "--", tool.checked, "run"}, flags, []string{"--", "/bin/sh", "-c", `("$0" & ); read x; exit 4`, buildC(t, "orphan")})
		cmd := exec.Command(tool.setup, line...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		orphan, said := startOrphan(t, cmd)
		for said.Scan() && said.Text() != strconv.Itoa(cmd.Process.Pid) { // until the orphan prints that arenacap is its parent
		}
		if err := unix.Kill(orphan, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for unix.Kill(orphan, 0) != unix.ESRCH { // a zombie takes signals until it is reaped
			runtime.Gosched()
		}
		in.Close()
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 4 {
			t.Errorf("%v: %v", flags, cmd.ProcessState)
		}
	}
}

// startOrphan starts a command that leaves orphan.c's program behind, and reads its PID.
func startOrphan(t *testing.T, cmd *exec.Cmd) (pid int, said *bufio.Scanner) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said = bufio.NewScanner(out)
	said.Scan()
	if pid, err = strconv.Atoi(said.Text()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = unix.Kill(pid, unix.SIGKILL) })
	return pid, said
}

// TestWaitOrphans checks that only with --wait-orphans arenacap waits for orphans of the target and forwards signals
// to them. arenacap's exit status is still the target's.
func TestWaitOrphans(t *testing.T) {
	tool := requireTools(t)
	for _, flags := range [][]string{{"--wait-orphans"}, nil} {
		cmd := exec.Command(tool.checked, append(supervised(tool.checked, flags...)[1:], "/bin/sh", "-c", `("$0" & ); exit 3`, buildC(t, "orphan"))...)
		orphan, said := startOrphan(t, cmd)
		if flags != nil {
			for said.Scan() && said.Text() != strconv.Itoa(cmd.Process.Pid) { // until the orphan prints that arenacap is its parent
			}
			awaitOnlyChild(t, cmd.Process.Pid, orphan) // while the target runs, arenacap would forward the signal to the target
			if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Error(err)
			}
			said.Scan()
			if said.Text() != "TERM" {
				t.Errorf("the orphan said %q", said.Text())
			}
		}
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
			t.Errorf("%v: %v", flags, cmd.ProcessState)
		}
		if err := unix.Kill(orphan, unix.SIGKILL); (flags == nil) != (err == nil) {
			t.Errorf("%v: killing the orphan: %v", flags, err)
		}
	}
}

// awaitOnlyChild waits until a process has one child left and has reaped the others.
func awaitOnlyChild(t *testing.T, pid, child int) {
	t.Helper()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(text)) == strconv.Itoa(child) {
			return
		}
		runtime.Gosched()
	}
}

// TestParentDeath checks that with --parent-death-signal the target gets the signal when arenacap dies, and that
// without the flag the target continues.
func TestParentDeath(t *testing.T) {
	tool := requireTools(t)
	for _, flags := range [][]string{{"--parent-death-signal", "TERM"}, {"--parent-death-signal=15"}, nil} {
		cmd := exec.Command(tool.checked, append(supervised(tool.checked, flags...)[1:], buildC(t, "orphan"))...)
		target, said := startOrphan(t, cmd)
		said.Scan() // the target prints that arenacap is its parent
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for len(got) < 2 && said.Scan() { // the target may first print the PID of its new parent
			got = append(got, said.Text())
			if got[0] == "TERM" || flags == nil {
				break
			}
		}
		if slices.Contains(got, "TERM") != (flags != nil) {
			t.Errorf("%v: the target said %q", flags, got)
		}
		_ = unix.Kill(target, unix.SIGKILL)
		_ = cmd.Wait()
	}
}
