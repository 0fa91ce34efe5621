package policy

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const gib = 1 << 30

// environment returns a Getenv that reads a map.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		s, ok := vars[name]
		return s, ok
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadContractSample(t *testing.T) {
	const file = "testdata/load/contract.toml"
	at := func(line string) string { return file + ":" + line }
	want := Builtin()
	want.File = file
	want.Arenas.Cap = Cap{Mode: PerCore, Micro: 1_000_000, From: at("2")}
	want.Arenas.Min, want.Arenas.Max, want.Arenas.Test = 2, 64, 3
	want.Arenas.MaxReserved = size{Bytes: gib, From: at("6")}
	want.Arenas.Cores, want.Arenas.Inherited = coreRule{Rule: "auto", From: at("8")}, "override"
	want.Budget = Budget{
		Limits: [len(metrics)]size{
			{Bytes: 4 * gib, From: at("12")}, {Bytes: 2 * gib, From: at("13")}, {Bytes: 3 * gib, From: at("14")},
			{Bytes: gib, From: at("15")}, {Bytes: gib, From: at("16")},
		},
		Scope: "process", WarnAt: 80, Interval: time.Second, Settle: 10 * time.Second, Breach: Window{3, 5},
		Action: "report", Grace: 30 * time.Second, Timeout: 10 * time.Second,
		Command: []string{"/usr/local/bin/on-breach", "--pid", "{pid}"},
	}
	if got := load(t, file, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("base:\n got %+v\nwant %+v", got, want)
	}

	want.Service, want.Section = "datanode", true
	want.Arenas.Cap = Cap{Mode: Fixed, N: 4, From: at("37")}
	want.Arenas.Test = 0 // dropped because the section sets cap
	want.Budget.Limits[virtual] = size{Bytes: 14 * gib, From: at("38")}
	if got := load(t, file, "datanode"); !reflect.DeepEqual(got, want) {
		t.Errorf("datanode:\n got %+v\nwant %+v", got, want)
	}
}

func TestLoadEveryKeyAnotherWay(t *testing.T) {
	const file = "testdata/load/every-key-another-way.toml"
	at := func(line string) string { return file + ":" + line }
	want := Policy{
		File: file,
		Budget: Budget{
			Limits: [len(metrics)]size{
				{Bytes: 4 * gib, From: at("12")}, {Bytes: 3 * gib / 2, From: at("13")}, {Percent: 12.5, From: at("14")},
				{Percent: 90, From: at("15")}, {Bytes: 500e6, From: at("16")},
			},
			Scope: "tree", WarnAt: 100, Interval: 10 * time.Millisecond, Settle: 0, Breach: Window{1, 60},
			Action: "signal", Signal: "SIGRTMIN+3", Grace: 90 * time.Second, Timeout: 2 * time.Second,
			Command: []string{"/bin/logger", "{pid}"}, Hard: true,
		},
		Log: Log{Format: "json", To: "/var/log/arenacap.log"},
	}
	want.Arenas.Cap = Cap{Mode: Fixed, N: 6, From: at("2")}
	want.Arenas.Min, want.Arenas.Max, want.Arenas.Test = 3, 12, 5
	want.Arenas.MaxReserved = size{Percent: 12.5, From: at("5")}
	want.Arenas.Cores, want.Arenas.Inherited, want.Arenas.HugePages = coreRule{N: 8, From: at("7")}, "keep", "off"
	want.Launch.Mode, want.Launch.OnUnenforceable, want.Launch.OnWatchFailure = "supervise", "refuse", "refuse"
	if got := load(t, file, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

// TestLoadOtherWords loads the values that the files of the tests above do not contain.
func TestLoadOtherWords(t *testing.T) {
	for _, c := range []struct {
		text string
		same func(Policy) bool
	}{
		{`arenas.cap = "off"`, func(p Policy) bool { return p.Arenas.Cap.Mode == Off }},
		{`arenas.cap = "glibc"`, func(p Policy) bool { return p.Arenas.Cap.Mode == Glibc }},
		{`arenas.cap = "4"`, func(p Policy) bool { return p.Arenas.Cap.N == 4 }},
		{`arenas.cap = 65535`, func(p Policy) bool { return p.Arenas.Cap.N == MaxCap }},
		{`arenas.cap = "0.5/core"`, func(p Policy) bool { return p.Arenas.Cap.Micro == 500_000 }},
		{`arenas.cores = "online"`, func(p Policy) bool { return p.Arenas.Cores.Rule == "online" }},
		{`arenas.cores = "affinity"`, func(p Policy) bool { return p.Arenas.Cores.Rule == "affinity" }},
		{`budget.virtual = "off"`, func(p Policy) bool { return p.Budget.Limits[virtual] == size{} }},
		{`budget.scope = "cgroup"`, func(p Policy) bool { return p.Budget.Scope == "cgroup" }},
		{`budget.warn_at = "1%"`, func(p Policy) bool { return p.Budget.WarnAt == 1 }},
		{`budget.interval = "1h"`, func(p Policy) bool { return p.Budget.Interval == time.Hour }},
		{`budget.action = "terminate"`, func(p Policy) bool { return p.Budget.Action == "terminate" }},
		{`launch.mode = "exec"`, func(p Policy) bool { return p.Launch.Mode == "exec" }},
		{`launch.on_unenforceable = "ignore"`, func(p Policy) bool { return p.Launch.OnUnenforceable == "ignore" }},
		{"\ufeff[arenas]\r\nmax = 1\r\n", func(p Policy) bool { return p.Arenas.Max == 1 && p.Arenas.Cap == Cap{} }},
		{``, func(p Policy) bool { return p.Arenas.Cap == Cap{} }},
	} {
		p, err := read("p.toml", []byte(c.text), "")
		if err != nil || !c.same(p) {
			t.Errorf("%s: %v, %+v", c.text, err, p)
		}
	}
}

func TestLoadServices(t *testing.T) {
	const file = "testdata/load/services.toml"
	base := load(t, file, "")
	for service, want := range map[string]func(*Policy){
		"dotted": func(p *Policy) {
			p.Arenas.Cap, p.Arenas.Test = Cap{Mode: Fixed, N: 4, From: file + ":13"}, 0
			p.Budget.Limits[virtual] = size{Bytes: 14 * gib, From: file + ":14"}
		},
		"tables": func(p *Policy) {
			p.Arenas.Cap, p.Arenas.Test = Cap{Mode: PerCore, Micro: 2_000_000, From: file + ":17"}, 1
			p.Budget.Limits[row("resident")], p.Budget.Action, p.Budget.Signal = size{}, "terminate", ""
		},
		"inline": func(p *Policy) {
			p.Launch.Mode, p.Log = "exec", Log{Format: "json", To: "/var/log/x.log"}
		},
		"a.b":     func(p *Policy) { p.Arenas.Cores = coreRule{Rule: "affinity", From: file + ":29"} },
		"SIGNALS": func(p *Policy) {}, // a section with the same action as the base keeps the base's signal
		"empty":   func(p *Policy) {},
	} {
		expected := base
		expected.Service, expected.Section = service, true
		want(&expected)
		if got := load(t, file, service); !reflect.DeepEqual(got, expected) {
			t.Errorf("%s:\n got %+v\nwant %+v", service, got, expected)
		}
	}
}

func TestLoadServiceWithoutSection(t *testing.T) {
	const file = "testdata/load/services.toml"
	for service, note := range map[string]string{
		"doted":   `no section for service "doted", so its base tables [arenas], [budget], … apply; did you mean "dotted"?`,
		"Dotted":  `did you mean "dotted"?`,
		"signals": `did you mean "SIGNALS"?`,
		"gateway": "",
	} {
		p := load(t, file, service)
		if p.Section || p.Service != service || p.Arenas.Cap.N != 8 {
			t.Errorf("%s: the base does not apply: %+v", service, p)
		}
		notes := strings.Join(p.Notes, "\n")
		if (note == "") != (notes == "") || !strings.Contains(notes, note) {
			t.Errorf("%s: notes %q, want %q", service, notes, note)
		}
	}
}

func load(t *testing.T, file, service string) Policy {
	t.Helper()
	p, err := Lookup{Named: file, Service: service}.Load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	flag := write(t, dir+"/flag.toml", "arenas.cap = 1")
	env := write(t, dir+"/env.toml", "arenas.cap = 2")
	xdg := write(t, dir+"/xdg/arenacap/policy.toml", "arenas.cap = 3")
	home := write(t, dir+"/home/.config/arenacap/policy.toml", "arenas.cap = 4")
	system := write(t, dir+"/etc/policy.toml", "arenas.cap = 5")
	write(t, dir+"/cwd/arenacap/policy.toml", "arenas.cap = 6")
	write(t, dir+"/cwd/.config/arenacap/policy.toml", "arenas.cap = 6")
	write(t, dir+"/cwd/policy.toml", "arenas.cap = 6")
	write(t, dir+"/file", "")
	t.Chdir(dir + "/cwd")
	all := map[string]string{"ARENACAP_POLICY": env, "XDG_CONFIG_HOME": dir + "/xdg", "HOME": dir + "/home"}
	without := func(names ...string) map[string]string {
		vars := map[string]string{"ARENACAP_POLICY": env, "XDG_CONFIG_HOME": dir + "/xdg", "HOME": dir + "/home"}
		for _, n := range names {
			delete(vars, n)
		}
		return vars
	}
	for _, c := range []struct {
		name   string
		lookup Lookup
		vars   map[string]string
		system string
		want   string
	}{
		{"the flag first", Lookup{Named: flag}, all, system, flag},
		{"then the variable", Lookup{}, all, system, env},
		{"then XDG_CONFIG_HOME", Lookup{}, without("ARENACAP_POLICY"), system, xdg},
		{"an empty variable is as an unset one", Lookup{}, map[string]string{"ARENACAP_POLICY": "", "XDG_CONFIG_HOME": "", "HOME": dir + "/home"}, system, home},
		{"then ~/.config", Lookup{}, without("ARENACAP_POLICY", "XDG_CONFIG_HOME"), system, home},
		{"XDG_CONFIG_HOME has none: not ~/.config", Lookup{}, map[string]string{"XDG_CONFIG_HOME": dir + "/none", "HOME": dir + "/home"}, system, system},
		{"then the system's", Lookup{}, map[string]string{"HOME": dir + "/none"}, system, system},
		{"a file where a folder should be", Lookup{}, map[string]string{"HOME": dir + "/file"}, system, system},
		{"then built-in", Lookup{}, map[string]string{"HOME": dir + "/none"}, dir + "/none/policy.toml", ""},
		{"no environment", Lookup{}, nil, system, system},
		{"relative folders are not the current directory", Lookup{}, map[string]string{"XDG_CONFIG_HOME": ".", "HOME": "."}, dir + "/none", ""},
		{"root skips the user's folder", Lookup{Root: true}, without("ARENACAP_POLICY"), dir + "/none", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.lookup.Getenv = environment(c.vars)
			_, file, notes, err := c.lookup.find(c.system)
			if err != nil || file != c.want || notes != nil {
				t.Errorf("found %q, notes %q, error %v; want %q", file, notes, err, c.want)
			}
		})
	}
}

// The built-in policy equals the sample without the keys that have no default.
func TestBuiltin(t *testing.T) {
	p := load(t, "testdata/load/contract.toml", "")
	p.File, p.Budget.Limits, p.Budget.Command = "", Budget{}.Limits, nil
	inherited, huge := p.Arenas.Inherited, p.Arenas.HugePages
	p.Arenas = Policy{}.Arenas
	p.Arenas.Inherited, p.Arenas.HugePages = inherited, huge
	if !reflect.DeepEqual(p, Builtin()) {
		t.Errorf("\n got %+v\nwant %+v", Builtin(), p)
	}
	for cores, want := range map[int]int{1: 2, 2: 2, 3: 3, 64: 64} { // "1/core", min = 2, no max
		if plan, err := Builtin().Resolve(Machine{Affinity: Reading[int]{N: cores}}); err != nil || plan.ArenaMax != want {
			t.Errorf("%d cores: %d, %v", cores, plan.ArenaMax, err)
		}
	}
}

func TestLoadBuiltin(t *testing.T) {
	if _, err := os.Lstat(systemFile); err == nil {
		t.Skip("this machine has a policy: " + systemFile)
	}
	p, err := Lookup{Service: "x", Root: true}.Load()
	want := Builtin()
	want.Service, want.Notes = "x", []string{`no policy file was found for service "x", so the built-in policy applies, without a budget; write /etc/arenacap/policy.toml, or name a file with --policy`}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		lookup Lookup
		want   string
	}{
		{"named by the flag and missing", Lookup{Named: dir + "/none.toml"}, dir + "/none.toml: cannot be read: no such file or directory; --policy must name an existing file"},
		{"named by the variable and missing", Lookup{Getenv: environment(map[string]string{"ARENACAP_POLICY": dir + "/none.toml"})},
			dir + "/none.toml: cannot be read: no such file or directory; $ARENACAP_POLICY must name an existing file"},
		{"one problem", Lookup{Named: write(t, dir+"/one.toml", "arenas.mix = 2\n")},
			dir + `/one.toml:1:1: unknown key "mix" in [arenas]; did you mean "min"? | arenas.mix = 2`},
		{"several problems", Lookup{Named: write(t, dir+"/a b.toml", "arenas.mix = 2\narenas.cap = 0\nlog.to = 1\n")},
			dir + `/a b.toml:1:1: unknown key "mix" in [arenas]; did you mean "min"? | arenas.mix = 2 (and 2 more: arenacap check '` + dir + `/a b.toml')`},
		{"a problem of another service", Lookup{Service: "a", Named: write(t, dir+"/b.toml", "service.a.arenas.cap = 2\nservice.b.arenas.cap = 0\n")},
			dir + `/b.toml:2:24: cap: invalid cap "0"; write a number from 1 to 65535, a factor such as "2/core", "off" to change nothing, or "glibc" for glibc's own limit | service.b.arenas.cap = 0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := c.lookup.Load()
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if !reflect.DeepEqual(p, Policy{}) {
				t.Errorf("a policy came with the error: %+v", p)
			}
		})
	}
}

// Load and Check find the same problems in a text. Check also reports the owner and the mode of the file, which differ from
// clone to clone of the repository, so this test compares with checkText.
func TestLoadGivesEveryProblem(t *testing.T) {
	const file = "testdata/check/wrong-types.toml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lookup{Named: file}.Load()
	var found problems
	if !errors.As(err, &found) || !reflect.DeepEqual(found, checkText(file, text)) {
		t.Errorf("Load: %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, file := range []string{"testdata/load/services.toml", "testdata/load/contract.toml"} {
		b.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (Lookup{Named: file}).Load(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
