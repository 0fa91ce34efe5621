package prometheus_test

// These tests check the dashboard: its structure, and its queries against the Prometheus of the scenario.

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/testenv"
)

// dashboard holds what the tests read of Grafana's dashboard JSON.
type dashboard struct {
	Title         string
	SchemaVersion int
	Templating    struct{ List []variable }
	Panels        []panel
}

type variable struct {
	Name, Type, Definition string
	Query                  any
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ Expr, LegendFormat, RefID string }
}

func readDashboard(t *testing.T) (d dashboard, tree any) {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []any{&d, &tree} {
		if err := json.Unmarshal(text, to); err != nil {
			t.Fatal(err)
		}
	}
	return d, tree
}

// schemaVersion is the version of the dashboard format that Grafana 12 writes. It is the last version of this format
// (grafana: apps/dashboard/pkg/migration/schemaversion).
const schemaVersion = 42

func TestDashboard(t *testing.T) {
	d, tree := readDashboard(t)
	if d.Title == "" || d.SchemaVersion != schemaVersion || len(d.Panels) == 0 {
		t.Errorf("title %q, schema %d, %d panels", d.Title, d.SchemaVersion, len(d.Panels))
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Type+" "+v.Name)
	}
	if want := []string{"datasource datasource", "query instance", "query group"}; !slices.Equal(names, want) {
		t.Errorf("variables %q, want %q", names, want)
	}
	checkSources(t, "", tree)
	for i, p := range d.Panels {
		p.check(t)
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q overlaps %q", p.Title, other.Title)
			}
			if p.ID == other.ID || p.Title == other.Title {
				t.Errorf("%q has the ID or the title of %q", p.Title, other.Title)
			}
		}
	}
}

// gridWidth is the number of columns of Grafana's grid.
const gridWidth = 24

func (p panel) check(t *testing.T) {
	t.Helper()
	g := p.GridPos
	if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > gridWidth {
		t.Errorf("%q is at %+v", p.Title, g)
	}
	if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
		t.Errorf("panel %d lacks a title, a description, a unit or a query: %+v", p.ID, p)
	}
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if q.Expr == "" || q.RefID == "" || refs[q.RefID] {
			t.Errorf("%q: query %+v", p.Title, q)
		}
		refs[q.RefID] = true
	}
}

// checkSources tests that every data source is the dashboard's variable "datasource", and that each panel and each query has a
// data source.
func checkSources(t *testing.T, path string, node any) {
	switch node := node.(type) {
	case []any:
		for _, n := range node {
			checkSources(t, path+"[]", n)
		}
	case map[string]any:
		source, present := node["datasource"]
		if of, _ := source.(map[string]any); present && (of["uid"] != "${datasource}" || of["type"] != "prometheus" || len(of) != 2) {
			t.Errorf("%s: data source %v", path, source)
		}
		if !present && (path == "/panels[]" || path == "/panels[]/targets[]") {
			t.Errorf("%s without a data source: %v", path, node)
		}
		for name, n := range node {
			checkSources(t, path+"/"+name, n)
		}
	}
}

// testQueries runs the query of each variable once, and the queries of the panels until each has returned data.
func testQueries(ctx context.Context, t *testing.T, prometheus string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d, _ := readDashboard(t)
	substitute := d.substitutes(ctx, t, prometheus)
	type pending struct{ title, expr string }
	var empty []pending
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			empty = append(empty, pending{p.Title, substitute(q.Expr)})
		}
	}
	for len(empty) > 0 && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond) // data comes after seconds: Prometheus scrapes every 2 s, and increase() needs two scrapes
		empty = slices.DeleteFunc(empty, func(p pending) bool { return len(query(t, prometheus, p.expr)) > 0 })
	}
	for _, p := range empty {
		t.Errorf("panel %q has no data: %s", p.title, p.expr)
	}
}

// substitutes returns a function that replaces the dashboard's variables in an expression, as Grafana does: by the
// exporter's instance and the service's group. The query of each variable must return the value that is chosen for it.
// The ranges are long enough for a scrape interval of 2 s.
func (d dashboard) substitutes(ctx context.Context, t *testing.T, prometheus string) func(expr string) string {
	t.Helper()
	if await(ctx, t, prometheus, `arenacap_processes{group="auth"}`) == nil {
		t.Fatal("Prometheus has no series of the service")
	}
	pairs := []string{"$__rate_interval", "1m", "$__range", "1h"}
	for _, v := range d.Templating.List[1:] {
		call := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Definition)
		if query, _ := v.Query.(map[string]any); call == nil || query["query"] != v.Definition {
			t.Fatalf("variable %q: %+v", v.Name, v)
		}
		var values []string
		ask(t, prometheus, "label/"+call[2]+"/values", url.Values{"match[]": {strings.NewReplacer(pairs...).Replace(call[1])}}, &values)
		chosen := "auth"
		if v.Name == "instance" && len(values) > 0 {
			chosen = values[0]
		}
		if !slices.Contains(values, chosen) {
			t.Fatalf("variable %q has the values %q", v.Name, values)
		}
		pairs = append(pairs, "$"+v.Name, chosen)
	}
	return strings.NewReplacer(pairs...).Replace
}

// testGraphs draws some of the queries in a page of Prometheus itself. ARENACAP_SCREENSHOTS=FOLDER keeps a picture of it.
func testGraphs(ctx context.Context, t *testing.T, prometheus string) {
	testenv.Need(t, "chromium")
	d, _ := readDashboard(t)
	substitute := d.substitutes(ctx, t, prometheus)
	page := "http://" + prometheus + "/graph?"
	drawn := []string{"Virtual size", "Arenas per process, and cap", "Budgets: used"}
	for i, title := range drawn {
		found := slices.IndexFunc(d.Panels, func(p panel) bool { return p.Title == title })
		if found < 0 {
			t.Fatalf("no panel %q", title)
		}
		prefix := "&g" + string(rune('0'+i)) + "."
		page += prefix + "tab=0" + prefix + "range_input=2m" + prefix + "expr=" + url.QueryEscape(substitute(d.Panels[found].Targets[0].Expr))
	}
	// Virtual time stands still while the page waits for Prometheus, so a slow machine does not matter.
	const drawing = "--virtual-time-budget=10000"
	profile := t.TempDir()
	dom := string(testenv.Chromium(t, profile, drawing, "--dump-dom", page))
	graphs := regexp.MustCompile(`(?s)class="graph rickshaw_graph".*?class="legend`).FindAllString(dom, -1)
	if len(graphs) != len(drawn) {
		t.Fatalf("%d graphs, want %d: %s", len(graphs), len(drawn), dom)
	}
	for i, graph := range graphs { // a graph with data has a path with a line
		if !regexp.MustCompile(`<path class="path" d="M[^"]*L`).MatchString(graph) {
			t.Errorf("no series in the graph of %q: %s", drawn[i], graph)
		}
	}
	if keep := os.Getenv("ARENACAP_SCREENSHOTS"); keep != "" {
		testenv.Chromium(t, profile, drawing, "--window-size=1200,2000", "--screenshot="+filepath.Join(keep, "prometheus.png"), page)
	}
}
