//go:build booted

package mariadb_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
)

// This test runs in the container that .ci/mariadb-life boots with .ci/systemd: systemd is PID 1, mariadb.service is
// Debian's and was started at boot, /usr/bin/arenacap is the release, and /opt/lab/debs contains the packages
// mariadb-server and mariadb-server-core, to install them again.

const (
	serverSocket = "/run/mysqld/mysqld.sock"
	policyFile   = "/etc/arenacap/policy.toml"
	dropIns      = "/etc/systemd/system/mariadb.service.d"
)

// life is the service and the number of rows that were written to the ledger, a table of this test.
type life struct {
	t       *testing.T
	ctx     context.Context
	db      *lab.MariaDB
	journal *bufio.Scanner
	rows    map[string]int // number of rows, by step
}

// TestBootedLife takes MariaDB through the life cycle of a service. After each step all acknowledged rows must exist.
func TestBootedLife(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	l := &life{t: t, ctx: ctx, db: lab.ConnectMariaDB(serverSocket), rows: map[string]int{}}
	l.follow()
	l.prepare()
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"as Debian ships it", l.shipped},
		{"under the drop-in", l.underDropIn},
		{"loaded and inspected", l.loaded},
		{"a breach that is reported", l.checkReports},
		{"arenacap is upgraded in place", l.arenacapUpgraded},
		{"a breach that ends it, and a restart", l.terminated},
		{"its binary is replaced while it runs", l.binaryReplaced},
		{"its package is installed again", l.packageInstalled},
		{"stopped, and started without arenacap", l.withoutArenacap},
	} {
		start := time.Now()
		step.do()
		l.write(step.name, 100)
		l.verify(step.name)
		if t.Failed() {
			t.Fatalf("in the step %q", step.name)
		}
		t.Logf("%s: %.1f s", step.name, time.Since(start).Seconds())
	}
}

// follow reads the unit's lines in the journal from now on.
func (l *life) follow() {
	cmd := exec.CommandContext(l.ctx, "journalctl", "--unit=mariadb", "--follow", "--lines=0", "--output=cat")
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	l.journal = bufio.NewScanner(out)
	l.journal.Buffer(nil, 1<<20)
}

// await reads the journal up to the first line that matches.
func (l *life) await(what string, match func(line string) bool) {
	l.t.Helper()
	var seen []string
	for l.journal.Scan() {
		if match(l.journal.Text()) {
			return
		}
		seen = append(seen, l.journal.Text())
	}
	l.t.Fatalf("%s is not in the journal (%v); there is\n%s", what, l.ctx.Err(), strings.Join(seen, "\n"))
}

// awaitEvent waits for an event of the process "pid". If "pid" is 0, it waits for the event of any process except
// "other".
func (l *life) awaitEvent(name, metric string, pid, other int) {
	l.t.Helper()
	l.await(fmt.Sprintf("the event %s %s of %d", name, metric, pid), func(line string) bool {
		var e lab.Event
		return json.Unmarshal([]byte(line), &e) == nil && e.Event == name && (metric == "" || e.Metric == metric) &&
			(e.Pid == pid || pid == 0 && e.Pid != other)
	})
}

// run runs a command that must succeed.
func (l *life) run(name string, args ...string) string {
	l.t.Helper()
	out, err := exec.CommandContext(l.ctx, name, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (l *life) systemctl(args ...string) string {
	l.t.Helper()
	return l.run("systemctl", args...)
}

func (l *life) sql(statement string) string {
	l.t.Helper()
	return l.run("mariadb", "--batch", "--skip-column-names", "--execute="+statement)
}

func (l *life) file(path, text string) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) mainPID() int {
	l.t.Helper()
	pid, err := strconv.Atoi(l.systemctl("show", "-P", "MainPID", "mariadb"))
	if err != nil || pid == 0 {
		l.t.Fatalf("MainPID=%d, %v", pid, err)
	}
	if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); !strings.HasPrefix(exe, "/usr/sbin/mariadbd") {
		l.t.Errorf("the main process is %s", exe)
	}
	return pid
}

// good is an SQL expression: the checksum that a valid row of the ledger has. It is computed from the row itself, so that no
// second copy of the rows is needed.
const good = "sha2(concat(step, ':', n), 512)"

// prepare creates the tables: a ledger that each step writes to, and sysbench's.
func (l *life) prepare() {
	l.file("/etc/mysql/mariadb.conf.d/99-life.cnf", "[mysqld]\nmax_allowed_packet = 128M\n")
	l.systemctl("restart", "mariadb")
	l.sql("create database life; create table life.ledger (step varchar(80), n int, content char(128), primary key (step, n)) engine=InnoDB;" +
		"create database sbtest; create user sysbench@localhost; grant all on sbtest.* to sysbench@localhost")
	if err := l.db.Prepare(l.ctx); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) write(step string, rows int) {
	l.t.Helper()
	l.sql(fmt.Sprintf("insert into life.ledger (step, n) select '%s', seq from life.seq_1_to_%d; update life.ledger set content = %s where content is null", step, rows, good))
	l.rows[step] = rows
}

// verify checks all rows that were ever written, and runs InnoDB's check of its pages.
func (l *life) verify(step string) {
	l.t.Helper()
	for name, want := range l.rows {
		got := l.sql("select count(*), coalesce(sum(content = " + good + "), 0) from life.ledger where step = '" + name + "'")
		if got != fmt.Sprintf("%d\t%[1]d", want) {
			l.t.Errorf("after %q: rows of %q and how many of them are good: %s, want %d", step, name, got, want)
		}
	}
	if got := l.sql("check table life.ledger, sbtest.sbtest1, sbtest.sbtest2"); strings.Count(got, "\tOK") != 3 {
		l.t.Errorf("after %q: %s", step, got)
	}
}

// load runs sysbench with 64 connections.
func (l *life) load() {
	l.t.Helper()
	rate, err := l.db.Sysbench(l.ctx, 2)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Logf("%.0f queries a second", rate)
}

func (l *life) shipped() {
	l.load()
	if found := l.inspect(); found.Cap != nil {
		l.t.Errorf("a cap without arenacap: %+v", found)
	} else {
		l.t.Logf("%d arenas as shipped", found.Arenas)
	}
}

// inspected is the output of arenacap inspect --json for a process.
type inspected struct {
	Arenas int
	Cap    *int
	Kept   *bool
	Error  *string
}

func (l *life) inspect() inspected {
	l.t.Helper()
	var found []inspected
	out := l.run("arenacap", "inspect", "--json", strconv.Itoa(l.mainPID()))
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found) != 1 || found[0].Error != nil {
		l.t.Fatalf("inspect: %v\n%s", err, out)
	}
	return found[0]
}

// capped checks that the running server has exactly as many arenas as its cap allows.
func (l *life) capped() {
	l.t.Helper()
	found := l.inspect()
	if found.Cap == nil || *found.Cap != 4 || found.Arenas != 4 || found.Kept == nil || !*found.Kept {
		l.t.Errorf("inspect says %+v", found)
	}
}

// budgets writes the example's policy with shorter times, the given action and a grace time of one minute.
func (l *life) budgets(action string) {
	l.t.Helper()
	text, err := os.ReadFile("/opt/lab/policy.toml")
	if err != nil {
		l.t.Fatal(err)
	}
	l.file(policyFile, strings.NewReplacer(`"30s"`, `"1s"`, `interval = "1s"`, `interval = "50ms"`,
		"[service.mariadb]\n", "[service.mariadb]\nbudget.action = \""+action+"\"\nbudget.grace = \"1m\"\n").Replace(string(text)))
}

// underDropIn installs the drop-in that arenacap prints.
func (l *life) underDropIn() {
	l.budgets("report")
	l.file(filepath.Join(dropIns, "arenacap.conf"), l.run("arenacap", "-q", "unit", "mariadb")+"\n")
	// MariaDB's exit after the SIGTERM of a breach is clean, so the unit's own Restart=on-abnormal would not restart it.
	l.file(filepath.Join(dropIns, "restart.conf"), "[Service]\nRestart=always\nRestartSec=100ms\n")
	l.systemctl("daemon-reload")
	l.restart()
}

// restart returns when the server has sent READY=1, because Debian's unit has Type=notify, and its watch has written
// the event "started".
func (l *life) restart() {
	l.t.Helper()
	l.systemctl("restart", "mariadb")
	l.awaitEvent("started", "", l.mainPID(), 0)
}

func (l *life) loaded() {
	l.load()
	l.capped()
}

// checkReports checks that a connection that holds 640 MiB causes the event "breach", that the end of the connection
// causes the event "recovered", and that the server continues.
func (l *life) checkReports() {
	pid := l.mainPID()
	release, err := l.db.Hold(l.ctx, 10)
	if err != nil {
		l.t.Fatal(err)
	}
	l.awaitEvent("breach", "growth", pid, 0)
	if err := release(); err != nil {
		l.t.Fatal(err)
	}
	l.awaitEvent("recovered", "growth", pid, 0)
	if now := l.mainPID(); now != pid {
		l.t.Errorf("the main process was %d and is %d", pid, now)
	}
}

// arenacapUpgraded checks that the watch continues after arenacap's binary is replaced by a copy, and that the next
// start of the server is capped.
func (l *life) arenacapUpgraded() {
	l.run("install", "/usr/bin/arenacap", "/usr/bin/arenacap.new")
	l.run("mv", "/usr/bin/arenacap.new", "/usr/bin/arenacap")
	l.checkReports()
	l.restart()
	l.load()
	l.capped()
}

// terminated checks that a breach terminates the server while a client writes, and systemd restarts it. All
// acknowledged rows exist.
func (l *life) terminated() {
	l.budgets("terminate")
	l.restart()
	pid := l.mainPID()
	acknowledged := l.writer("a writer when it was ended")
	release, err := l.db.Hold(l.ctx, 10)
	if err == nil {
		defer func() { _ = release() }() // ignore the error: the server has ended the connection
	} else {
		l.t.Logf("ended before the last of it was held: %v", err)
	}
	l.awaitEvent("breach", "", pid, 0)
	// The test waits for the next server's event "started" and not for the first server's event "exited": with
	// KillMode=control-group systemd may end the first watch before it writes "exited".
	l.awaitEvent("started", "", 0, pid)
	l.systemctl("start", "mariadb") // waits for the start that is in progress
	if got := l.systemctl("show", "-P", "NRestarts", "mariadb"); got != "1" {
		l.t.Errorf("NRestarts=%s", got)
	}
	step, n := "a writer when it was ended", <-acknowledged
	got, err := strconv.Atoi(l.sql("select count(*) from life.ledger where step = '" + step + "'"))
	if err != nil || got < n || got > n+1 || n == 0 {
		l.t.Errorf("%d rows of a writer to whom %d were acknowledged, %v", got, n, err)
	}
	l.rows[step] = got
	l.load()
	l.capped()
	l.budgets("report")
	l.restart()
}

// writer writes one row after the other until its connection ends, and then reports the number of acknowledged rows. It
// returns when the first row is acknowledged.
func (l *life) writer(step string) <-chan int {
	l.t.Helper()
	cmd := exec.CommandContext(l.ctx, "mariadb", "--batch", "--unbuffered", "--skip-column-names", "--skip-reconnect", "life")
	in, err := cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	answers := bufio.NewScanner(out)
	insert := func(n int) bool {
		_, err := io.WriteString(in, fmt.Sprintf("insert into ledger (step, n) values ('%s', %d); update ledger set content = %s where n = %[2]d and step = '%[1]s'; select %[2]d;\n", step, n, good))
		return err == nil && answers.Scan() && answers.Text() == strconv.Itoa(n)
	}
	if !insert(1) {
		l.t.Fatal("the first row was not written")
	}
	acknowledged := make(chan int, 1)
	go func() {
		n := 1
		for insert(n + 1) {
			n++
		}
		_ = in.Close()
		_ = cmd.Wait()
		acknowledged <- n
	}()
	return acknowledged
}

// binaryReplaced checks that after dpkg has replaced mariadbd, the running server continues under load and keeps its
// cap, and inspect can read it. The package's scripts do not restart the server.
func (l *life) binaryReplaced() {
	pid := l.mainPID()
	l.run("dpkg", "-i", l.deb("mariadb-server-core"))
	if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); exe != "/usr/sbin/mariadbd (deleted)" {
		l.t.Errorf("the server's binary was not replaced: %s", exe)
	}
	l.load()
	l.capped()
	if now := l.mainPID(); now != pid {
		l.t.Errorf("the main process was %d and is %d", pid, now)
	}
	l.restart()
	l.load()
	l.capped()
}

func (l *life) deb(name string) string {
	l.t.Helper()
	found, err := filepath.Glob("/opt/lab/debs/" + name + "_*.deb")
	if err != nil || len(found) != 1 {
		l.t.Fatalf("%s: %v, %v", name, found, err)
	}
	return found[0]
}

// packageInstalled checks that the server is capped after an installation of its package, whose scripts stop the old
// server and start a new one: the drop-in does not belong to the package, so it stays.
func (l *life) packageInstalled() {
	pid := l.mainPID()
	l.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "-i", l.deb("mariadb-server"))
	l.systemctl("start", "mariadb")
	if now := l.mainPID(); now == pid {
		l.t.Error("the package did not restart the server")
	}
	l.load()
	l.capped()
}

// withoutArenacap checks that the last shutdown was clean and left no process, and that without the drop-in the server
// starts without a recovery and without a cap.
func (l *life) withoutArenacap() {
	l.systemctl("stop", "mariadb")
	if got := l.systemctl("show", "-P", "Result", "mariadb"); got != "success" {
		l.t.Errorf("Result=%s", got)
	}
	if left := l.processes(); len(left) > 0 {
		l.t.Errorf("left behind: %q", left)
	}
	if err := os.RemoveAll(dropIns); err != nil {
		l.t.Fatal(err)
	}
	l.systemctl("daemon-reload")
	l.systemctl("start", "mariadb")
	l.await("ready for connections", func(line string) bool {
		if strings.Contains(line, "crash recovery") {
			l.t.Error(line)
		}
		return strings.Contains(line, "ready for connections")
	})
	if found := l.inspect(); found.Cap != nil {
		l.t.Errorf("a cap without arenacap: %+v", found)
	}
}

// processes returns the command lines of the processes in the unit's control group.
func (l *life) processes() (names []string) {
	stats, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, file := range stats {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "/mariadb.service") {
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			names = append(names, string(name))
		}
	}
	return names
}
