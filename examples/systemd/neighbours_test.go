//go:build booted

package systemd_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// The test in this file runs arenacap-watch.service beside hostile processes of other users.

// neighbourPolicy is the first part of a policy with thousands of services. The policy identifies a process of n-server
// by its program, name and user.
const neighbourPolicy = `
[budget]
virtual  = "256MiB"
settle   = "0s"
interval = "100ms"
breach   = "2/2"
action   = "terminate"
[log]
format = "json"
[service.n-claimant]
budget.scope = "cgroup"
[service.n-server]
match.exe  = "/opt/lab/server"
match.name = "server"
match.user = "daemon"
[service.n-odd]
match.exe  = "/opt/lab/server"
match.user = "bin"
`

// neighbourUnits are the units of the services and of other programs. n-restless starts and ends processes all the time.
// n-many has many processes. n-impostor runs the program of n-server, under the same process name, as another user. n-claimant
// takes the name "arenacap: watch PID" with its own PID, so it looks like a launch's watch that watches n-claimant.
var neighbourUnits = map[string][]string{
	"n-restless": {"Type=exec", "Nice=19", "ExecStart=/bin/sh -c 'while :; do (:); done'"},
	"n-many":     {"Type=exec", "TasksMax=infinity", "ExecStart=/bin/bash -c 'for i in {1..MANY}; do sleep 1000 & done; echo MANY run; wait'"},
	"n-impostor": {"Type=notify", "User=nobody", "ExecStart=SERVER notify"},
	"n-server":   {"Type=notify", "User=daemon", "ExecStart=SERVER notify"},
	"n-claimant": {"Type=notify", "User=daemon",
		`ExecStart=/bin/bash -c 'exec -a "arenacap: watch $$$$" "/run/lab/arenacap: watch" /run/lab/NAME notify'`},
}

func TestBootedHostWatchNeighbours(t *testing.T) {
	w := &hostWatch{services: map[string]*unit{}}
	many := "500"
	if testenv.Full() {
		many = "20000"
	}
	for name, lines := range neighbourUnits {
		w.services[name] = newNamedUnit(t, name, "", strings.ReplaceAll(service(lines...), "MANY", many))
	}
	const title = "/run/lab/arenacap: watch"
	if err := os.Symlink("/opt/lab/server", title); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(title) })
	w.unit = &unit{t: t, ctx: w.services["n-server"].ctx, name: "arenacap-watch.service"}
	var absent strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&absent, "[service.absent%d]\n", i)
	}
	w.configure(neighbourPolicy + absent.String())
	hidePIDs(t)
	for _, name := range []string{"n-restless", "n-many", "n-impostor"} {
		w.services[name].start()
	}
	w.services["n-many"].await(many + " run")
	w.start()
	watch := w.mainPID()
	w.services["n-impostor"].ask("grow 20")
	w.endsTheClaimant(watch)
	w.endsTheServer(watch)
	w.endsTheOddlyNamed(watch)
	w.seesAReusedPID(watch)
	if got := w.mainPID(); got != watch {
		t.Errorf("the watch has started again: it was %d and is %d", watch, got)
	}
}

// hidePIDs hides the processes of other users (hidepid=2, proc(5)) until the test ends.
func hidePIDs(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,hidepid=2", "/proc").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := exec.Command("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "test", "-e", "/proc/1").Run(); err == nil {
		t.Error("the user nobody still sees PID 1")
	}
	t.Cleanup(func() { _ = exec.Command("mount", "-o", "remount,hidepid=0", "/proc").Run() })
}

// endsTheClaimant checks that a process that names itself like a watch still belongs to its service, also after its
// control group was removed and created again. At a breach the watch of the host must act at once. If it took the
// process for a watch that a launch had started, its first event "action" would only say that the other watch acts
// first.
func (w *hostWatch) endsTheClaimant(watch int) {
	w.t.Helper()
	u := w.services["n-claimant"].start()
	first := u.mainPID()
	w.event(watch, "n-claimant", "started", first)
	w.systemctl("stop", u.name)
	w.event(watch, "n-claimant", "exited", first)
	second := u.start().mainPID()
	w.event(watch, "n-claimant", "started", second)
	u.send("grow 20")
	if e := w.event(watch, "n-claimant", "action", second); !strings.Contains(e.Message, "SIGTERM sent") {
		w.t.Error(e.Message)
	}
	w.event(watch, "n-claimant", "exited", second)
}

// endsTheServer checks that the service's own process gets the signal. Another user's process with the same name and
// program gets none, although it is over the limit.
func (w *hostWatch) endsTheServer(watch int) {
	w.t.Helper()
	u, impostor := w.services["n-server"].start(), w.services["n-impostor"]
	server := u.mainPID()
	w.event(watch, "n-server", "started", server)
	u.ask("grow 20")
	w.event(watch, "n-server", "action", server)
	w.event(watch, "n-server", "exited", server)
	other := impostor.mainPID()
	impostor.send("report") // the answer shows that it got no signal
	for _, e := range w.journal() {
		if event, ok := eventOf(e, watch); ok && event.Pid == other {
			w.t.Errorf("an event about another user's process: %s", e.Message)
		}
	}
}

// endsTheOddlyNamed checks that a process whose name has a newline, a quote and invalid UTF-8 is ended like any
// other.
func (w *hostWatch) endsTheOddlyNamed(watch int) {
	w.t.Helper()
	const program = "/run/lab/a\n\"\xff"
	if err := os.Symlink("/opt/lab/server", program); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { os.Remove(program) })
	odd := w.startServer(program, 2) // bin
	w.event(watch, "n-odd", "started", odd.Process.Pid)
	(&unit{t: w.t, ctx: w.ctx, control: odd.Args[1]}).send("grow 20")
	w.event(watch, "n-odd", "action", odd.Process.Pid)
	w.event(watch, "n-odd", "exited", odd.Process.Pid)
}

// seesAReusedPID checks that a process that gets the PID of a server that has just ended becomes a new target.
func (w *hostWatch) seesAReusedPID(watch int) {
	w.t.Helper()
	w.systemctl("stop", w.services["n-restless"].name)
	first := w.startServer("/opt/lab/server", 1) // daemon
	pid := first.Process.Pid
	w.event(watch, "n-server", "started", pid)
	last := w.lastPIDFile()
	for range 1000 {
		_ = first.Process.Kill()
		_ = first.Wait()
		began := sinceBoot(w.t)
		if err := os.WriteFile(last, []byte(strconv.Itoa(pid-1)), 0); err != nil {
			w.t.Fatal(err)
		}
		if first = w.startServer("/opt/lab/server", 1); first.Process.Pid == pid {
			w.awaitThe("start of the process with the same PID", func(e entry) bool {
				event, ok := eventOf(e, watch)
				return ok && event.Event == "started" && event.Pid == pid && monotonicOf(w.t, e) > began
			})
			return
		}
	}
	w.t.Fatalf("the kernel never gives PID %d again", pid)
}

// startServer starts a server without systemd and waits until it is ready. The argument "user" is the UID and the GID:
// 1 (daemon) or 2 (bin) in Debian. The server runs until the test ends.
func (w *hostWatch) startServer(program string, user uint32) *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(program, fmt.Sprintf("/run/lab/by-hand-%d", user))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stderr).ReadString('\n'); line != "server: ready\n" {
		w.t.Fatalf("the server says %q, %v", line, err)
	}
	return cmd
}

// lastPIDFile returns a writable ns_last_pid (proc(5)): systemd-nspawn mounts /proc/sys read-only.
func (w *hostWatch) lastPIDFile() string {
	w.t.Helper()
	dir := w.t.TempDir()
	if err := unix.Mount("proc", dir, "proc", 0, ""); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	return dir + "/sys/kernel/ns_last_pid"
}
