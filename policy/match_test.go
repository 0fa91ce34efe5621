package policy

import (
	"slices"
	"strings"
	"testing"
)

// Services returns the services in the order of the file, however their tables are written.
func TestServices(t *testing.T) {
	const text = `
service."z@1" = { match = { unit = "z@1.service" } }
[service.b.budget]
virtual = "1GiB"
[service.a]
match.user = "hdfs"
[service.b.match]
name = "java"
[budget]
resident = "2GiB"
`
	all, err := Lookup{Named: write(t, t.TempDir()+"/p.toml", text)}.Services()
	if err != nil {
		t.Fatal(err)
	}
	var names, matches []string
	for _, p := range all {
		names, matches = append(names, p.Service), append(matches, p.Match.String())
		if p.Budget.Limits[slices.Index(Metrics(), "resident")].Bytes != 2*gib || !p.Section {
			t.Errorf("service %q: %+v", p.Service, p)
		}
	}
	if got, want := strings.Join(names, " "), "z@1 b a"; got != want {
		t.Errorf("the services are %s, want %s", got, want)
	}
	if got, want := strings.Join(matches, "; "), `unit "z@1.service"; name "java"; user "hdfs"`; got != want {
		t.Errorf("they match %s, want %s", got, want)
	}
	plan, err := all[1].Resolve(Machine{Affinity: Reading[int]{N: 2}})
	if err != nil || !slices.Contains(plan.Reasons, `watch --services finds the processes of this service by name "java"`) {
		t.Errorf("%v, %q", err, plan.Reasons)
	}
	if _, err := (Lookup{Named: write(t, t.TempDir()+"/p.toml", "service.a.match.unit = 1")}).Services(); err == nil {
		t.Error("a mistake is no error")
	}
}
