package watch

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/watch/budget"
	"arenacap/policy"
)

func TestExpand(t *testing.T) {
	values := placeholders(budget.Change{Kind: eventBreach, Metric: "virtual", Value: 4509715660, Limit: 4294967296}, subject{service: "{pid}", pid: 42})
	got := expand([]string{"x", "{pid}", "--of={service}:{event}", "{metric}={value}/{limit}", "{unknown} {}"}, values)
	want := []string{"x", "42", "--of={pid}:breach", "virtual=4509715660/4294967296", "{unknown} {}"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// The placeholders that policy.Check accepts in a command are exactly those that a watch replaces.
func TestPlaceholdersOfThePolicy(t *testing.T) {
	names := slices.Sorted(maps.Keys(placeholders(budget.Change{}, subject{})))
	file := filepath.Join(t.TempDir(), "policy.toml")
	for word, want := range map[string][]string{"{" + strings.Join(names, "}{") + "}": nil, "{unknown}": names} {
		must(t, os.WriteFile(file, []byte(`budget.command = ["/bin/sh", "`+word+`"]`), 0o600))
		var known []string
		for _, err := range policy.Check(file) {
			_, list, _ := strings.Cut(err.Error(), "the placeholders are ")
			list, _, _ = strings.Cut(list, " |")
			known = strings.Split(strings.Trim(list, "{}"), "}, {")
		}
		if slices.Sort(known); !slices.Equal(known, want) {
			t.Errorf("%s: a watch replaces %q, but package policy accepts %q", word, names, known)
		}
	}
}
