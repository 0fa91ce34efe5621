//go:build booted

package systemd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limit is the time limit of the test of one unit. A test reaches it only if it fails.
const limit = 2 * time.Minute

// unit is a test's service, started by the systemd of this machine.
type unit struct {
	t       *testing.T
	ctx     context.Context
	name    string // the unit's name with ".service"
	control string // the server's socket
}

// newUnit writes the unit, and its socket unit if it has one, and removes it when the test ends. In text, NAME stands for
// the unit's name, POLICY for its policy file, SERVER for the server and its control socket.
func newUnit(t *testing.T, policy, text string) *unit {
	t.Helper()
	stem := "t" + strings.ToLower(strings.Map(func(r rune) rune {
		if r < '0' || r > 'z' || r > '9' && r < 'A' || r > 'Z' && r < 'a' {
			return '-'
		}
		return r
	}, strings.TrimPrefix(t.Name(), "TestBooted")))
	return newNamedUnit(t, stem, policy, text)
}

// newNamedUnit is newUnit for a name without ".service". For an instance, a@b, it writes the template a@.service.
func newNamedUnit(t *testing.T, stem, policy, text string) *unit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	u := &unit{t: t, ctx: ctx, name: stem + ".service", control: "/run/lab/" + stem}
	file := "/etc/arenacap/" + stem + ".toml"
	text = strings.NewReplacer("NAME", stem, "POLICY", file, "SERVER", "/opt/lab/server "+u.control).Replace(text)
	service, socket, hasSocket := strings.Cut(text, "\n[Socket]\n")
	u.write(file, policy)
	template, _, isInstance := strings.Cut(stem, "@")
	if isInstance {
		template += "@"
	}
	u.write("/run/systemd/system/"+template+".service", service)
	if hasSocket {
		u.write("/run/systemd/system/"+stem+".socket", "[Socket]\n"+socket)
	}
	u.systemctl("daemon-reload")
	t.Cleanup(func() {
		u.ctx = context.Background()
		if t.Failed() {
			t.Logf("%s\n%s", text, u.told())
		}
		for _, command := range [][]string{{"kill", "--signal=KILL"}, {"stop"}, {"reset-failed"}} {
			_ = exec.Command("systemctl", append(command, stem+".socket", u.name)...).Run() // ignore errors: most of the units have ended
		}
	})
	return u
}

func (u *unit) write(file, text string) {
	u.t.Helper()
	for _, dir := range []string{filepath.Dir(file), "/run/lab"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			u.t.Fatal(err)
		}
	}
	_ = os.Chmod("/run/lab", 0o1777) // servers of all users create sockets there
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { os.Remove(file) })
}

// systemctl runs systemctl and fails the test if it fails.
func (u *unit) systemctl(args ...string) string {
	u.t.Helper()
	out, err := exec.CommandContext(u.ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		u.t.Fatalf("systemctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (u *unit) start() *unit {
	u.t.Helper()
	u.systemctl("start", u.name)
	return u
}

func (u *unit) show(property string) string {
	u.t.Helper()
	return u.systemctl("show", "-P", property, u.name)
}

// want compares properties: name, value, name, value, …
func (u *unit) want(pairs ...string) {
	u.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := u.show(pairs[i]); got != pairs[i+1] {
			u.t.Errorf("%s=%s, want %s", pairs[i], got, pairs[i+1])
		}
	}
}

func (u *unit) mainPID() int {
	u.t.Helper()
	pid, err := strconv.Atoi(u.show("MainPID"))
	if err != nil {
		u.t.Fatal(err)
	}
	return pid
}

// ask sends the server one line after it is ready; with some Type= the start does not wait for that.
func (u *unit) ask(line string) string {
	u.t.Helper()
	u.await("server: ready")
	return u.send(line)
}

// send sends a line to the control socket, which may belong to the server or to systemd.
func (u *unit) send(line string) string {
	u.t.Helper()
	conn, err := new(net.Dialer).DialContext(u.ctx, "unix", u.control)
	if err != nil {
		u.t.Fatal(err)
	}
	defer conn.Close()
	deadline, _ := u.ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := fmt.Fprintln(conn, line); err != nil {
		u.t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		u.t.Fatalf("%q: %v", line, err)
	}
	return string(answer)
}

// value returns the value of a key in an answer of KEY=VALUE lines, or "".
func value(answer, key string) string {
	for line := range strings.Lines(answer) {
		if value, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), key+"="); ok {
			return value
		}
	}
	return ""
}

// serverPID is the PID that the server reports.
func (u *unit) serverPID() int {
	u.t.Helper()
	pid, err := strconv.Atoi(value(u.ask("report"), "pid"))
	if err != nil {
		u.t.Fatal(err)
	}
	return pid
}

// entry is a journal entry (systemd.journal-fields(7)).
type entry struct {
	Message    string `json:"MESSAGE"`
	Priority   string `json:"PRIORITY"`
	Unit       string `json:"_SYSTEMD_UNIT"`
	PID        string `json:"_PID"`
	Identifier string `json:"SYSLOG_IDENTIFIER"`
	Monotonic  string `json:"__MONOTONIC_TIMESTAMP"` // microseconds
}

// await follows the unit's journal from its beginning until a line contains the text, and returns that line.
func (u *unit) await(text string) entry {
	u.t.Helper()
	return u.awaitThe(text, func(e entry) bool { return strings.Contains(e.Message, text) })
}

// awaitThe returns the first entry of the unit's journal for which match returns true. It restarts journalctl every
// five seconds, because journalctl 252 may miss lines that are written while it starts.
func (u *unit) awaitThe(what string, match func(entry) bool) entry {
	u.t.Helper()
	for u.ctx.Err() == nil {
		if e, ok := u.follow(5*time.Second, match); ok {
			return e
		}
	}
	u.t.Fatalf("the journal of %s had no %q in time", u.name, what)
	return entry{}
}

// follow reads the unit's journal from its beginning, for a limited time.
func (u *unit) follow(within time.Duration, match func(entry) bool) (entry, bool) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", "--follow", "--no-tail", "--output=json", "--unit="+u.name)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		u.t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) == nil && match(e) { // Unmarshal fails if the message is binary, which journalctl prints as an array
			return e, true
		}
	}
	return entry{}, false
}

// journal returns all lines of the unit so far.
func (u *unit) journal() (all []entry) {
	u.t.Helper()
	if err := exec.CommandContext(u.ctx, "journalctl", "--sync").Run(); err != nil {
		u.t.Fatal(err)
	}
	out, err := exec.CommandContext(u.ctx, "journalctl", "--output=json", "--unit="+u.name).Output()
	if err != nil {
		u.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

func (u *unit) told() string {
	var b strings.Builder
	for _, e := range u.journal() {
		fmt.Fprintf(&b, "<%s> %s[%s]: %s\n", e.Priority, e.Identifier, e.PID, e.Message)
	}
	return b.String()
}

// processes returns the command lines of the processes in the unit's control group.
func (u *unit) processes() (all []string) {
	u.t.Helper()
	group := u.show("ControlGroup")
	text, err := os.ReadFile("/sys/fs/cgroup/systemd" + group + "/cgroup.procs")
	if os.IsNotExist(err) {
		text, err = os.ReadFile("/sys/fs/cgroup" + group + "/cgroup.procs")
	}
	if os.IsNotExist(err) || group == "" {
		return nil // systemd removes the group after its last process
	}
	if err != nil {
		u.t.Fatal(err)
	}
	for pid := range strings.FieldsSeq(string(text)) {
		line, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err == nil && len(line) > 0 {
			all = append(all, strings.ReplaceAll(strings.TrimSuffix(string(line), "\x00"), "\x00", " "))
		}
	}
	slices.Sort(all)
	return all
}

// leavesNothing waits until the unit's last process has ended. With KillMode=process the watch still runs when systemd
// considers the unit stopped, and then sees the end of the server.
func (u *unit) leavesNothing() {
	u.t.Helper()
	for left := u.processes(); len(left) > 0; left = u.processes() {
		if u.ctx.Err() != nil {
			u.t.Fatalf("left behind: %q", left)
		}
	}
}

// checkStopped checks that the unit stopped without a SIGKILL for the server and without delay. The argument "server"
// is the server's PID. The test ignores other SIGKILLs in the journal: systemd also reports one for each thread of an
// ending process that it finds in cgroup.threads, and one for "n/a" if the main process has ended and was not a child
// of systemd.
func (u *unit) checkStopped(server int) {
	u.t.Helper()
	u.want("Result", "success")
	for _, e := range u.journal() {
		if strings.Contains(e.Message, "timed out") || strings.Contains(e.Message, fmt.Sprintf("Killing process %d (server)", server)) {
			u.t.Errorf("the stop took force: %s", e.Message)
		}
	}
}

// status returns one field of /proc/PID/status, proc(5).
func status(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
