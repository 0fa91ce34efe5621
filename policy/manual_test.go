package policy

// These tests check the manual page arenacap.toml(5).

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestManualKeys checks that the page has exactly the keys of every table, in any order, each with a valid example.
func TestManualKeys(t *testing.T) {
	text, err := os.ReadFile("arenacap.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	item := regexp.MustCompile(`(?ms)^\.It Ic (\w+)\n.*?^\.Dl (.*?)$`)
	documented := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n.Ss The table ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		body, _, _ = strings.Cut(body, "\n.Ss ")
		for _, m := range item.FindAllStringSubmatch(body, -1) {
			documented[name] = append(documented[name], m[1])
			tryExample(t, name, m[1], strings.NewReplacer(`\(dq`, `"`, `\-`, "-").Replace(m[2]))
		}
		if n := strings.Count(body, ".It Ic "); n != len(documented[name]) {
			t.Errorf("[%s] has %d keys, %d with an example", name, n, len(documented[name]))
		}
	}
	for _, table := range tables {
		want := keyNames(table.name)
		slices.Sort(want)
		slices.Sort(documented[table.name])
		if !slices.Equal(want, documented[table.name]) {
			t.Errorf("[%s] of the page has %q, the code %q", table.name, documented[table.name], want)
		}
	}
	if len(documented) != len(tables) {
		t.Errorf("the page has %d tables, the code %d", len(documented), len(tables))
	}
}

// alsoNeeded has the further settings without which an example would be invalid.
var alsoNeeded = map[string]string{
	"signal":  `budget.action = "signal"`,
	"hard":    `budget.virtual = "1GiB"`,
	"timeout": `budget.command = ["/bin/true"]`,
}

func tryExample(t *testing.T, table, key, example string) {
	t.Helper()
	if !strings.HasPrefix(example, key+" = ") {
		t.Errorf("the example of %s is %q", key, example)
	}
	document, service := alsoNeeded[key]+"\n"+table+"."+example, ""
	if table == "match" {
		document, service = "service.x."+table+"."+example, "x"
	}
	mustRead(t, document, service)
}

// TestStarter checks that the policy file of a new installation means the same as the built-in policy, and shows every
// key, except those of [match], with a valid value.
func TestStarter(t *testing.T) {
	text, err := os.ReadFile("starter.toml")
	if err != nil {
		t.Fatal(err)
	}
	got, want := mustRead(t, string(text), ""), Builtin()
	got.File, want.File = "", ""
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the starter is %+v, the built-in policy %+v", got, want)
	}
	shown := regexp.MustCompile(`(?m)^#((\w+(?:\.\w+)?) += .*|\[.*)$`)
	for _, table := range tables {
		if table.name == "match" {
			continue
		}
		_, body, _ := strings.Cut(string(text), "\n["+table.name+"]\n")
		body, _, _ = strings.Cut(body, "\n\n")
		var keys []string
		for _, m := range shown.FindAllStringSubmatch(body, -1) {
			keys = append(keys, m[2])
		}
		if !slices.Equal(keys, keyNames(table.name)) {
			t.Errorf("[%s] of the starter has %q, the code %q", table.name, keys, keyNames(table.name))
		}
	}
	mustRead(t, strings.Replace(shown.ReplaceAllString(string(text), "$1"), `"report" `, `"signal" `, 1), "example")
}
