//go:build booted

package prometheus_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
)

// These tests run the commands of README.md on a booted Debian that .ci/alerts has prepared: the packages and files
// that the first block installs are there already.

const bootedPrometheus = "127.0.0.1:9090"

// TestBootedReadme follows the README: the alert fires after the mistake, and resolves after it is mended. Only the times of
// Prometheus and of the rules are shorter.
func TestBootedReadme(t *testing.T) {
	ctx := lab.Within(t, 3*time.Minute)
	for file, pair := range map[string][2]string{"arenacap.rules.yml": {"for: 5m", "for: 5s"}, "prometheus.yml": {"interval: 15s", "interval: 1s"}} {
		if _, err := lab.Copy(file, ".", pair[:]...); err != nil {
			t.Fatal(err)
		}
	}
	_, start, watch, collect, mistake, mend := readmeBlocks(t)
	for _, block := range []string{start, watch, collect} {
		runBlock(ctx, t, block)
	}
	awaitReady(ctx, t)
	if await(ctx, t, bootedPrometheus, "count(arenacap_cap_kept == 1) == 3") == nil {
		t.Fatalf("the caps of the three services are not seen as kept\n%s", output(ctx, "arenacap", "ps"))
	}
	awaitFiring(ctx, t)
	runBlock(ctx, t, mistake)
	awaitFiring(ctx, t, "ArenacapUncapped memcached")
	runBlock(ctx, t, mend)
	awaitFiring(ctx, t)
}

// readmeBlocks returns the README's six blocks of commands.
func readmeBlocks(t *testing.T) (install, start, watch, collect, mistake, mend string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```$").FindAllStringSubmatch(string(text), -1)
	if len(found) != 6 {
		t.Fatalf("README.md has %d blocks of commands, want 6", len(found))
	}
	return found[0][1], found[1][1], found[2][1], found[3][1], found[4][1], found[5][1]
}

// runBlock runs commands in the top folder of the sources.
func runBlock(ctx context.Context, t *testing.T, commands string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", commands)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// awaitReady waits until Prometheus answers.
func awaitReady(ctx context.Context, t *testing.T) {
	t.Helper()
	for ctx.Err() == nil {
		response, err := http.Get("http://" + bootedPrometheus + "/-/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("Prometheus is not ready\n%s", output(ctx, "journalctl", "-u", "prometheus"))
}

// awaitFiring waits until exactly these alerts are firing, each with its group.
func awaitFiring(ctx context.Context, t *testing.T, want ...string) {
	t.Helper()
	var firing []string
	for ctx.Err() == nil {
		var data struct {
			Alerts []struct {
				State  string
				Labels struct{ Alertname, Group string }
			}
		}
		ask(t, bootedPrometheus, "alerts", nil, &data)
		firing = nil
		for _, a := range data.Alerts {
			if a.State == "firing" {
				firing = append(firing, a.Labels.Alertname+" "+a.Labels.Group)
			}
		}
		if slices.Equal(firing, want) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("firing: %q, want %q\n%s", firing, want, output(context.Background(), "arenacap", "ps"))
}

// output is what a command prints, for the message of a failure.
func output(ctx context.Context, command ...string) string {
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return strings.Join(command, " ") + ": " + err.Error()
	}
	return string(out)
}
