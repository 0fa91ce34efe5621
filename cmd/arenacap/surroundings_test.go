package main

// These tests watch a program where a facility of the system is missing or forbidden. In all these surroundings the
// program runs as without arenacap, and the watch works or says why not. Only with 8 descriptors and --supervise the
// program does not start.

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
	"arenacap/launcher/unit"
)

// surroundings is one environment for the program.
type surroundings struct {
	name   string
	setup  []string // arguments of setup.c: it puts itself into these states and then starts the program
	within []string // beginning of the command line, which starts the program in new namespaces
	root   bool
	fails  string // a part of the error message if no watch can start; "" if the watch works
}

// call formats the number of a system call for setup.c.
func call(n int) string { return strconv.Itoa(n) }

func allSurroundings() []surroundings {
	deny := func(state string, n int) []string { return []string{"no-new-privs", state, call(n)} }
	mount := func(script string) []string {
		return []string{"/usr/bin/unshare", "-m", "/bin/sh", "-c", script + ` && exec "$@"`, "sh"}
	}
	return []surroundings{
		{name: "ordinary"},
		{name: "no environment", setup: states("no-env")},
		{name: "stdin closed", setup: states("close 0")},
		{name: "stdout closed", setup: states("close 1")},
		{name: "stderr closed", setup: states("close 2")},
		{name: "all closed", setup: states("close 0 close 1 close 2")},
		{name: "pidfd_open forbidden", setup: deny("seccomp", unix.SYS_PIDFD_OPEN)},
		{name: "no pidfd_open", setup: deny("lacks", unix.SYS_PIDFD_OPEN)},
		{name: "no pidfd at all", setup: slices.Concat(deny("lacks", unix.SYS_PIDFD_OPEN), states("lacks "+call(unix.SYS_PIDFD_SEND_SIGNAL)))},
		{name: "process_vm_readv forbidden", setup: deny("seccomp", unix.SYS_PROCESS_VM_READV)},
		{name: "no process_vm_readv", setup: deny("lacks", unix.SYS_PROCESS_VM_READV)},
		{name: "no close_range", setup: deny("lacks", unix.SYS_CLOSE_RANGE)},
		{name: "ppoll forbidden", setup: deny("seccomp", unix.SYS_PPOLL)},
		{name: "no prlimit", setup: deny("seccomp", unix.SYS_PRLIMIT64)},
		// arenacap itself needs 16 descriptors at most. The watch takes two more for each child of the shell that it
		// counts, and may still hold the two of a child that has just ended.
		{name: "20 descriptors", setup: states("rlimit 7 20 20")},
		{name: "8 descriptors", setup: states("rlimit 7 8 8"), fails: "too many open files"},
		{name: "session of its own", setup: states("setsid")},
		{name: "user namespace", within: []string{"/usr/bin/unshare", "-U"}},
		// This case needs root. In a user namespace that a user other than root creates, "/" seems to belong to UID
		// 65534, because root is not mapped, and arenacap as the root of that namespace would refuse the policy.
		{name: "user namespace, as its root", within: []string{"/usr/bin/unshare", "-Ur"}, root: true},
		{name: "PID namespace behind its first process", root: true,
			within: []string{"/usr/bin/unshare", "-pf", "--mount-proc", "--kill-child", "/bin/sh", "-c", `"$@"; s=$?; until ! pgrep -f '[a]renacap: watch' >/dev/null; do :; done; exit $s`, "sh"}},
		{name: "read-only /tmp", within: mount("mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp"), root: true},
	}
}

// policyWithLog is a policy with a JSON log, the arguments that use it, and its log file.
func policyWithLog(t *testing.T, text string) (args []string, log string) {
	t.Helper()
	// The folder is not in /tmp, because one of the surroundings makes /tmp read-only. In some tests arenacap runs as another
	// user, who must be able to read the policy and to write the log.
	dir, err := os.MkdirTemp("/var/tmp", "arenacap-surroundings-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	log = filepath.Join(dir, "log")
	policy := filepath.Join(dir, "policy.toml")
	for path, text := range map[string]string{policy: text + "\n[log]\nformat = \"json\"\nto = \"" + log + "\"\n", log: ""} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, log: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"run", "--policy", policy}, log
}

// events reads the log until it has an event of the kind lastKind, or once if lastKind is "". It leaves out the events
// "gap", which report missed samples: on a busy machine the watch misses some.
func events(t *testing.T, log, lastKind string) (all []map[string]any) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		all = nil
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var event map[string]any
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if event["event"] != "gap" {
				all = append(all, event)
			}
		}
		if slices.Contains(kinds(all), lastKind) || lastKind == "" {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("no event %q: %v", lastKind, all)
		}
		time.Sleep(time.Millisecond)
	}
}

// watched is a policy under which the watch takes a sample at once, and then one every 10 ms.
const watched = "[arenas]\ncap = 2\n[budget]\nvirtual = \"1TiB\"\nsettle = \"0s\"\ninterval = \"10ms\"\n"

// TestSurroundings runs and watches a program in all surroundings, in both modes of a launch (exec and supervise) and with
// the builds of arenacap.
func TestSurroundings(t *testing.T) {
	t.Parallel()
	tool := requireTools(t)
	testenv.Need(t, "/usr/bin/unshare", "pgrep")
	for _, b := range sample(tool) {
		for _, mode := range []string{"exec", "supervise"} {
			t.Run(b.name+"/"+mode, func(t *testing.T) {
				for _, w := range allSurroundings() {
					t.Run(w.name, func(t *testing.T) {
						t.Parallel()
						if w.root {
							testenv.NeedRoot(t)
						}
						w.check(t, b.path, mode)
					})
				}
			})
		}
	}
}

func (w surroundings) check(t *testing.T, arenacap, mode string) {
	t.Helper()
	if strings.HasSuffix(arenacap, "386") && w.numbersAreOfThisMachine() {
		t.Skip("a 386 program's system calls have other numbers")
	}
	args, log := policyWithLog(t, watched+"[launch]\nmode = \""+mode+"\"\n")
	// The program ends when cap-verified or watch-failed is in the log, or after 60 reads of the log, in 21 s or more.
	target := []string{"--", requireTools(t).server, "-c", `[ "$MALLOC_ARENA_MAX" = 2 ] || exit 9
		for i in 1 2 3 4 5 6; do for j in 1 2 3 4 5 6 7 8 9 10; do
			! /bin/grep -q -e cap-verified -e watch-failed "$0" || exit 42; /bin/sleep 0.$i
		done; done; exit 8`, log}
	line := slices.Concat([]string{requireTools(t).setup}, w.setup, []string{"--"}, w.within, []string{arenacap}, args, target)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got == 1 && len(w.within) > 0 && stderr.Len() > 0 {
		testenv.Lack(t, "%s", stderr.String())
	}
	status := 42
	if w.fails != "" && mode == "supervise" {
		status = 125 // without descriptors for the pipes to its child, arenacap cannot supervise
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%v, want status %d; stderr %q", cmd.ProcessState, status, stderr.String())
	}
	if status == 125 {
		if !strings.Contains(stderr.String(), w.fails) {
			t.Errorf("stderr %q does not say %q", stderr.String(), w.fails)
		}
		return
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr %q", stderr.String())
	}
	if w.fails != "" {
		all := events(t, log, "watch-failed")
		if message := fmt.Sprint(all[0]["message"]); len(all) != 1 || !strings.Contains(message, w.fails) {
			t.Errorf("%v, want %q", all, w.fails)
		}
		return
	}
	all := events(t, log, "exited")
	if got := kinds(all); got[0] != "started" || got[len(got)-1] != "exited" || slices.Contains(got, "watch-failed") {
		t.Errorf("events %v", all)
	}
	if last := all[len(all)-1]; last["peak_virtual_bytes"] == nil {
		t.Errorf("nothing was sampled: %v", all)
	}
}

func (w surroundings) numbersAreOfThisMachine() bool {
	return slices.Contains(w.setup, "lacks") || slices.Contains(w.setup, "seccomp")
}

// TestQuietWatch checks that a watch still runs after its first second without events, also in a 32-bit build.
func TestQuietWatch(t *testing.T) {
	t.Parallel()
	tool := requireTools(t)
	for _, b := range builds(tool) {
		for _, mode := range []string{"exec", "supervise"} {
			t.Run(b.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				args, log := policyWithLog(t, watched+"[launch]\nmode = \""+mode+"\"\n")
				o, said := start(t, "/", []string{"PATH=/usr/bin:/bin"}, nil, slices.Concat([]string{b.path}, args, []string{"--", "/bin/sh", "-c", "sleep 1.5; exit 42"}))
				if o.status != 42 || said != "" {
					t.Errorf("%+v, %q", o, said)
				}
				if got := kinds(events(t, log, "exited")); !slices.Equal(got, []string{"started", "cap-verified", "exited"}) {
					t.Errorf("events %q", got)
				}
			})
		}
	}
}

// TestIgnoredByTheWatch: a signal that was ignored at the start, as under nohup(1), does not end the watch.
func TestIgnoredByTheWatch(t *testing.T) {
	tool := requireTools(t)
	for _, b := range builds(tool) {
		args, log := policyWithLog(t, watched)
		line := slices.Concat(states("ignore 1 ignore 2 --"), []string{b.path}, args, []string{"--", "/bin/sleep", "1000"})
		cmd := exec.Command(tool.setup, line...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		events(t, log, "cap-verified")
		if watch := watchOf(cmd.Process.Pid); watch != 0 {
			_ = unix.Kill(watch, syscall.SIGHUP)
			_ = unix.Kill(watch, syscall.SIGINT)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		events(t, log, "exited") // only a watch that still runs reports this event
	}
}

// TestCommandWithoutWaitid: a watch that must not call waitid(2) runs the policy's command once, and still follows the
// target to its end. It waits for the end of the command if it can open a pidfd of it. Without a pidfd it reports the
// command at once.
func TestCommandWithoutWaitid(t *testing.T) {
	tool := requireTools(t)
	for _, without := range []string{"", " lacks " + call(unix.SYS_PIDFD_OPEN)} {
		ran := t.TempDir() + "/ran"
		breach := strings.Replace(watched, "1TiB", "4KiB", 1) + fmt.Sprintf("breach = \"1/1\"\ncommand = [\"/bin/sh\", \"-c\", %q]\n", "sleep 0.2; : >"+ran)
		args, log := policyWithLog(t, breach)
		cmd := exec.Command(tool.setup, slices.Concat(states("no-new-privs seccomp "+call(unix.SYS_WAITID)+without+" --"), []string{tool.release}, args, []string{"--", "/bin/sleep", "1000"})...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		events(t, log, "action")
		_, err := os.Stat(ran)
		for deadline := time.Now().Add(patience); err != nil && without != "" && time.Now().Before(deadline); _, err = os.Stat(ran) {
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			t.Errorf("%q: the command has not ended: %v", without, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		all := events(t, log, "exited")
		actions := slices.DeleteFunc(all, func(e map[string]any) bool { return e["event"] != "action" })
		if len(actions) != 1 || !strings.Contains(fmt.Sprint(actions[0]["message"]), "ended with an unknown status") {
			t.Errorf("%q: actions %v", without, actions)
		}
	}
}

// TestHiddenProcesses: with hidepid=2 the watch of a user sees its own target.
func TestHiddenProcesses(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "setpriv", "unshare", "pgrep")
	tool := requireTools(t)
	for _, mode := range []string{"exec", "supervise"} {
		args, log := policyWithLog(t, watched+"[launch]\nmode = \""+mode+"\"\n")
		script := `mount -o remount,hidepid=2 /proc || exit 99; setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; s=$?; until ! pgrep -f '[a]renacap: watch' >/dev/null; do :; done; exit $s`
		line := slices.Concat([]string{"/bin/sh", "-c", script, "sh", tool.checked}, args, []string{"--", tool.server, "-c", `until grep -q cap-verified "$0"; do sleep 0.01; done; exit 42`, log})
		cmd := inNamespace(t, line...)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got == 99 {
			testenv.Lack(t, "no hidepid here")
		} else if got != 42 {
			t.Errorf("%s: %v", mode, cmd.ProcessState)
		}
		all := events(t, log, "exited")
		if last := all[len(all)-1]; last["peak_virtual_bytes"] == nil || slices.Contains(kinds(all), "watch-failed") {
			t.Errorf("%s: %v", mode, all)
		}
	}
}

// TestExecWhereTheWatchWouldBeAChild: as PID 1 and as a child sub-reaper, mode = "exec" starts no watch, says so, and
// execs the target; on_watch_failure = "refuse" makes that an error.
func TestExecWhereTheWatchWouldBeAChild(t *testing.T) {
	tool := requireTools(t)
	for _, place := range []string{"PID 1", "sub-reaper"} {
		for _, refuse := range []bool{false, true} {
			policy := watched + "[launch]\nmode = \"exec\"\n"
			if refuse {
				policy += "on_watch_failure = \"refuse\"\n"
			}
			args, log := policyWithLog(t, policy)
			line := slices.Concat([]string{tool.checked}, args, []string{"--", "/bin/sh", "-c", "cat /proc/$$/task/$$/children; exit 42"})
			var stderr strings.Builder
			cmd := exec.Command(tool.setup, append([]string{"subreaper", "--"}, line...)...)
			if place == "PID 1" {
				cmd = inNamespace(t, line...)
			}
			cmd.Stderr = &stderr
			out, _ := cmd.Output()
			if refuse {
				if cmd.ProcessState.ExitCode() != 125 || !strings.Contains(stderr.String(), "--supervise") {
					t.Errorf("%s: %v, %q", place, cmd.ProcessState, stderr.String())
				}
				continue
			}
			// A watch would be a child of the target. The only child is cat, which lists the children.
			if got := strings.Fields(string(out)); cmd.ProcessState.ExitCode() != 42 || len(got) != 1 || stderr.Len() > 0 {
				t.Errorf("%s: %v, children %q, %s", place, cmd.ProcessState, got, stderr.String())
			}
			if all := events(t, log, ""); len(all) != 1 || all[0]["event"] != "watch-failed" {
				t.Errorf("%s: %v", place, all)
			}
		}
	}
}

// TestNoMoreProcesses: at the limit of processes (ulimit -u) there is no watch, but the target starts. Go itself needs
// four threads before main.
func TestNoMoreProcesses(t *testing.T) {
	t.Parallel()
	testenv.NeedRoot(t)
	tool := requireTools(t)
	const user = "65531" // a user with no other process
	for limit := 4; limit < 32; limit++ {
		setup := states(fmt.Sprintf("rlimit 6 %d %d user %s %s", limit, limit, user, user))
		o, said := start(t, "/", []string{"PATH=/usr/bin:/bin", "HOME=/"}, setup, []string{tool.release, "run", "--arenas", "off", "--budget", "1TiB", "--", "/bin/sh", "-c", "exit 42"})
		if strings.Contains(said, "newosproc") {
			continue // arenacap itself could not start under this limit
		}
		if o.status != 42 || said != "" && !strings.Contains(said, "watch-failed: fork: ") {
			t.Errorf("limit %d: %+v, %q", limit, o, said)
		}
		if said == "" { // the limit allowed all processes
			return
		}
	}
	t.Error("there is never a watch")
}

// TestLimitOfAddressSpace: arenacap starts under each limit at an end of a range that package unit calls enough. The cap
// is 1, because "arenacap run" would warn that more arenas do not fit.
func TestLimitOfAddressSpace(t *testing.T) {
	tool := requireTools(t)
	for path, bits := range map[string]int{tool.release386: 32, tool.release: 64} {
		if path == "" {
			continue
		}
		for _, flags := range [][]string{nil, {"--supervise"}, {"--budget", "1TiB"}} {
			for _, limit := range enoughAddressSpace(t, bits, flags != nil) {
				line := slices.Concat([]string{path, "run", "--arenas", "1"}, flags, []string{"--", "/bin/sh", "-c", "ulimit -v"})
				o, said := start(t, t.TempDir(), os.Environ(), states(fmt.Sprintf("rlimit 9 %d %[1]d", limit)), line)
				if o.stdout != fmt.Sprintln(limit/1024) || said != "" {
					t.Errorf("%s %v under %d MiB: %+v, %q", filepath.Base(path), flags, limit>>20, o, said)
				}
			}
		}
	}
}

// enoughAddressSpace returns the limits in bytes at the ends of the ranges that package unit calls enough.
func enoughAddressSpace(t *testing.T, bits int, stays bool) (limits []uint64) {
	i := slices.IndexFunc(unit.Needs[:], func(n unit.Need) bool { return n.Rlimit == unix.RLIMIT_AS && n.Bits == bits })
	enough := func(mib uint64) bool {
		text, _ := unit.Needs[i].Judge(mib<<20, stays)
		return text == ""
	}
	for mib := uint64(1); mib < 4096; mib++ {
		if enough(mib) && !(enough(mib-1) && enough(mib+1)) {
			limits = append(limits, mib<<20)
		}
	}
	if len(limits) == 0 {
		t.Fatalf("no limit is enough for the %d-bit build", bits)
	}
	return limits
}

// daemonize starts a daemon of the traditional kind, which leaves its terminal and its parent. The parent, the shell
// that setsid starts, writes the daemon's PID to $1.pid and lives until the file $1.go exists.
const daemonize = `setsid sh -c '(echo $$ >"$0.parent"; exec sleep 1000) >/dev/null 2>&1 </dev/null & echo $! >"$0.pid"; until [ -e "$0.go" ]; do sleep 0.01; done' "$1" & wait`

// TestDaemon: the watch follows the daemon. A reader of arenacap's output gets end of file although the watch still
// runs.
func TestDaemon(t *testing.T) {
	tool := requireTools(t)
	args, log := policyWithLog(t, strings.Replace(watched, "[budget]\n", "[budget]\nscope = \"tree\"\n", 1))
	mark := filepath.Join(t.TempDir(), "service")
	line := slices.Concat(args, []string{"--", "/bin/sh", "-c", daemonize, "sh", mark})
	cmd := exec.Command(tool.checked, line...)
	done := make(chan error, 1)
	go func() {
		_, err := cmd.CombinedOutput() // returns when no process has the output open any more
		done <- err
	}()
	pid := readPID(t, mark+".pid")
	defer func() { _ = unix.Kill(pid, unix.SIGKILL) }()
	awaitCounted(t, pid)
	if err := os.WriteFile(mark+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	all := events(t, log, "exited")
	if got := all[len(all)-1]["processes_remaining"]; got != 1.0 {
		t.Errorf("%v processes remain, want 1: %v", got, all)
	}
	watch := watchOf(cmd.Process.Pid)
	if watch == 0 {
		t.Fatal("the watch has ended before the service")
	}
	if out, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", watch)); out != "/dev/null" {
		t.Errorf("the watch keeps stderr open: %s", out)
	}
	fd, err := unix.PidfdOpen(watch, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := awaitReadable(fd); err != nil {
		t.Errorf("the watch does not end with the service: %v", err)
	}
}

// awaitReadable waits until a descriptor is readable. A pidfd is readable once its process has ended.
func awaitReadable(fd int) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR: // the runtime's own signal, or a child of a test has ended
		case err != nil || n == 1:
			return err
		default:
			return fmt.Errorf("not within %s", patience)
		}
	}
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return pid
		}
	}
	t.Fatalf("no PID in %s", path)
	return 0
}

// awaitCounted waits until a watch has the process's file statm open and thus counts the process.
func awaitCounted(t *testing.T, pid int) {
	t.Helper()
	want := fmt.Sprintf("/proc/%d/statm", pid)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
		for _, link := range links {
			if to, _ := os.Readlink(link); to == want {
				return
			}
		}
	}
	t.Fatalf("no watch holds process %d", pid)
}

// watchOf returns the PID of the watch of a target, 0 for none.
func watchOf(target int) int {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		if text, _ := os.ReadFile(name); strings.TrimRight(string(text), "\x00") == fmt.Sprintf("arenacap: watch %d", target) {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			return pid
		}
	}
	return 0
}
