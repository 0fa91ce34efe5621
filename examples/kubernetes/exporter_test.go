package kubernetes_test

// These tests check the exporter: its alerts for the Prometheus operator, and its pod beside a server.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"arenacap/examples/internal/lab"
)

// TestRule: the operator's PrometheusRule contains the rules of examples/prometheus, unchanged. UPDATE=1 writes it.
func TestRule(t *testing.T) {
	rules, err := os.ReadFile("../prometheus/arenacap.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	want := "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: arenacap\n  namespace: arenacap\nspec:\n"
	for line := range strings.Lines(string(rules)) {
		if line != "\n" {
			want += "  "
		}
		want += line
	}
	const path = "components/monitor/rules.yaml"
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s differs from the rules of examples/prometheus (%v); UPDATE=1 go test -run TestRule writes it", path, err)
	}
}

// scraped is the path of a copy of the server in its image. The name of the copy is unique, because the exporter also sees the
// other servers on this machine.
var scraped = fmt.Sprintf("/usr/local/bin/server%d", os.Getpid())

// exporter checks that the exporter in the DaemonSet's pod sees the server in another pod, and that an exporter without the
// capabilities does not see that server.
func exporter(ctx context.Context, t *testing.T, podman *lab.Podman) {
	own, err := lab.Exporter(ctx, lab.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	arenacap, err := lab.Arenacap(lab.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	importImage(ctx, t, podman, "arenacap-exporter", map[string]string{"usr/local/bin/arenacap-exporter": own, "arenacap": arenacap})
	server := play(ctx, t, podman, "scraped", "variable.yaml", "/usr/local/bin/authserver", scraped)
	server.wantArenas(ctx, t, 2)
	if podman, err = podman.HostPIDs(); err != nil {
		t.Fatal(err)
	}

	p, series := scrape(ctx, t, podman, "exporter")
	status := lab.ProcFile(t, p.pid(ctx, t), "status")
	for _, want := range []string{"Uid:\t0\t0\t0\t0\n", "CapPrm:\t0000000000080004\n", "CapBnd:\t0000000000080004\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the exporter's status has no %q:\n%s", want, status)
		}
	}
	wantSeries(t, series, `arenacap_processes{group="auth"} 1`, `arenacap_uncapped_processes{group="auth"} 0`, `arenacap_arenas{group="auth"} 2`,
		`arenacap_cap{group="auth"} 2`, `arenacap_cap_kept{group="auth"} 1`,
		`arenacap_budget_limit_bytes{group="auth",metric="arenas"} 5.36870912e+08`)

	// README.md describes how to find the process that caused an alert. The test runs these commands.
	pid := fmt.Sprint(server.pid(ctx, t))
	if out, status, err := p.exec(ctx, "/arenacap ps"); status != 0 || err != nil || !regexp.MustCompile(`(?m)^ *`+pid+` .* `+filepath.Base(scraped)+`$`).MatchString(out) {
		t.Errorf("ps beside the exporter: %d, %v\n%s", status, err, out)
	}
	if out, status, err := p.exec(ctx, "/arenacap inspect "+pid); status != 0 || err != nil || !strings.Contains(out, "cap     2 (environment): kept") {
		t.Errorf("inspect beside the exporter: %d, %v\n%s", status, err, out)
	}

	// A percentage in the exporter's policy is a share of the memory limit of the exporter's own container.
	_, series = scrape(ctx, t, podman, "percent", `budget.arenas = "512MiB"`, `budget.resident = "50%"`)
	wantSeries(t, series, `arenacap_budget_limit_bytes{group="auth",metric="resident"} 6.7108864e+07`)

	const capabilities = "            add:\n            - SYS_PTRACE\n            - DAC_READ_SEARCH\n"
	if _, series = scrape(ctx, t, podman, "powerless", capabilities, ""); strings.Contains(series, `group="auth"`) || strings.Contains(series, "\narenacap_unreadable_processes 0\n") {
		t.Errorf("without the capabilities:\n%s", series)
	}
}

func wantSeries(t *testing.T, series string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(series, "\n"+want+"\n") {
			t.Errorf("no %s in:\n%s", want, series)
		}
	}
}

// scrape runs the exporter's manifest with podman kube play, and returns the exporter's pod and the series that the exporter
// reports. It edits the manifest first: podman 4.3 does not know the kind DaemonSet, and a port needs a network, which
// the pod does not have.
func scrape(ctx context.Context, t *testing.T, podman *lab.Podman, name string, edits ...string) (p pod, series string) {
	t.Helper()
	edits = append([]string{"kind: DaemonSet", "kind: Deployment", "  name: arenacap-exporter\n", "  name: " + name + "\n", "/usr/local/bin/authserver", scraped,
		"        ports:\n        - containerPort: 10664\n          name: metrics\n", ""}, edits...)
	file, err := lab.Copy("rendered/exporter.yaml", lab.Dir(t), edits...)
	if err != nil {
		t.Fatal(err)
	}
	p = start(ctx, t, podman, name, name+"-pod-0-exporter", file)
	if _, err := p.log.AwaitText(ctx, "Listening on"); err != nil {
		t.Fatal(err)
	}
	pid := p.pid(ctx, t)
	answer, err := exec.CommandContext(ctx, "nsenter", "--net", "--target", fmt.Sprint(pid), "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:10664/metrics").Output()
	if err != nil {
		t.Fatalf("%v; the log: %q", err, p.log.Lines())
	}
	return p, string(answer)
}
