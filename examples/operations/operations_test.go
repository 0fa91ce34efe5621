// Package operations_test compares the page README.md with the alerts, with the headings to which the alerts' runbooks
// point, and with the events. On a booted systemd (.ci/systemd) it runs the page's commands.
package operations_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func page(t *testing.T) string { return text(t, "README.md") }

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// matches returns the first group of all matches, sorted, each once.
func matches(text, pattern string) []string {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// The page has a heading for every alert, the alert's runbook ends with a link to that heading, and the page names no alert
// that does not exist.
func TestAlerts(t *testing.T) {
	rules := text(t, "../prometheus/arenacap.rules.yml")
	alerts := matches(rules, `- alert: (\w+)`)
	if len(alerts) < 5 {
		t.Fatalf("the rules have only %q", alerts)
	}
	if got := matches(page(t), `(?m)^### (.+)$`); !slices.Equal(got, alerts) {
		t.Errorf("the page's headings are\n%q, the alerts\n%q", got, alerts)
	}
	if got := matches(page(t), `\b(Arenacap\w+)`); !slices.Equal(got, alerts) {
		t.Errorf("the page names\n%q, the alerts are\n%q", got, alerts)
	}
	for _, rule := range strings.Split(rules, "- alert: ")[1:] {
		name, rest, _ := strings.Cut(rule, "\n")
		if runbook := matches(rest, `runbook: (".*")`); len(runbook) != 1 || !strings.HasSuffix(runbook[0], " More: examples/operations#"+strings.ToLower(name)+`"`) {
			t.Errorf("the runbook of %s does not end with its heading: %q", name, runbook)
		}
	}
}

// The table has every event of arenacap-events(7). A test of package watch compares that page with the code.
func TestEvents(t *testing.T) {
	events := matches(text(t, "../../launcher/watch/arenacap-events.7"), `(?m)^\.It Ic (.+)$`)
	_, table, _ := strings.Cut(page(t), "\n## Events\n")
	var got, want []string
	for _, row := range matches(table, "(?m)^\\| (`.*`) \\|") {
		got = append(got, matches(row, "`([a-z-]+)`")...)
	}
	for _, line := range events {
		want = append(want, strings.Fields(strings.ReplaceAll(line, ",", " "))...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the page's table has\n%q, the manual\n%q", got, want)
	}
}
