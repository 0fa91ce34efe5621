// Package ansible_test compares the example's README.md with its role. .ci/ansible runs the plays.
package ansible_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// README.md lists exactly the variables for which the role has defaults.
func TestPageHasTheVariables(t *testing.T) {
	page := names(t, "README.md", "(?m)^\\| .*", "`(arenacap_[a-z_]+)`")
	role := names(t, "roles/arenacap/defaults/main.yml", "(?s).+", "(?m)^([a-z_]+):")
	if len(role) == 0 || !slices.Equal(page, role) {
		t.Errorf("the page has %q, the role %q", page, role)
	}
}

// names finds the parts of a file that match the pattern part. In these parts it finds the names that match the pattern name,
// and returns them sorted.
func names(t *testing.T, file, part, name string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range regexp.MustCompile(part).FindAllString(string(text), -1) {
		for _, m := range regexp.MustCompile(name).FindAllStringSubmatch(p, -1) {
			all = append(all, m[1])
		}
	}
	slices.Sort(all)
	return all
}
