package main

// This test watches a daemon by its control group after the daemon's first process has ended.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// daemonC is a daemon(7) of the traditional kind: it forks twice, with a setsid(2) between, and its first process ends
// at once. It writes its PID file $1.pid, and maps 256 MiB when another process has opened the FIFO
// $1.go for writing.
const daemonC = `
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[4096];
	FILE *f;

	if (argc != 2)
		return 2;
	if (fork())
		_exit(0);
	setsid();
	if (fork())
		_exit(0);
	for (int fd = 0, null = open("/dev/null", O_RDWR); fd < 3; fd++)
		dup2(null, fd);
	snprintf(path, sizeof path, "%s.pid", argv[1]);
	if (!(f = fopen(path, "w")) || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f))
		return 3;
	snprintf(path, sizeof path, "%s.go", argv[1]);
	if (open(path, O_RDONLY) < 0 ||
	    mmap(NULL, 256 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return 4;
	for (;;)
		pause();
}
`

// inGroup is a budget that the daemon exceeds only when it grows.
const inGroup = "[arenas]\ncap = \"off\"\n[budget]\nvirtual = \"128MiB\"\nscope = \"cgroup\"\nsettle = \"0s\"\ninterval = \"10ms\"\nbreach = \"1/1\"\n"

// TestDaemonInControlGroup: with scope = "cgroup" the watch finds a daemon whose first process has already ended. The
// breach counts the daemon, "terminate" ends it, and the group becomes empty.
func TestDaemonInControlGroup(t *testing.T) {
	tool := requireTools(t)
	for _, mode := range []string{"exec", "supervise"} {
		for _, action := range []string{"report", "terminate"} {
			t.Run(mode+"/"+action, func(t *testing.T) {
				args, log := policyWithLog(t, inGroup+"action = \""+action+"\"\n[launch]\nmode = \""+mode+"\"\n")
				if mode == "supervise" {
					args = append(args, "--wait-orphans")
				}
				d := startDaemon(t, append([]string{tool.checked}, args...))
				d.firstProcessEnds(t, mode, log)
				d.breaches(t, action, log)
				d.nothingIsLeft(t, action)
			})
		}
	}
}

// groupedDaemon is a daemon that arenacap started in the test's own control group.
type groupedDaemon struct {
	starter    *exec.Cmd
	out        *os.File // read end of the starter's stdout
	group      string
	grow       string // path of the FIFO that makes the daemon grow
	pid, pidfd int
}

func startDaemon(t *testing.T, arenacap []string) *groupedDaemon {
	t.Helper()
	dir := t.TempDir()
	source, program, mark := filepath.Join(dir, "daemon.c"), filepath.Join(dir, "daemon"), filepath.Join(dir, "service")
	d := &groupedDaemon{group: makeGroup(t), grow: mark + ".go"}
	if err := errors.Join(os.WriteFile(source, []byte(daemonC), 0o600), unix.Mkfifo(d.grow, 0o600),
		compile(program, nil, "gcc", "-O1", "-Wall", "-o", "OUT", source)); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	d.out = r
	join := []string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(d.group, "cgroup.procs")}
	d.starter = exec.Command("/bin/sh", slices.Concat(join, arenacap, []string{"--", program, mark})...)
	d.starter.Stdout, d.starter.Stderr = w, os.Stderr
	err = d.starter.Start()
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	d.pid = readPID(t, mark+".pid")
	if d.pidfd, err = unix.PidfdOpen(d.pid, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(d.pidfd) })
	return d
}

// firstProcessEnds: a caller that waits for the end of the output, or in mode "exec" for the program, does not wait for
// the daemon and its watch.
func (d *groupedDaemon) firstProcessEnds(t *testing.T, mode, log string) {
	t.Helper()
	_ = d.out.SetReadDeadline(time.Now().Add(patience))
	if text, err := io.ReadAll(d.out); err != nil || len(text) > 0 {
		t.Fatalf("the output %q does not end: %v", text, err)
	}
	if mode == "exec" {
		if err := d.starter.Wait(); err != nil {
			t.Error(err)
		}
	}
	all := events(t, log, "exited")
	// Two processes remain if the intermediate process of the double fork still existed when the first process ended.
	if n := all[len(all)-1]["processes_remaining"]; n != 1.0 && n != 2.0 {
		t.Errorf("%v processes remain, want 1", n)
	}
	if !slices.Equal(kinds(all), []string{"started", "exited"}) {
		t.Errorf("before the daemon grows: %v", all)
	}
}

// The method "breaches" makes the daemon grow until it breaches its budget, and checks the events and that the daemon
// then ends: by the action "terminate", or by a signal from this test.
func (d *groupedDaemon) breaches(t *testing.T, action, log string) {
	t.Helper()
	if err := os.WriteFile(d.grow, nil, 0); err != nil {
		t.Fatal(err)
	}
	all := events(t, log, "breach")
	i := slices.Index(kinds(all), "breach")
	if b := all[i]; b["processes"] != 1.0 || b["metric"] != "virtual" {
		t.Errorf("%v, want one of the virtual size that counts 1 process", b)
	}
	if action == "report" {
		if err := unix.Kill(d.pid, unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
	} else if all := events(t, log, "action"); all[len(all)-1]["processes"] != 1.0 {
		t.Errorf("%v, want an action on 1 process", all)
	}
	if err := awaitReadable(d.pidfd); err != nil {
		t.Errorf("the daemon goes on: %v", err)
	}
}

// nothingIsLeft waits until the group is empty; the watch has to leave it too.
func (d *groupedDaemon) nothingIsLeft(t *testing.T, action string) {
	t.Helper()
	if d.starter.ProcessState == nil {
		_ = d.starter.Wait()
		want := map[string]int{"report": 0, "terminate": 124}[action]
		if got := d.starter.ProcessState.ExitCode(); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if inGroupNow(d.group) == "" {
			return
		}
	}
	t.Errorf("left in the group: %s", inGroupNow(d.group))
}

func inGroupNow(group string) string {
	text, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	return strings.Join(strings.Fields(string(text)), " ")
}

// makeGroup creates a control group in the hierarchy in use: version 2, else one of version 1.
func makeGroup(t *testing.T) string {
	t.Helper()
	testenv.NeedRoot(t)
	var failed error
	for _, root := range []string{"unified", ".", "memory", "systemd", "pids"} {
		root = filepath.Join("/sys/fs/cgroup", root)
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		group, err := os.MkdirTemp(root, "arenacap-test-")
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		t.Cleanup(func() { removeGroup(t, group) })
		return group
	}
	testenv.Lack(t, "no control group can be made here: %v", failed)
	return ""
}

// removeGroup kills the processes of a group and removes it.
func removeGroup(t *testing.T, group string) {
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err = os.Remove(group); err == nil || errors.Is(err, fs.ErrNotExist) {
			return
		}
		for _, pid := range strings.Fields(inGroupNow(group)) {
			var n int
			if _, err := fmt.Sscan(pid, &n); err == nil && n > 0 {
				_ = unix.Kill(n, unix.SIGKILL)
			}
		}
	}
	t.Errorf("the test's group stays: %v", err)
}
