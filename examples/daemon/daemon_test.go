// Package daemon_test runs the example's start script in a container.
package daemon_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// boot starts the daemon by its start script and stops it at once. Then it starts the daemon again, prints the daemon's PID
// and log, waits for a line from a FIFO, and stops the daemon.
const boot = `/etc/init.d/authserver start && /etc/init.d/authserver stop; echo "at once: $?"
while pgrep -f '^arenacap: watch' >/var/log/pids; do :; done
echo 4000000 >/run/authserver.pid # no such process
: >/var/log/authserver.log
/etc/init.d/authserver start && echo "the PID file: $(cat /run/authserver.pid)"
/etc/init.d/authserver status; echo "running: $?"
tail -n +1 -f /var/log/authserver.log &
read word </run/control/fifo
/etc/init.d/authserver stop; echo "stopped: $?"; /etc/init.d/authserver status; echo "status: $?"
kill $!`

func TestStartScript(t *testing.T) {
	podman := lab.NewPodman(t, lab.Debian)
	testenv.Need(t, "go", "gcc")
	dir := lab.Dir(t)
	arenacap, server := lab.Programs(t, dir)
	script, err := lab.Copy("authserver.init", dir)
	if err == nil {
		err = os.Chmod(script, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Two arenas besides the main one reserve 128 MiB, which exceeds a limit of 100 MiB. The three that the example's cap of 4
	// allows reserve 192 MiB, which does not exceed the example's limit of 256 MiB.
	policy, err := lab.Copy("policy.toml", dir, `"256MiB"`, `"100MiB"`, `interval = "1s"`, "interval = \"10ms\"\nbudget.settle = \"0s\"")
	if err != nil {
		t.Fatal(err)
	}
	ctx := lab.Within(t, 2*time.Minute)
	p, err := podman.Start(ctx, "daemon", "--tmpfs=/run/control",
		"--volume="+arenacap+":/usr/bin/arenacap:ro", "--volume="+server+":/usr/local/bin/authserver:ro",
		"--volume="+script+":/etc/init.d/authserver:ro", "--volume="+policy+":/etc/arenacap/policy.toml:ro",
		lab.Debian, "/bin/sh", "-c", "mkfifo /run/control/fifo\n"+boot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if _, err := p.AwaitText(ctx, "at once: 0"); err != nil {
		t.Fatal(err)
	}
	line, err := p.AwaitText(ctx, "the PID file: ")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(line, "the PID file: "))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"running: 0", `"event":"cap-verified"`} {
		if _, err := p.AwaitText(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := p.AwaitEvent(ctx, "started", ""); err != nil || e.Pid != pid {
		t.Errorf("%+v, %v; the PID file has %d", e, err, pid)
	}
	first := podman.Pid(ctx, t, "daemon")
	login(ctx, t, fmt.Sprintf("/proc/%d/root/run/authserver.sock", first))
	if e, err := p.AwaitEvent(ctx, "breach", "arenas"); err != nil || e.Pid != pid || e.Value != 128<<20 {
		t.Errorf("%+v, %v", e, err)
	}
	// WriteFile returns after the shell, the only reader of the FIFO, has opened it.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/root/run/control/fifo", first), []byte("stop\n"), 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"stopped: 0", "status: 3"} { // 3: not running (LSB)
		if _, err := p.AwaitText(ctx, want); err != nil {
			t.Error(err)
		}
	}
	if status, err := p.Wait(ctx); status != 0 || err != nil {
		t.Errorf("the container ended with %d, %v", status, err)
	}
}

// login makes two of the server's threads allocate. It retries the connection until the daemon accepts it, because the
// daemon's line "ready" goes to /dev/null.
func login(ctx context.Context, t *testing.T, socket string) {
	t.Helper()
	var conn net.Conn
	for err := errors.New("not yet"); err != nil; {
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", socket, err)
		}
		conn, err = new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	answers := bufio.NewScanner(conn)
	for range 2 {
		if _, err := fmt.Fprintln(conn, "login alice"); err != nil || !answers.Scan() || !strings.HasPrefix(answers.Text(), "ok ") {
			t.Fatalf("login: %v, %q", err, answers.Text())
		}
	}
}
