package watch

import (
	"slices"
	"testing"

	"arenacap/policy"
)

func TestExpand(t *testing.T) {
	values := placeholders(change{kind: eventBreach, metric: "virtual", value: 4509715660, limit: 4294967296}, subject{service: "{pid}", pid: 42})
	got := expand([]string{"x", "{pid}", "--of={service}:{event}", "{metric}={value}/{limit}", "{unknown} {}"}, values)
	want := []string{"x", "42", "--of={pid}:breach", "virtual=4509715660/4294967296", "{unknown} {}"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// What check accepts in a command is what a watch replaces there.
func TestPlaceholdersOfThePolicy(t *testing.T) {
	var names []string
	for name := range placeholders(change{}, subject{}) {
		names = append(names, name)
	}
	want := policy.Placeholders()
	slices.Sort(want)
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("a watch replaces %q, and the policy knows %q", names, want)
	}
}
