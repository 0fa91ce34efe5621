package watch

// The manual page arenacap-events(7).

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"arenacap/policy"
)

// TestManual holds that the page has what the code writes, and nothing else.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("arenacap-events.7")
	must(t, err)
	var variables []string
	for _, entry := range environment(Config{Service: "s", PolicyFile: "/p"}, nil) {
		if name, _, _ := strings.Cut(entry, "="); name != "PATH" {
			variables = append(variables, name)
		}
	}
	var placeholders []string
	for _, name := range policy.Placeholders() {
		placeholders = append(placeholders, "{"+name+"}")
	}
	for what, want := range map[string][]string{"Ic": eventNames(t), "Cm": memberNames(), "Li": placeholders, "Ev": variables} {
		got := items(string(text), what)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("the page's items .It %s are\n%q, the code has\n%q", what, got, want)
		}
	}
}

// items returns the words of the lines ".It KIND word , word", and those of lines ".Cm word" for nested members, sorted.
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

// eventNames reads the constants of event.go, so that a new one cannot be forgotten here.
func eventNames(t *testing.T) (names []string) {
	source, err := os.ReadFile("event.go")
	must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\tevent\w+ += "(.+)"$`).FindAllStringSubmatch(string(source), -1) {
		names = append(names, m[1])
	}
	return names
}

// memberNames returns the JSON keys of all events.
func memberNames() (names []string) {
	for _, body := range []any{head{}, about{}, startedBody{}, limitMember{}, causeBody{}, attribution{}, part{}, recoveredBody{}, actionBody{},
		capBody{}, other{}, gapBody{}, logFailedBody{}, seenBody{}} {
		kind := reflect.TypeOf(body)
		for i := range kind.NumField() {
			if name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ","); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}
