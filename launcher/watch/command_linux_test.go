package watch

import (
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	values := placeholders(change{kind: eventBreach, metric: "virtual", value: 4509715660, limit: 4294967296}, subject{service: "{pid}", pid: 42})
	got := expand([]string{"x", "{pid}", "--of={service}:{event}", "{metric}={value}/{limit}", "{unknown} {}"}, values)
	want := []string{"x", "42", "--of={pid}:breach", "virtual=4509715660/4294967296", "{unknown} {}"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
