package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each key of the tables is parsed, is suggested for a misspelling and for the wrong case, is assigned to its table if
// it stands outside a table, and is in README.md of this folder.
func TestEveryKey(t *testing.T) {
	manual, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, key := range keyNames(table.name) {
			t.Run(table.name+"."+key, func(t *testing.T) {
				found := problemsOf(t, table.name+"."+key+" = 1979-05-27") // no key accepts a date
				if len(found) != 1 || strings.Contains(found[0].Message, "unknown") {
					t.Errorf("it is not read: %v", found)
				}
				if hint := hintOf(t, table.name+"."+key+"x"); hint != "did you mean \""+key+"\"?" {
					t.Errorf("%sx: %s", key, hint)
				}
				if hint, upper := hintOf(t, table.name+"."+strings.ToUpper(key)), "write the key in lower case: \""+key+"\""; hint != upper {
					t.Errorf("in upper case: %s", hint)
				}
				if !slices.Contains(tableNames(), key) { // arenas is a table and a limit
					if hint := hintOf(t, key); hint != "the key \""+key+"\" belongs in ["+table.name+"]" {
						t.Errorf("outside a table: %s", hint)
					}
				}
				if !regexp.MustCompile(`(?m)(^|` + "`" + `|\s)` + key + ` += `).Match(manual) {
					t.Error("README.md does not have it")
				}
			})
		}
	}
}

func hintOf(t *testing.T, setting string) string {
	t.Helper()
	found := problemsOf(t, setting+" = 1979-05-27")
	if len(found) != 1 || !strings.HasPrefix(found[0].Message, "unknown key") {
		t.Fatalf("%s: %v", setting, found)
	}
	return found[0].Hint
}
