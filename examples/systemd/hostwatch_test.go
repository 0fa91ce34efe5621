//go:build booted

package systemd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/examples/internal/lab"
)

// These tests run the unit arenacap-watch.service of this folder beside services that arenacap did not start:
// TestBootedHostWatch beside five, the other tests beside one. Each test waits for lines of the journal.

const (
	hostPolicy = "/etc/arenacap/policy.toml" // the path that the unit uses
	hostGrace  = 2 * time.Second
)

// hostServices is the policy of five services. %s is the limit of the first.
const hostServices = `
[budget]
virtual  = "64GiB"
settle   = "0s"
interval = "100ms"
breach   = "2/2"
grace    = "2s"
[log]
format = "json"
[service.w-plain]
budget.virtual = "%s"
[service.w-instances]
match.unit = "w-instances@.service"
match.name = "server"
match.user = "daemon"
[service.w-restless]
[service.w-daemon]
budget.scope = "cgroup"
[service.w-growing]
budget.virtual = "256MiB"
budget.scope   = "cgroup"
budget.action  = "terminate"
`

// hostUnits has a unit for each of the five services.
var hostUnits = map[string][]string{
	"w-plain":         {"Type=notify", "ExecStart=SERVER notify"},
	"w-instances@one": {"Type=notify", "ExecStart=SERVER notify", "User=daemon", "Slice=lab-deep-deeper.slice"},
	"w-restless":      {"Type=exec", "ExecStart=/bin/sleep 2", "Restart=always", "RestartSec=100ms"},
	"w-daemon":        {"Type=forking", "PIDFile=/run/NAME.pid", "ExecStart=SERVER daemonize=/run/NAME.pid"},
	"w-growing":       {"Type=exec", "ExecStart=SERVER default-term", "Restart=always", "RestartSec=0"},
}

// hostWatch is the unit of the watch and the units of the services.
type hostWatch struct {
	*unit
	services map[string]*unit
	since    time.Duration // start of the test, measured from the boot
}

// configure gives the unit a policy and more settings for this test, and ends it after the test.
func (w *hostWatch) configure(policy string, lines ...string) {
	w.t.Helper()
	before, err := os.ReadFile(hostPolicy)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.WriteFile(hostPolicy, before, 0o644) })
	w.write(hostPolicy, policy)
	w.write("/run/systemd/system/"+w.name+".d/test.conf", "[Service]\n"+strings.Join(lines, "\n")+"\n")
	w.systemctl("daemon-reload")
	w.since = sinceBoot(w.t)
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.ctx = context.Background()
			w.t.Log(w.told())
		}
		for _, command := range []string{"stop", "reset-failed"} {
			_ = exec.Command("systemctl", command, w.name).Run()
		}
	})
}

// startHostWatch starts three of the services before the watch and two after it.
func startHostWatch(t *testing.T) *hostWatch {
	t.Helper()
	w := &hostWatch{services: map[string]*unit{}}
	for name, lines := range hostUnits {
		w.services[name] = newNamedUnit(t, name, "", "[Unit]\nStartLimitIntervalSec=0\n"+service(lines...))
	}
	w.unit = &unit{t: t, ctx: w.services["w-plain"].ctx, name: "arenacap-watch.service"}
	w.configure(fmt.Sprintf(hostServices, "64GiB"), "WatchdogSec=10", "TimeoutAbortSec=1")
	for i, name := range slices.Sorted(maps.Keys(hostUnits)) {
		if i == 3 {
			w.start()
		}
		w.services[name].start()
	}
	return w
}

// policy writes a policy: hostServices with a limit for the first service, followed by the text in the parameter "more".
func (w *hostWatch) policy(limit, more string) {
	w.t.Helper()
	w.write(hostPolicy, fmt.Sprintf(hostServices, limit)+more)
}

// event waits until a watch logs an event about a process of a service. by is the PID of the watch, pid the PID of the
// process; 0 stands for any PID.
func (w *hostWatch) event(by int, service, name string, pid int) entry {
	w.t.Helper()
	return w.awaitThe(fmt.Sprintf("%s of %s[%d] by %d", name, service, pid, by), func(e entry) bool {
		event, ok := eventOf(e, by)
		return ok && event.Service == service && event.Event == name && (pid == 0 || event.Pid == pid)
	})
}

// eventOf returns the event in a journal line, if the watch with this PID wrote the line; PID 0 stands for any watch.
func eventOf(e entry, pid int) (event lab.Event, ok bool) {
	ok = (pid == 0 || e.PID == strconv.Itoa(pid)) && json.Unmarshal([]byte(e.Message), &event) == nil
	return event, ok
}

// count returns how many events with this name, about this service, a watch has written to the journal so far. The argument by
// is the PID of the watch; 0 stands for any watch.
func (w *hostWatch) count(by int, service, name string) (n int) {
	w.t.Helper()
	for _, e := range w.journal() {
		if event, ok := eventOf(e, by); ok && event.Service == service && event.Event == name {
			n++
		}
	}
	return n
}

// serviceState is the part of the state file about one service.
type serviceState struct {
	Breaches map[string]int
	Targets  []struct {
		GrowthBase *int `json:"growth_base_bytes"` // null before the first sample after the settle time
	}
}

func (w *hostWatch) state(service string) serviceState {
	w.t.Helper()
	var state struct{ Services map[string]serviceState }
	text, err := os.ReadFile("/run/arenacap/watch.json")
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return state.Services[service]
}

func (w *hostWatch) sampled(service string) bool {
	targets := w.state(service).Targets
	return len(targets) == 1 && targets[0].GrowthBase != nil
}

func monotonicOf(t *testing.T, e entry) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(e.Monotonic)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Microsecond
}

// sinceBoot is CLOCK_MONOTONIC, the clock of the journal's entries.
func sinceBoot(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}

func TestBootedHostWatch(t *testing.T) {
	w := startHostWatch(t)
	watch := w.mainPID()
	petted := w.show("WatchdogTimestampMonotonic")
	w.sandboxed(watch, settings(t))
	w.findsAll(watch)
	w.terminates(watch)
	w.reloads(watch)
	for w.show("WatchdogTimestampMonotonic") == petted {
	}
	watch = w.keepsABreach(watch)
	watch = w.survivesAHang(watch)
	w.saysGoodbye(watch)
}

// findsAll checks that the watch finds each service, and inspect and ps name the watch.
func (w *hostWatch) findsAll(watch int) {
	w.t.Helper()
	for name, u := range w.services {
		service, _, _ := strings.Cut(name, "@")
		if name == "w-restless" {
			continue // the process of w-restless ends after 2 s, perhaps during these checks
		}
		pid := u.mainPID()
		w.event(watch, service, "started", pid)
		for _, command := range [][]string{{"inspect", "--json", strconv.Itoa(pid)}, {"ps", "--all", "--json"}} {
			if by := w.watchedBy(pid, command...); by != watch {
				w.t.Errorf("%s says that %s[%d] is watched by %d, want %d", command[0], name, pid, by, watch)
			}
		}
	}
	ended := map[int]bool{}
	w.awaitThe("end of three processes of w-restless", func(e entry) bool {
		if event, ok := eventOf(e, watch); ok && event.Service == "w-restless" && event.Event == "exited" {
			ended[event.Pid] = true
		}
		return len(ended) == 3
	})
}

// watchedBy returns the PID of the watch that a command of arenacap names for a process.
func (w *hostWatch) watchedBy(pid int, command ...string) int {
	w.t.Helper()
	out, err := exec.CommandContext(w.ctx, "/usr/bin/arenacap", command...).Output()
	var rows []struct {
		PID       int
		WatchedBy int `json:"watched_by"`
	}
	if err == nil {
		err = json.Unmarshal(out, &rows)
	}
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", command[0], err, out)
	}
	for _, row := range rows {
		if row.PID == pid {
			return row.WatchedBy
		}
	}
	return 0
}

// terminates checks that the service that exceeds its budget is ended, systemd starts it again at once, and the new
// process, which is in the same control group, lives on when the time for SIGKILL has passed.
func (w *hostWatch) terminates(watch int) {
	w.t.Helper()
	u := w.services["w-growing"]
	first := u.serverPID()
	u.ask("grow 20")
	action := w.event(watch, "w-growing", "action", first)
	w.event(watch, "w-growing", "exited", first)
	u.secondStart(first)
	second := u.mainPID()
	w.event(watch, "w-growing", "started", second)
	late := monotonicOf(w.t, action) + hostGrace + time.Second
	w.awaitThe("line after grace", func(e entry) bool { // a restart of w-restless
		_, ok := eventOf(e, watch)
		return ok && monotonicOf(w.t, e) > late
	})
	if got := u.mainPID(); got != second || w.count(watch, "w-growing", "action") != 1 {
		w.t.Errorf("it was %d, then %d, and is %d", first, second, got)
	}
	u.want("NRestarts", "1")
}

// secondStart waits until a server other than the first is ready.
func (u *unit) secondStart(first int) {
	u.t.Helper()
	u.awaitThe("second start", func(e entry) bool { return e.Message == "server: ready" && e.PID != strconv.Itoa(first) })
}

// reloads checks that a policy with a mistake changes nothing, and a good one has an effect on a process that runs.
func (w *hostWatch) reloads(watch int) {
	w.t.Helper()
	w.policy("1MiB", "[service.w-plain.budgets]\n")
	w.systemctl("reload", w.name)
	w.awaitRefusal(`: unknown table "budgets"; `)
	if n := w.count(watch, "w-plain", "breach"); n != 0 {
		w.t.Errorf("%d breaches by a policy that was refused", n)
	}
	w.policy("1MiB", "")
	w.systemctl("reload", w.name)
	w.event(watch, "w-plain", "breach", w.services["w-plain"].mainPID())
}

// awaitRefusal waits for the line about a policy with a mistake. From systemd 253 on the unit has Type=notify-reload: a reload
// ends only after the watch has read the policy, so the line is there.
func (w *hostWatch) awaitRefusal(line string) {
	w.t.Helper()
	var version int
	if _, err := fmt.Sscanf(w.systemctl("show", "-P", "Version"), "%d", &version); err != nil {
		w.t.Fatal(err)
	}
	if version < 253 {
		w.want("Type", "notify")
		w.await(line)
		return
	}
	w.want("Type", "notify-reload")
	if told := w.told(); !strings.Contains(told, line) {
		w.t.Fatalf("no %q at the end of the reload\n%s", line, told)
	}
}

// keepsABreach checks that after a restart of the watch, a breach that continues is not reported again, but its end
// is.
func (w *hostWatch) keepsABreach(before int) (watch int) {
	w.t.Helper()
	w.systemctl("restart", w.name)
	watch = w.mainPID()
	pid := w.services["w-plain"].mainPID()
	w.event(before, "w-plain", "watch-ended", pid)
	w.event(watch, "w-plain", "started", pid)
	w.event(watch, "w-restless", "exited", 0) // ends after 2 s: by then the watch has sampled often
	w.policy("64GiB", "")
	w.systemctl("reload", w.name)
	w.event(watch, "w-plain", "recovered", pid)
	if n := w.count(watch, "w-plain", "breach"); n != 0 {
		w.t.Errorf("%d breaches after the restart, want none", n)
	}
	return watch
}

// survivesAHang checks that systemd's watchdog ends a watch that hangs, and the next watch finds the target w-daemon
// and continues with the same counters.
func (w *hostWatch) survivesAHang(before int) (watch int) {
	w.t.Helper()
	if err := unix.Kill(before, unix.SIGSTOP); err != nil {
		w.t.Fatal(err)
	}
	hang := monotonicOf(w.t, w.await("Watchdog timeout"))
	again := w.awaitThe("start after the hang", func(e entry) bool {
		event, ok := eventOf(e, 0)
		return ok && event.Event == "started" && event.Service == "w-daemon" && monotonicOf(w.t, e) > hang
	})
	for name, want := range map[string]int{"w-plain": 1, "w-growing": 1, "w-daemon": 0} {
		if got := w.state(name).Breaches["virtual"]; got != want {
			w.t.Errorf("the state file counts %d breaches of %s, want %d", got, name, want)
		}
	}
	watch, err := strconv.Atoi(again.PID)
	if err != nil {
		w.t.Fatal(err)
	}
	return watch
}

// saysGoodbye checks that a watch that is stopped writes an event for each service, and the services continue to run.
func (w *hostWatch) saysGoodbye(watch int) {
	w.t.Helper()
	w.systemctl("stop", w.name)
	w.want("Result", "success", "ActiveState", "inactive")
	for name, u := range w.services {
		service, _, _ := strings.Cut(name, "@")
		w.event(watch, service, "watch-ended", 0)
		if name != "w-restless" { // w-restless may be between two starts
			u.want("ActiveState", "active")
		}
	}
}

// settings are the lines of the unit.
func settings(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("/etc/systemd/system/arenacap-watch.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// TestBootedHostWatchGrants removes the rights that the unit grants the watch, one at a time. Each time something
// different fails, and the journal shows it.
func TestBootedHostWatchGrants(t *testing.T) {
	const bounding = "CapabilityBoundingSet="
	for _, c := range []struct {
		without string
		lines   []string
		shows   string
	}{
		{"nothing", nil, "SIGTERM sent; "},
		{"CAP_KILL", []string{bounding, bounding + "CAP_SYS_PTRACE"}, "SIGTERM could not be sent: operation not permitted"},
		{"CAP_SYS_PTRACE", []string{bounding, bounding + "CAP_KILL"}, `"attribution":null`},
		{"AF_UNIX", []string{"RestrictAddressFamilies=none", "TimeoutStartSec=1", "Restart=no"}, "start operation timed out"},
	} {
		t.Run(c.without, func(t *testing.T) {
			u := newUnit(t, "", service("Type=notify", "User=daemon", "ExecStart=SERVER notify")).start()
			w := &hostWatch{unit: &unit{t: t, ctx: u.ctx, name: "arenacap-watch.service"}}
			w.configure(fmt.Sprintf(growingPolicy, u.name), c.lines...)
			_ = exec.CommandContext(u.ctx, "systemctl", "start", w.name).Run() // in the last case the watch does not start
			u.ask("grow 20")
			w.awaitThe(c.shows, func(e entry) bool {
				return monotonicOf(t, e) > w.since && strings.Contains(e.Message, c.shows)
			})
		})
	}
	if granted := bounding + "CAP_KILL CAP_SYS_PTRACE"; !slices.Contains(settings(t), granted) {
		t.Errorf("the unit has no line %s: the rows above do not take away all that it grants", granted)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--threshold=13", "arenacap-watch.service").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const growingPolicy = `
[budget]
virtual  = "256MiB"
settle   = "0s"
interval = "100ms"
breach   = "2/2"
action   = "terminate"
[log]
format = "json"
[service.growing]
match.unit = "%s"
`

// TestBootedHostWatchNewStart: with KillMode=process a process of the previous start stays in the unit's control
// group. Nevertheless the new start is a new target, with a settle time of its own.
func TestBootedHostWatchNewStart(t *testing.T) {
	u := newUnit(t, "", service("Type=notify", "KillMode=process", "Restart=always", "RestartSec=0", "ExecStart=SERVER notify")).start()
	u.ask("spawn")
	first := u.mainPID()
	w := &hostWatch{unit: &unit{t: t, ctx: u.ctx, name: "arenacap-watch.service"}}
	w.configure(fmt.Sprintf(strings.Replace(growingPolicy, "settle ", "scope = \"cgroup\"\nsettle ", 1), u.name))
	w.start()
	watch := w.mainPID()
	w.event(watch, "growing", "started", first)
	for !w.sampled("growing") {
		if w.ctx.Err() != nil {
			t.Fatal("no sample")
		}
	}
	if err := unix.Kill(first, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.event(watch, "growing", "exited", first)
	w.await("the service has started again, and processes of the previous start continue")
	u.secondStart(first)
	w.event(watch, "growing", "started", u.mainPID())
}
