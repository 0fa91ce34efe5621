package watch

// This test checks the manual page arenacap-events(7).

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/watch/budget"
	"arenacap/policy"
)

// TestManual checks that the page describes exactly the events and JSON keys that the code writes, and the placeholders
// and variables of a command.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("arenacap-events.7")
	must(t, err)
	var variables []string
	for _, entry := range environment(Config{Service: "s", PolicyFile: "/p"}, nil) {
		if name, _, _ := strings.Cut(entry, "="); name != "PATH" {
			variables = append(variables, name)
		}
	}
	var replaced []string
	for name := range placeholders(budget.Change{}, subject{}) {
		replaced = append(replaced, "{"+name+"}")
	}
	for what, want := range map[string][]string{"Ic": eventNames(t), "Cm": memberNames(t), "Li": replaced, "Ev": variables} {
		got := items(string(text), what)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("the page's items .It %s are\n%q, the code has\n%q", what, got, want)
		}
	}
}

// items returns, sorted, the words of the lines ".It KIND word , word", and the words of the lines ".Cm word", which name
// nested members.
func items(page, kind string) []string {
	words := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\.(?:It )?`+kind+` (.+)$`).FindAllStringSubmatch(page, -1) {
		for word := range strings.FieldsSeq(m[1]) {
			if !strings.Contains(",.:", word) {
				words[word] = true
			}
		}
	}
	delete(words, "PATH")
	return slices.Sorted(maps.Keys(words))
}

// eventNames reads the constants of event.go and budget/state.go, so that a new one cannot be forgotten here.
func eventNames(t *testing.T) (names []string) {
	for _, file := range []string{"event.go", "budget/state.go"} {
		source, err := os.ReadFile(file)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?m)^\t(?:event\w+|Warning|Breach|Recovered) += "(.+)"$`).FindAllStringSubmatch(string(source), -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// memberNames returns the JSON keys of all events. It fails unless every kind of event is among its samples.
func memberNames(t *testing.T) []string {
	c := budget.Change{Kind: eventBreach, Metric: "virtual", Value: 2, Limit: 1}
	warning := c
	warning.Kind = eventWarning
	kinds, names := map[string]bool{}, map[string]bool{}
	for _, e := range []event{
		started(Config{Limits: []policy.Limit{{Metric: "virtual", Bytes: 1}}}), exceeded(warning, 1, advised{}, grown), exceeded(c, 1, advised{}, attribute("data", breakdown{}, of(part{"arenas", 1, 1, 1, 1}))),
		exceeded(c, 1, advised{}, attribute("resident", breakdown{}, of(part{"arenas", 1, 1, 1, 1}))), recovered(c),
		acted(c, "signal", "SIGUSR1", 1, "", false), capJudged(1, 1, 2), capJudged(1, 2, 1).of(1, "x"), holdsMore(1, "x", 2, 1), gap(2, 1), linesLost(1),
		watchFailed(""), exited(Outcome{}, 0, true), watchEnded(Outcome{}, 0, ""),
	} {
		kinds[e.kind] = true
		var members any
		must(t, json.Unmarshal(e.line("json", someTime, subject{}), &members))
		keys(members, names)
	}
	wantEachKind(t, kinds)
	return slices.Collect(maps.Keys(names))
}

// wantEachKind checks that a test has a sample of each kind of event.
func wantEachKind(t *testing.T, tested map[string]bool) {
	t.Helper()
	if got, want := slices.Sorted(maps.Keys(tested)), slices.Sorted(slices.Values(eventNames(t))); !slices.Equal(got, want) {
		t.Errorf("samples of %q, but the events are %q", got, want)
	}
}

// keys adds the keys of a JSON value and of the values in it.
func keys(value any, names map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			names[name] = true
			keys(member, names)
		}
	case []any:
		for _, member := range value {
			keys(member, names)
		}
	}
}
