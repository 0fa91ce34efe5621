// Package prometheus_test checks the example's alerts and its dashboard, and compares what a real Prometheus has scraped with
// arenacap inspect. This file has the scenario and the values, dashboard_test.go the dashboard.
package prometheus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

func TestAlerts(t *testing.T) {
	testenv.Need(t, "promtool")
	for _, line := range []string{
		"check rules arenacap.rules.yml",
		"check config prometheus.yml",
		"test rules arenacap.rules.test.yml",
	} {
		if out, err := exec.Command("promtool", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v: %s", line, err, out)
		}
	}
}

// Each alert has a runbook, a row in the README, and a case in which it fires.
func TestRunbooks(t *testing.T) {
	var texts [3]string
	for i, file := range []string{"arenacap.rules.yml", "README.md", "arenacap.rules.test.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	alerts := strings.Split(texts[0], "- alert: ")[1:]
	for _, alert := range alerts {
		name, body, _ := strings.Cut(alert, "\n")
		if !strings.Contains(body, "\n          runbook: ") || !strings.Contains(texts[1], "`"+name+"`") || !strings.Contains(texts[2], `{alertname="`+name+`"`) {
			t.Errorf("%s lacks a runbook, a row or a case", name)
		}
	}
	if len(alerts) < 9 {
		t.Errorf("%d alerts", len(alerts))
	}
}

// The unit's filter allows the system calls by which the exporter reads the memory of processes. It forbids ptrace(2),
// process_vm_writev(2) and pidfd_getfd(2), with which CAP_SYS_PTRACE would let the exporter change a process. A line with "~"
// forbids calls that the lines before it allow (systemd.exec(5)).
func TestUnitFilter(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	unit, err := os.ReadFile("arenacap-exporter.service")
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for i, m := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		if i == 0 && m[1] != "" {
			t.Fatalf("the filter forbids calls and allows the others: %s", m[0])
		}
		for _, name := range systemCalls(t, strings.Fields(m[2])) {
			allowed[name] = m[1] == ""
		}
	}
	for name, want := range map[string]bool{"read": true, "process_vm_readv": true, "ptrace": false, "process_vm_writev": false, "pidfd_getfd": false} {
		if allowed[name] != want {
			t.Errorf("%s: allowed is %v, want %v", name, allowed[name], want)
		}
	}
}

// systemCalls replaces sets of system calls ("@system-service") with their members.
func systemCalls(t *testing.T, names []string) (calls []string) {
	t.Helper()
	for _, name := range names {
		if !strings.HasPrefix(name, "@") {
			calls = append(calls, name)
			continue
		}
		out, err := exec.Command("systemd-analyze", "syscall-filter", name).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for line := range strings.Lines(string(out)) {
			if member := strings.TrimSpace(line); strings.HasPrefix(line, " ") && !strings.HasPrefix(member, "#") {
				calls = append(calls, systemCalls(t, []string{member})...)
			}
		}
	}
	return calls
}

var listening = regexp.MustCompile(`address=(127\.0\.0\.1:\d+)`)

// startExporter starts the exporter on a free port and returns its address.
func startExporter(ctx context.Context, t *testing.T, dir string, flags ...string) string {
	t.Helper()
	path, err := lab.Exporter(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := lab.Start(exec.CommandContext(ctx, path, append(flags, "--web.listen-address", "127.0.0.1:0")...), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	line, err := p.Await(ctx, "address=", listening.MatchString)
	if err != nil {
		t.Fatal(err)
	}
	return listening.FindStringSubmatch(line)[1]
}

// startPrometheus starts Prometheus with the example's files and returns its address. Prometheus cannot choose a free
// port itself. If another process takes the port before Prometheus does, startPrometheus tries another port.
func startPrometheus(ctx context.Context, t *testing.T, dir, target string) string {
	t.Helper()
	config, err := lab.Copy("prometheus.yml", dir, "127.0.0.1:10664", target, "scrape_interval: 15s", "scrape_interval: 2s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Copy("arenacap.rules.yml", dir); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		address := freeAddress(t)
		p, err := lab.Start(exec.CommandContext(ctx, "prometheus", "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		if _, err = p.AwaitText(ctx, "Server is ready to receive web requests"); err == nil {
			return address
		}
		t.Log(err)
	}
	t.Fatal("Prometheus does not start")
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ask gets the data of an API of Prometheus.
func ask(t *testing.T, address, api string, parameters url.Values, data any) {
	t.Helper()
	response, err := http.Get("http://" + address + "/api/v1/" + api + "?" + parameters.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s %v: %v %s", api, parameters, err, answer.Error)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		t.Fatal(err)
	}
}

// query asks Prometheus for the values of an expression.
func query(t *testing.T, address, expr string) (values []float64) {
	t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	ask(t, address, "query", url.Values{"query": {expr}}, &data)
	for _, r := range data.Result {
		value, err := strconv.ParseFloat(r.Value[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	return values
}

// await repeats a query until it has values, because Prometheus scrapes only every few seconds. It returns nil if ctx
// ends first.
func await(ctx context.Context, t *testing.T, address, expr string) []float64 {
	t.Helper()
	for ctx.Err() == nil {
		if values := query(t, address, expr); len(values) > 0 {
			return values
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// TestPrometheus starts an idle server with a watch of its budgets, the exporter and Prometheus.
func TestPrometheus(t *testing.T) {
	testenv.Need(t, "go", "gcc", "prometheus")
	dir := lab.Dir(t)
	arenacap, server := lab.Programs(t, dir)
	policy, state := filepath.Join(dir, "policy.toml"), filepath.Join(dir, "watch.json")
	text := fmt.Sprintf(`log.format = "json"
[service.auth]
match.exe = %q
budget = {virtual = "64GiB", arenas = "8GiB", growth = "64GiB", resident = "1MiB", settle = "0s", interval = "100ms"}
`, server)
	if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := lab.Within(t, 4*time.Minute)
	a := startServer(ctx, t, server)
	watch, err := lab.Start(exec.CommandContext(ctx, arenacap, "watch", "--services", "--policy", policy, "--state", state), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watch.Kill)
	if _, err := watch.AwaitEvent(ctx, "breach", "resident"); err != nil {
		t.Fatal(err)
	}
	prometheus := startPrometheus(ctx, t, dir, startExporter(ctx, t, dir, "--policy", policy, "--state", state))
	t.Run("values", func(t *testing.T) { testValues(ctx, t, prometheus, arenacap, a) })
	t.Run("dashboard", func(t *testing.T) { testQueries(ctx, t, prometheus) })
	t.Run("browser", func(t *testing.T) { testGraphs(ctx, t, prometheus) })
}

// startServer starts the server of the scenario with a cap, and 8 sessions in its arenas.
func startServer(ctx context.Context, t *testing.T, program string) *lab.AuthServer {
	t.Helper()
	a, err := lab.StartAuthServer(ctx, program, nil, "MALLOC_ARENA_MAX=3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Kill)
	for range 8 {
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// testValues compares the values in Prometheus with those of inspect and malloc_info(3).
func testValues(ctx context.Context, t *testing.T, prometheus, arenacap string, a *lab.AuthServer) {
	report, err := a.Report()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, arenacap, "inspect", "--json", strconv.Itoa(a.Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var inspected []map[string]any
	if err := json.Unmarshal(out, &inspected); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		`arenacap_processes{group="auth"}`: 1, `arenacap_uncapped_processes{group="auth"}`: 0, `arenacap_cap{group="auth"}`: 3,
		`arenacap_cap_kept{group="auth"}`: 1, `arenacap_arenas{group="auth"}`: float64(report.Arenas),
		`arenacap_budget_limit_bytes{group="auth",metric="arenas"}`: 8 << 30,
		`arenacap_breaches_total{group="auth",metric="resident"}`:   1, `arenacap_breaches_total{group="auth",metric="arenas"}`: 0,
	}
	for _, key := range []string{"arena_reserved_bytes", "arena_committed_bytes", "arena_resident_bytes", "virtual_bytes"} {
		want["arenacap_"+key+`{group="auth"}`] = inspected[0][key].(float64)
	}
	want[`arenacap_budget_used_bytes{group="auth",metric="virtual"}`] = inspected[0]["virtual_bytes"].(float64)
	want[`arenacap_budget_used_bytes{group="auth",metric="arenas"}`] = inspected[0]["arena_reserved_bytes"].(float64)
	for expr, value := range want {
		if got := await(ctx, t, prometheus, expr); !slices.Equal(got, []float64{value}) {
			t.Errorf("%s is %v, want %v", expr, got, value)
		}
	}
	if got := query(t, prometheus, `{job="arenacap",pid=~".+"}`); len(got) > 0 {
		t.Errorf("%d series have a PID", len(got))
	}
}
