package version

import (
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestCommit(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for want, settings := range map[string][]debug.BuildSetting{
		"":                          nil,
		" (0123456789ab)":           {setting("vcs.revision", "0123456789abcdef0123"), setting("vcs.modified", "false")},
		" (0123456789ab, modified)": {setting("vcs.modified", "true"), setting("vcs.revision", "0123456789abcdef0123")},
		" (0123)":                   {setting("vcs.revision", "0123")},
	} {
		if got := commit(&debug.BuildInfo{Settings: settings}); got != want {
			t.Errorf("%v: %q, want %q", settings, got, want)
		}
	}
	if got := commit(nil); got != "" {
		t.Errorf("without build information: %q", got)
	}
}

func TestText(t *testing.T) {
	if got := Text(); !regexp.MustCompile(`^\d+\.\d+\.\d+( \(.+\))? go\S+ \w+/\w+$`).MatchString(got) {
		t.Errorf("%q", got)
	}
}

// TestChangelog checks that the changelog's newest section is that of this version.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, changes, _ := strings.Cut(string(text), "\n## Changelog\n")
	if !strings.HasPrefix(strings.TrimSpace(changes), "### "+Number) {
		t.Errorf("the changelog does not begin with ### %s", Number)
	}
}
