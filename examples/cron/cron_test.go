// Package cron_test runs the example's crontab under Debian's cron, in a container.
package cron_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// sendmail replaces the mail server: it prints cron's mail to cron's stderr, which is the container's.
const sendmail = "#!/bin/sh\n{ sed 's/^/mail: /'; echo mail ends; } >&2\n"

// start starts cron with the example's crontab, changed so that the job runs when cron starts.
func start(t *testing.T, report string, pairs ...string) (context.Context, *lab.Process) {
	t.Helper()
	podman := lab.NewPodman(t, lab.Debian)
	testenv.Need(t, "go", "/usr/sbin/cron")
	dir := lab.Dir(t)
	arenacap, err := lab.Arenacap(dir)
	if err != nil {
		t.Fatal(err)
	}
	crontab, err := lab.Copy("crontab", dir, "17 3 * * *", "@reboot")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := lab.Copy("policy.toml", dir, pairs...)
	if err != nil {
		t.Fatal(err)
	}
	ctx := lab.Within(t, 2*time.Minute)
	args := []string{"--tmpfs=/var/spool/cron/crontabs"}
	for place, file := range map[string]string{
		"/usr/sbin/cron":            "/usr/sbin/cron",
		"/etc/pam.d/cron":           "/etc/pam.d/cron",
		"/usr/bin/arenacap":         arenacap,
		"/etc/arenacap/policy.toml": policy,
		"/etc/cron.d/report":        crontab,
		"/usr/local/bin/report":     script(t, dir, "report", report),
		"/usr/sbin/sendmail":        script(t, dir, "sendmail", sendmail),
	} {
		args = append(args, "--volume="+file+":"+place+":ro")
	}
	p, err := podman.Start(ctx, "cron", append(args, lab.Debian, "/usr/sbin/cron", "-f")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return ctx, p
}

func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCapAndSilence: the job has the cap and cron's environment, and arenacap causes no mail.
func TestCapAndSilence(t *testing.T) {
	ctx, p := start(t, "#!/bin/sh\necho \"cap $MALLOC_ARENA_MAX, $LOGNAME, $(id -un)\"\n")
	for _, want := range []string{"mail: cap 4, nobody, nobody", "mail ends"} {
		if _, err := p.AwaitText(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range p.Lines() {
		if strings.HasPrefix(line, "mail: arenacap: ") {
			t.Errorf("said: %q", line)
		}
	}
}

// TestBreachIsMailed: a breach terminates the job, and arenacap's messages are in cron's mail.
func TestBreachIsMailed(t *testing.T) {
	const grow = "#!/usr/bin/perl\n$held = 'x' x (60 << 20); sleep 1000;\n"
	ctx, p := start(t, grow, `"2GiB"`, `"40MiB"`, "budget.settle", "budget.interval = \"10ms\"\nbudget.settle")
	for _, want := range []string{"breach: resident", "action: "} {
		if line, err := p.Await(ctx, want, func(line string) bool {
			return strings.HasPrefix(line, "mail: arenacap: ") && strings.Contains(line, want)
		}); err != nil {
			t.Fatal(err)
		} else {
			t.Log(line)
		}
	}
}
