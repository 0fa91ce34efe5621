package metrics

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/inspect"
	"arenacap/launcher/proc"
	"arenacap/launcher/service"
	"arenacap/launcher/watch/statefile"
	"arenacap/policy"
)

const mib = 1 << 20

// member is a process of a service (-1: none) in a unit ("": none).
func member(pid, of int, unit, name string) service.Member {
	return service.Member{Process: service.Process{PID: pid, Service: of, Unit: unit}, Name: name}
}

// row is a process with one arena beside the main one for each MiB that it reserves.
func row(pid, reserved int, limit inspect.Cap) inspect.Row {
	return inspect.Row{PID: pid, Arenas: 1 + reserved, Cap: limit, Uncapped: limit.N == 0, ArenaReserved: uint64(reserved) * mib, Virtual: 1000 * mib}
}

func planOf(name, scope string, limits ...policy.Limit) policy.Plan {
	p := policy.Builtin()
	p.Service, p.Budget.Scope = name, scope
	return policy.Plan{Policy: p, Limits: limits}
}

func newTest(t *testing.T, o Options, rows []inspect.Row, members ...service.Member) *look {
	l := newLook(o, inspect.Host{Rows: rows}, members, nil)
	l.root = proc.Root(t.TempDir())
	return l
}

func (l *look) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(string(l.root), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// samples returns the samples of one family, as the text format has them without the family's name.
func samples(families []Family, name string) string {
	var lines []string
	for line := range strings.Lines(Text(families)) {
		if rest, ok := strings.CutPrefix(line, "arenacap_"+name); ok && strings.HasPrefix(rest, "{") {
			lines = append(lines, strings.TrimSpace(rest))
		}
	}
	return strings.Join(lines, " ")
}

func TestGroupNames(t *testing.T) {
	for name, test := range map[string]struct {
		by   string
		m    service.Member
		want string
	}{
		"a service":                     {"service", member(1, 0, "x.service", "java"), "datanode"},
		"a unit":                        {"service", member(1, -1, "mariadb.service", "mariadbd"), "mariadb"},
		"an instance":                   {"service", member(1, -1, "pg@15.service", "postgres"), "pg@"},
		"neither":                       {"service", member(1, -1, "", "postgres"), "postgres"},
		"a unit with a hostile name":    {"service", member(1, -1, "a\n\"\x1b\xff@b.service", "x"), "a\uFFFD\"\uFFFD\uFFFD@"},
		"a unit of systemd-run":         {"service", member(1, -1, "run-u12.service", "tool"), "tool"},
		"a unit of systemd-run, random": {"service", member(1, -1, "run-r0123456789abcdef0123456789abcdef.service", "tool"), "tool"},
		"a transient unit":              {"service", member(1, -1, "made.service", "tool"), "tool"},
		"by unit":                       {"unit", member(1, 0, "x.service", "java"), "x"},
		"by unit, without one":          {"unit", member(1, 0, "", "java"), "java"},
		"by name":                       {"name", member(1, 0, "x.service", "java"), "java"},
		"the name of a service":         {"service", member(1, -1, "", "datanode"), "other"},
		"the unit of another service":   {"service", member(1, -1, "datanode.service", "sh"), "other"},
		"the name of a unit":            {"service", member(1, -1, "", "redis"), "other"},
		"the name of a unit, by name":   {"name", member(1, -1, "", "redis"), "redis"},
		"a newline and quotes":          {"name", member(1, -1, "", "a\n\"b\\\x1b"), "a\uFFFD\"b\\\uFFFD"},
		"invalid UTF-8":                 {"name", member(1, -1, "", "a\xff\xfeb"), "a\uFFFDb"},
		"nothing":                       {"name", member(1, -1, "", ""), "other"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTest(t, Options{GroupBy: test.by, Plans: []policy.Plan{planOf("datanode", "process")}}, nil,
				test.m, member(2, -1, "redis.service", "redis-server"))
			l.write(t, "/run/systemd/transient/made.service", "")
			if got := l.names()[1]; got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestSums(t *testing.T) {
	l := newTest(t, Options{GroupBy: "service", MaxGroups: 2, Plans: []policy.Plan{planOf("small", "process")}}, []inspect.Row{
		row(1, 1, inspect.Cap{N: 2, Kept: inspect.Yes}), row(2, 2, inspect.Cap{}), row(3, 5, inspect.Cap{N: 4, Kept: inspect.No}),
		row(4, 9, inspect.Cap{N: 16, Kept: inspect.Yes}), row(5, 9, inspect.Cap{}), row(6, 3, inspect.Cap{}), row(7, 9, inspect.Cap{}),
	}, member(1, 0, "", "a"), member(2, 0, "", "b"), member(3, -1, "", "x"), member(4, -1, "u.service", "c"), member(5, -1, "u.service", "d"), member(6, -1, "", "y"))
	families := l.groups()
	for name, want := range map[string]string{
		"processes":            `{group="other"} 2 {group="small"} 2 {group="u"} 2`, // process 7 has ended
		"uncapped_processes":   `{group="other"} 1 {group="small"} 1 {group="u"} 1`,
		"arenas":               `{group="other"} 10 {group="small"} 5 {group="u"} 20`,
		"arena_reserved_bytes": `{group="other"} 8.388608e+06 {group="small"} 3.145728e+06 {group="u"} 1.8874368e+07`,
		"cap":                  `{group="other"} 4 {group="small"} 2 {group="u"} 16`,
		"cap_kept":             `{group="other"} 0 {group="small"} 1 {group="u"} 1`,
	} {
		if got := samples(families, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestCapKept(t *testing.T) {
	yes, no, unknown := inspect.Cap{N: 4, Kept: inspect.Yes}, inspect.Cap{N: 2, Kept: inspect.No}, inspect.Cap{N: 3}
	for name, test := range map[string]struct {
		caps []inspect.Cap
		want string
	}{
		"no cap":                {[]inspect.Cap{{}}, ""},
		"not judged":            {[]inspect.Cap{unknown}, ""},
		"kept":                  {[]inspect.Cap{yes, {}}, `{group="x"} 1`},
		"kept, and not judged":  {[]inspect.Cap{yes, unknown}, ""},
		"not kept":              {[]inspect.Cap{yes, no, unknown}, `{group="x"} 0`},
		"an unknown cap counts": {[]inspect.Cap{no, unknown}, `{group="x"} 0`},
	} {
		t.Run(name, func(t *testing.T) {
			var rows []inspect.Row
			var members []service.Member
			for i, c := range test.caps {
				rows, members = append(rows, row(i+1, 1, c)), append(members, member(i+1, -1, "", "x"))
			}
			l := newTest(t, Options{GroupBy: "name", MaxGroups: 1}, rows, members...)
			if got := samples(l.groups(), "cap_kept"); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// TestBudgets has a service with two processes. Process 2 counts for the budget only with scope "tree", as a child
// of the first, and with scope "cgroup", because it is in their unit.
func TestBudgets(t *testing.T) {
	page := os.Getpagesize()
	limits := []policy.Limit{{Metric: "virtual", Bytes: 1 << 40}, {Metric: "growth", Bytes: 1 << 30}, {Metric: "data", Bytes: 1 << 30}, {Metric: "resident", Bytes: 1 << 30}, {Metric: "arenas", Bytes: 1 << 30}}
	for scope, want := range map[string]string{
		"process": "100 30 3 20 9",
		"tree":    "230 90 8 35 12",
		"cgroup":  "230 90 8 35 12",
	} {
		t.Run(scope, func(t *testing.T) {
			l := newTest(t, Options{GroupBy: "service", MaxGroups: 5, Plans: []policy.Plan{planOf("idle", scope, limits...), planOf("s", scope, limits...)}},
				[]inspect.Row{row(1, 9, inspect.Cap{}), row(2, 2, inspect.Cap{}), row(3, 1, inspect.Cap{})},
				member(1, 1, "s.service", "a"), member(2, -1, "s.service", "b"), member(3, 1, "s.service", "c"), member(4, -1, "", "d"))
			l.members[1].Parent = 1
			for pid, sizes := range map[int][3]int{1: {100, 20, 3}, 2: {80, 10, 4}, 3: {50, 5, 1}, 4: {999, 999, 999}} {
				l.write(t, fmt.Sprintf("/proc/%d/statm", pid), fmt.Sprintf("%d %d 1 1 0 %d 0\n", sizes[0]*mib/page, sizes[1]*mib/page, sizes[2]*mib/page))
			}
			l.counters = map[string]statefile.Counters{"s": {Breaches: map[string]uint64{"virtual": 2}, Warnings: map[string]uint64{"data": 1},
				GrowthBases: map[int]uint64{1: 70 * mib, 3: 70 * mib}}}
			families := l.budgets()
			var got []string
			for _, f := range families {
				for _, s := range f.Samples {
					if s.Labels[1] != "s" {
						t.Errorf("%s has a sample of %q, which has no process", f.Name, s.Labels[1])
					}
					if f.Name == "arenacap_budget_used_bytes" {
						got = append(got, fmt.Sprint(s.Value/mib))
					}
				}
			}
			if got := strings.Join(got, " "); got != want {
				t.Errorf("used: %s MiB, want %s", got, want)
			}
			for name, want := range map[string]string{
				"breaches_total": `{group="s",metric="virtual"} 2 {group="s",metric="growth"} 0 {group="s",metric="data"} 0 {group="s",metric="resident"} 0 {group="s",metric="arenas"} 0`,
				"warnings_total": `{group="s",metric="virtual"} 0 {group="s",metric="growth"} 0 {group="s",metric="data"} 1 {group="s",metric="resident"} 0 {group="s",metric="arenas"} 0`,
			} {
				if got := samples(families, name); got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
			}
		})
	}
}

// What is not known has no sample: growth and counters without a watch, and arenas of a process that cannot be read.
func TestUnknownUse(t *testing.T) {
	plan := planOf("s", "process", policy.Limit{Metric: "growth", Bytes: 1}, policy.Limit{Metric: "arenas", Bytes: 1}, policy.Limit{Metric: "virtual", Bytes: 1})
	l := newTest(t, Options{GroupBy: "service", MaxGroups: 5, Plans: []policy.Plan{plan}}, []inspect.Row{row(1, 9, inspect.Cap{})}, member(1, 0, "", "a"), member(2, 0, "", "b"))
	l.unread[2] = true
	for _, pid := range []string{"1", "2"} {
		l.write(t, "/proc/"+pid+"/statm", "0 0 0 0 0 0 0\n")
	}
	families := l.budgets()
	if got, want := samples(families, "budget_used_bytes"), `{group="s",metric="virtual"} 0`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := samples(families, "breaches_total"); got != "" {
		t.Errorf("breaches without a watch: %s", got)
	}
}

func TestText(t *testing.T) {
	got := Text([]Family{{Name: "a_total", Help: "All.", Counter: true, Samples: []Sample{{[]string{"group", "x\"\\\n", "metric", "é"}, 1.5}}}, {Name: "b", Help: "B.", Samples: []Sample{{nil, 0}}}})
	want := "# HELP a_total All.\n# TYPE a_total counter\na_total{group=\"x\\\"\\\\\\n\",metric=\"é\"} 1.5\n# HELP b B.\n# TYPE b gauge\nb 0\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// If the time is over before the first process is read, there are unreadable processes, a problem, and no families of
// groups.
func TestLookTooLate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	families, problems, err := Look(ctx, Options{GroupBy: "service", MaxGroups: 1, State: filepath.Join(t.TempDir(), "none")})
	if err != nil || len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), "the scrape timed out ") {
		t.Fatalf("%v, %v", problems, err)
	}
	unreadable := 0.0
	for _, f := range families {
		if f.Name == "arenacap_unreadable_processes" {
			unreadable = f.Samples[0].Value
		}
	}
	if unreadable < 1 || len(families) != 3 {
		t.Errorf("%v unreadable, %d families", unreadable, len(families))
	}
}

func TestOptionsCheck(t *testing.T) {
	for want, o := range map[string]Options{
		"": {GroupBy: "unit", MaxGroups: 1},
		`--group-by: unknown key "pid"; write service, unit, name`: {GroupBy: "pid", MaxGroups: 1},
		"--max-groups: 0 is too small; write 1 or more":            {GroupBy: "name"},
	} {
		got := ""
		if err := o.Check(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestUsageOfEveryMetric checks that this package reads every budget metric of the policy.
func TestUsageOfEveryMetric(t *testing.T) {
	u := usage{{settled: true}}
	for _, metric := range policy.Metrics() {
		if _, known := u.of(metric); !known {
			t.Errorf("usage does not know the metric %q", metric)
		}
	}
}

// TestManual checks that arenacap-exporter(8) has every series, and no other.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../cmd/arenacap-exporter/arenacap-exporter.8")
	if err != nil {
		t.Fatal(err)
	}
	var documented, want []string
	for _, item := range regexp.MustCompile(`(?m)^\.It Ic (.*)$`).FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, strings.Split(item[1], " , ")...)
	}
	l := newTest(t, Options{GroupBy: "service", MaxGroups: 5, Plans: []policy.Plan{planOf("s", "process", policy.Limit{Metric: "resident", Bytes: 1})}},
		[]inspect.Row{row(1, 9, inspect.Cap{})}, member(1, 0, "s.service", "a"))
	l.write(t, "/proc/1/statm", "0 0 0 0 0 0 0\n")
	l.counters = map[string]statefile.Counters{"s": {}}
	for _, f := range slices.Concat(l.budgets(), l.self(0)) {
		want = append(want, f.Name)
	}
	for _, f := range groupFamilies {
		want = append(want, "arenacap_"+f.name)
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("the page has %q, the code %q", documented, want)
	}
}
