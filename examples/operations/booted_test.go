//go:build booted

package operations_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/testenv"
)

// TestBootedOperations runs the page's commands in their order, in the container of .ci/systemd: /usr/bin/arenacap and
// arenacap-watch.service are there, and auth is a server that reports its readiness.
func TestBootedOperations(t *testing.T) {
	prepare(t)
	sessions := testenv.Sessions(page(t))
	if len(sessions) < 10 {
		t.Fatalf("the page has only %d commands", len(sessions))
	}
	for _, s := range sessions {
		run(t, s)
	}
}

// run runs a command once. It repeats "arenacap inspect" and "journalctl" for up to a minute until the output is the
// output in README.md, because a started program needs a moment until its exec, and the watch takes some samples before
// it reports a breach.
func run(t *testing.T, s testenv.Session) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, _ := exec.Command("bash", "-c", s.Command).CombinedOutput() // grep and journalctl may find nothing yet
		if s.Printed(string(out)) {
			return
		}
		if time.Now().After(end) || !looks(s.Command) {
			t.Fatalf("$ %s\nprinted:\n%s\nthe page has:\n%s", s.Command, out, s.Output())
		}
	}
}

func looks(command string) bool {
	return strings.HasPrefix(command, "arenacap inspect ") || strings.HasPrefix(command, "journalctl ")
}

// prepare writes the policy of README.md and the unit auth.service, and starts auth.service and the watch of the host
// (arenacap-watch.service).
func prepare(t *testing.T) {
	t.Helper()
	_, policy, _ := strings.Cut(page(t), "```toml\n")
	policy, _, _ = strings.Cut(policy, "```")
	for file, text := range map[string]string{
		"/etc/arenacap/policy.toml":        policy,
		"/etc/systemd/system/auth.service": "[Service]\nType=notify\nExecStart=/opt/lab/server /run/lab/auth notify\n",
		"/run/lab/empty":                   "",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"daemon-reload", "start auth arenacap-watch"} {
		if out, err := exec.Command("systemctl", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Fatalf("systemctl %s: %v\n%s", command, err, out)
		}
	}
}
