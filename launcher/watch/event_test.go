package watch

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/watch/budget"
	"arenacap/policy"
)

const GiB = 1 << 30

var (
	someTime = time.Date(2026, 11, 23, 6, 7, 8, 9_876_543, time.FixedZone("", 3600))
	grown    = attribute("virtual",
		of(virtual("arenas", 17, 1088*MiB), virtual("thread stacks", 128, 1*GiB), virtual("file", 4, 8*MiB)),
		of(virtual("arenas", 32, 2048*MiB), virtual("thread stacks", 128, 1*GiB), virtual("file", 4, 8*MiB), virtual("kernel", 3, 0)))
)

func of(parts ...part) breakdown { return breakdown{parts: parts, processes: 1} }

func virtual(kind string, count int, bytes int64) part {
	return part{Kind: kind, Count: count, Virtual: bytes}
}

// TestEvents compares an event of each kind, as text and as JSON, because scripts of users depend on these lines.
func TestEvents(t *testing.T) {
	breach := budget.Change{Kind: eventBreach, Metric: "virtual", Value: 4509715661, Limit: 4 * GiB, Votes: 3, Of: 5}
	warning := budget.Change{Kind: eventWarning, Metric: "virtual", Value: 3543348019, Limit: 4 * GiB, Votes: 3, Of: 5}
	terminates := policy.Builtin().Budget
	terminates.Action, terminates.Command = "terminate", []string{"/usr/local/bin/on-breach", "{pid}"}
	cfg := Config{Mode: "exec", Cap: 4, Budget: terminates, Limits: []policy.Limit{{Metric: "virtual", Bytes: 4 * GiB}, {Metric: "growth", Bytes: 512 * MiB}}}
	outcome := Outcome{PeakVirtual: 4 * GiB, PeakResident: 61 * MiB, Breaches: 1, Elapsed: 90*time.Second + 1234*time.Microsecond}
	kinds := map[string]bool{}
	for _, test := range []struct {
		name string
		e    event
		text string
		json string
	}{
		{"started", started(cfg),
			`started: budget: virtual 4 GiB, growth 512 MiB; scope process; interval 1s, settle time 10s; breach: 3 of 5 samples over a limit; action: /usr/local/bin/on-breach, then SIGTERM, then SIGKILL after 30s`,
			`"mode":"exec","scope":"process","interval_seconds":1,"settle_seconds":10,"breach":"3/5","action":"terminate","cap":4,"limits":[{"metric":"virtual","limit_bytes":4294967296},{"metric":"growth","limit_bytes":536870912}]`},
		{"started without a budget or a cap", started(Config{Mode: "attach", Budget: policy.Builtin().Budget}),
			`started: no budget`,
			`"mode":"attach","scope":"process","interval_seconds":1,"settle_seconds":10,"breach":"3/5","action":"report","cap":null,"limits":[]`},
		{"warning", exceeded(warning, 1, advised{1234, 4}, grown),
			`warning: virtual 3.3 GiB, 82% of the limit of 4 GiB (3 of 5 samples); +960 MiB since the settle time ended: 15 arenas; largest parts: 2 GiB in 32 arenas, 1 GiB in 128 thread stacks, 8 MiB in mapped files; run 'arenacap inspect 1234' to see why it has more arenas than the cap of 4`,
			`"metric":"virtual","value_bytes":3543348019,"limit_bytes":4294967296,"samples":3,"samples_of":5,"processes":1,"attribution":{"parts":[{"kind":"arenas","count":32,"virtual_bytes":2147483648},{"kind":"thread stacks","count":128,"virtual_bytes":1073741824},{"kind":"file","count":4,"virtual_bytes":8388608}],"grew":[{"kind":"arenas","count":15,"virtual_bytes":1006632960}],"processes":1}`},
		{"breach", exceeded(breach, 1, advised{1234, 0}, attribute("virtual", breakdown{}, of(virtual("arenas", 32, 2*GiB)))),
			`breach: virtual 4.2 GiB, over the limit of 4 GiB (3 of 5 samples); largest parts: 2 GiB in 32 arenas; set cap in [arenas] to limit the arenas`,
			`"metric":"virtual","value_bytes":4509715661,"limit_bytes":4294967296,"samples":3,"samples_of":5,"processes":1,"attribution":{"parts":[{"kind":"arenas","count":32,"virtual_bytes":2147483648}],"grew":null,"processes":1}`},
		{"breach of a tree, of which not all may be looked into", exceeded(breach, 7, advised{1234, 0}, attribute("virtual", breakdown{}, breakdown{parts: []part{virtual("arenas", 32, 2*GiB)}, processes: 6})),
			`breach: virtual 4.2 GiB, over the limit of 4 GiB (3 of 5 samples) in 7 processes; 6 of them could be inspected; largest parts: 2 GiB in 32 arenas; set cap in [arenas] to limit the arenas`,
			`"metric":"virtual","value_bytes":4509715661,"limit_bytes":4294967296,"samples":3,"samples_of":5,"processes":7,"attribution":{"parts":[{"kind":"arenas","count":32,"virtual_bytes":2147483648}],"grew":null,"processes":6}`},
		{"breach of a tree, with nothing known", exceeded(breach, 7, advised{1234, 0}, nil),
			`breach: virtual 4.2 GiB, over the limit of 4 GiB (3 of 5 samples) in 7 processes`,
			`"metric":"virtual","value_bytes":4509715661,"limit_bytes":4294967296,"samples":3,"samples_of":5,"processes":7,"attribution":null`},
		{"recovered", recovered(budget.Change{Metric: "virtual", Value: 1 * GiB, Limit: 4 * GiB, Ended: eventBreach}),
			`recovered: virtual 1 GiB, below 95% of the limit of 4 GiB`,
			`"metric":"virtual","value_bytes":1073741824,"limit_bytes":4294967296,"ended":"breach"`},
		{"recovered from a warning", recovered(budget.Change{Metric: "virtual", Value: 3 * GiB, Limit: 4 * GiB, Ended: eventWarning}),
			`recovered: virtual 3 GiB, 75% of the limit of 4 GiB; the warning has ended`,
			`"metric":"virtual","value_bytes":3221225472,"limit_bytes":4294967296,"ended":"warning"`},
		{"action", acted(breach, "signal", "SIGUSR1", 1, "SIGUSR1 sent", false),
			`action: SIGUSR1 sent`,
			`"metric":"virtual","value_bytes":4509715661,"limit_bytes":4294967296,"action":"signal","signal":"SIGUSR1","processes":1,"failed":false`},
		{"action of a command", acted(breach, "command", "", 0, "command x ended with status 1", true),
			`action: command x ended with status 1`,
			`"metric":"virtual","value_bytes":4509715661,"limit_bytes":4294967296,"action":"command","signal":null,"processes":null,"failed":true`},
		{"action that was not needed", notNeeded(budget.Change{Metric: "virtual", Value: 96 * MiB, Limit: 100 * MiB}, "terminate"),
			`action: terminate was skipped: virtual 96 MiB, no longer over the limit of 100 MiB`,
			`"metric":"virtual","value_bytes":100663296,"limit_bytes":104857600,"action":"terminate","signal":null,"processes":null,"failed":false`},
		{"cap-verified", capJudged(1234, 1, 4), `cap-verified: 1 arena, within the cap of 4`, `"arenas":1,"cap":4`},
		{"cap-not-kept", capJudged(1234, 9, 4), `cap-not-kept: 9 arenas, over the cap of 4; run 'arenacap inspect 1234' to see why`, `"arenas":9,"cap":4`},
		{"cap-not-kept, as was known", capCannotWork("jemalloc is linked"), `cap-not-kept: jemalloc is linked`, `"arenas":null,"cap":null`},
		{"watch-failed", watchFailed(`log file "/x" cannot be opened: permission denied`), `watch-failed: log file "/x" cannot be opened: permission denied`, ``},
		{"gap", gap(90*time.Second+time.Microsecond, time.Second),
			`gap: no sample for 1m30s, although the interval is 1s; the watch was stopped, or the machine was asleep or too busy`, `"gap_seconds":90`},
		{"log-failed", linesLost(3), `log-failed: number of lines that were lost because this log could not be written: 3`, `"lines_lost":3`},
		{"watch-ended", watchEnded(outcome, 2, "SIGTERM has ended the watch"),
			`watch-ended: SIGTERM has ended the watch; the watched processes continue to run; watched for 1m30.001s; peaks: virtual size 4 GiB, resident memory 61 MiB; breaches: 1`,
			`"processes_remaining":2,"elapsed_seconds":90.001,"peak_virtual_bytes":4294967296,"peak_resident_bytes":63963136,"breaches":1`},
		{"exited", exited(outcome, 0, true), `exited: watched for 1m30.001s; peaks: virtual size 4 GiB, resident memory 61 MiB; breaches: 1`,
			`"processes_remaining":0,"elapsed_seconds":90.001,"peak_virtual_bytes":4294967296,"peak_resident_bytes":63963136,"breaches":1`},
		{"exited before a sample", exited(Outcome{}, 0, true), `exited: watched for 0s`, `"processes_remaining":0,"elapsed_seconds":0,"peak_virtual_bytes":null,"peak_resident_bytes":null,"breaches":0`},
		{"exited, and its children go on alone", exited(Outcome{}, 3, false), `exited: watched for 0s`, `"processes_remaining":3,"elapsed_seconds":0,"peak_virtual_bytes":null,"peak_resident_bytes":null,"breaches":0`},
		{"elsewhere", holdsMore(9, "srv", 2<<30, 8<<20), `elsewhere: descendant srv[9] has 2 GiB of address space, this process 8 MiB; the budget counts only this process: write scope = "tree" in [budget]`, `"other_pid":9,"other_name":"srv"`},
		{"elsewhere, after the end of the target", leftBehind(9, "srv", `scope = "tree" in [budget]`), `elsewhere: the program has ended; its descendant srv[9] still runs and is not watched; write scope = "tree" in [budget]`, `"other_pid":9,"other_name":"srv"`},
		{"a cap that another program set", capSetOtherwise(4, 2), `cap-not-kept: the server's environment sets a cap of 4 instead of the planned 2; a program that starts the server has changed MALLOC_ARENA_MAX or GLIBC_TUNABLES`, `"arenas":null,"cap":2`},
		{"the cap of a descendant", capJudged(1234, 1, 4).of(9, "srv"), `cap-verified: srv[9]: 1 arena, within the cap of 4`, `"arenas":1,"cap":4,"other_pid":9,"other_name":"srv"`},
		{"exited, and its children go on", exited(outcome, 3, true), `exited: watched for 1m30.001s; peaks: virtual size 4 GiB, resident memory 61 MiB; breaches: 1; processes that still run and are watched: 3`,
			`"processes_remaining":3,"elapsed_seconds":90.001,"peak_virtual_bytes":4294967296,"peak_resident_bytes":63963136,"breaches":1`},
	} {
		kinds[test.e.kind] = true
		t.Run(test.name, func(t *testing.T) {
			who := subject{"authserver", "AuthServer", 1234}
			if got, want := string(test.e.line("text", someTime, who)), "arenacap: authserver[1234]: "+test.text+"\n"; got != want {
				t.Errorf("text\n got %s\nwant %s", got, want)
			}
			kind, words, _ := strings.Cut(test.text, ": ")
			want := fmt.Sprintf(`{"time":"2026-11-23T05:07:08.009Z","service":"authserver","pid":1234,"event":%q,"message":%q`, kind, words)
			if test.json != "" {
				want += "," + test.json
			}
			want += "}\n"
			if got := string(test.e.line("json", someTime, who)); got != want {
				t.Errorf("json\n got %s\nwant %s", got, want)
			}
		})
	}
	wantEachKind(t, kinds)
}

// A process can set its name to any bytes. They must neither break a line nor send control characters to a terminal.
func TestHostileNames(t *testing.T) {
	for _, test := range []struct {
		name string
		who  subject
		text string
		json string
	}{
		{"no service: the process's name", subject{"", "mariadbd", 7}, "arenacap: mariadbd[7]: ", `"service":null`},
		{"a newline", subject{"", "a\narenacap: b", 7}, "arenacap: a?arenacap: b[7]: ", `"service":null`},
		{"a terminal's escape", subject{"", "\x1b[31m\x07", 7}, "arenacap: ?[31m?[7]: ", `"service":null`},
		{"invalid UTF-8", subject{"caf\xe9", "", 7}, "arenacap: caf?[7]: ", `"service":"caf\ufffd"`},
		{"right-to-left", subject{"a\u202eb", "", 7}, "arenacap: a?b[7]: ", `"service":"a` + "\u202e" + `b"`},
		{"fine letters stay", subject{"größe", "", 7}, "arenacap: größe[7]: ", `"service":"größe"`},
		{"no name at all", subject{"", "", 7}, "arenacap: [7]: ", `"service":null`},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := watchFailed("x\ny")
			if got, want := string(e.line("text", someTime, test.who)), test.text+"watch-failed: x?y\n"; got != want {
				t.Errorf("text %q, want %q", got, want)
			}
			line := e.line("json", someTime, test.who)
			if !strings.Contains(string(line), test.json) || !json.Valid(line) || strings.Count(string(line), "\n") != 1 {
				t.Errorf("json %q has no %s", line, test.json)
			}
		})
	}
}

// With any names and reasons, each event is one complete line that fits maxLine.
func FuzzLinesFit(f *testing.F) {
	f.Add("authserver", "a reason")
	for _, c := range []string{"x", "\"", "\x00", "\xff", "\u2028", "ö", "😀"} {
		f.Add(strings.Repeat(c, 5000), strings.Repeat(c, 5000))
	}
	var parts []part
	for i := range 2 * maxParts {
		parts = append(parts, part{strings.Repeat("k", i+10), 1 << 30, 1 << 62, 1 << 62, 1 << 62})
	}
	worst := budget.Change{Kind: eventBreach, Metric: "resident", Value: 1<<64 - 1, Limit: 1 << 63, Votes: 65536, Of: 65536}
	f.Fuzz(func(t *testing.T, service, words string) {
		cfg := Config{Budget: policy.Builtin().Budget, Limits: []policy.Limit{{Metric: "virtual", Bytes: 1 << 63}, {Metric: "growth", Bytes: 1 << 63}}}
		cfg.Budget.Command = []string{words}
		for _, e := range []event{watchFailed(words), capCannotWork(words), acted(worst, "terminate", "SIGRTMIN+15", 1<<30, words, true), started(cfg),
			exceeded(worst, 1<<30, advised{1 << 22, 1 << 16}, attribute("resident", of(), of(parts...)))} {
			for _, format := range []string{"json", "text"} {
				line := e.line(format, someTime, subject{service, words, 1 << 30})
				if stamped := len(timestamp(someTime)) + 1 + len(line); stamped > maxLine || strings.Count(string(line), "\n") != 1 || line[len(line)-1] != '\n' {
					t.Fatalf("%d bytes: %s", stamped, line)
				}
				if format == "json" && !json.Valid(line) {
					t.Fatalf("no JSON: %s", line)
				}
			}
		}
	})
}

// TestWanted checks which events are written without flags, with --verbose and with -q. A JSON log has all of them.
func TestWanted(t *testing.T) {
	row := func(want string, kinds ...string) (rows []wantedRow) { // want: whether the event is written without a flag, with --verbose, with -q
		for _, kind := range kinds {
			rows = append(rows, wantedRow{event{kind: kind}, want})
		}
		return rows
	}
	kinds := map[string]bool{}
	for _, test := range slices.Concat(
		row("nyn", eventStarted, eventCapVerified, eventExited),
		row("yyn", eventWarning, eventCapNotKept, eventElsewhere, eventGap),
		row("yyy", eventBreach, eventAction, eventWatchFailed, eventLogFailed, eventWatchEnded),
		[]wantedRow{{recovered(budget.Change{Limit: 1, Ended: eventWarning}), "yyn"}, {recovered(budget.Change{Limit: 1, Ended: eventBreach}), "yyy"}},
	) {
		kinds[test.e.kind] = true
		for i, c := range []Config{{}, {Verbose: true}, {Quiet: true}} {
			if got := c.wanted(test.e); got != (test.want[i] == 'y') {
				t.Errorf("%s %+v, verbose %t, quiet %t: %t", test.e.kind, test.e.members, c.Verbose, c.Quiet, got)
			}
			if c.Log.Format = "json"; !c.wanted(test.e) {
				t.Errorf("%s is not in JSON", test.e.kind)
			}
		}
	}
	wantEachKind(t, kinds)
}

type wantedRow struct {
	e    event
	want string
}

// known returns a breakdown of one process; nil parts mean that it is unknown.
func known(parts []part) (d breakdown) {
	if parts != nil {
		d = of(parts...)
	}
	return d
}

func TestAttribute(t *testing.T) {
	for _, test := range []struct {
		name      string
		base, now []part
		want      string
	}{
		{"nothing is known", nil, nil, ""},
		{"nothing to compare with", nil, []part{virtual("arenas", 2, 128*MiB)}, "; largest parts: 128 MiB in 2 arenas"},
		{"nothing grew", []part{virtual("arenas", 2, 128*MiB)}, []part{virtual("arenas", 2, 128*MiB)}, "; largest parts: 128 MiB in 2 arenas"},
		{"what shrank is not told", []part{virtual("arenas", 3, 192*MiB)}, []part{virtual("arenas", 2, 128*MiB)}, "; largest parts: 128 MiB in 2 arenas"},
		{"what is new", []part{}, []part{virtual("arenas", 2, 128*MiB)}, "; +128 MiB since the settle time ended: 2 arenas; largest parts: 128 MiB in 2 arenas"},
		{"grown without a new one", []part{virtual("main heap", 1, 1*MiB)}, []part{virtual("main heap", 1, 3*MiB)}, "; +2 MiB since the settle time ended: main heap; largest parts: 3 MiB in main heap"},
		{"several, the largest first, three of them", nil, []part{virtual("a", 1, 1*MiB), virtual("b", 1, 4*MiB), virtual("c", 1, 3*MiB), virtual("d", 1, 2*MiB)}, "; largest parts: 4 MiB in b, 3 MiB in c, 2 MiB in d"},
		{"several grew", []part{}, []part{virtual("arenas", 2, 128*MiB), virtual("thread stacks", 3, 24*MiB)},
			"; +152 MiB since the settle time ended: 128 MiB in 2 arenas, 24 MiB in 3 thread stacks; largest parts: 128 MiB in 2 arenas, 24 MiB in 3 thread stacks"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := attribute("virtual", known(test.base), known(test.now)).words(1); got != test.want {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
		})
	}
}

// An attribution and its advice leave out the parts that do not count for the metric. Each size in the text is the
// number of bytes that count.
func TestAttributeOtherMetrics(t *testing.T) {
	const TiB = 1 << 40
	base := of(part{"reserved", 3, 8 * TiB, 0, 0}, part{"other anonymous", 9, 300 * MiB, 280 * MiB, 90 * MiB}, part{"arenas", 1, 64 * MiB, 1 * MiB, 1 * MiB}, part{"file", 40, 30 * MiB, 0, 12 * MiB})
	now := of(part{"reserved", 4, 9 * TiB, 0, 0}, part{"other anonymous", 9, 400 * MiB, 380 * MiB, 60 * MiB}, part{"arenas", 1, 64 * MiB, 41 * MiB, 31 * MiB}, part{"file", 40, 30 * MiB, 0, 12 * MiB})
	for metric, want := range map[string]struct{ text, json string }{
		"data": {"; +140 MiB since the settle time ended: 100 MiB in other anonymous memory, 40 MiB in arenas; largest parts: 380 MiB in other anonymous memory, 41 MiB in 1 arena; if the program needs this memory, raise data in [budget]",
			`{"parts":[{"kind":"other anonymous","count":9,"virtual_bytes":419430400,"data_bytes":398458880},{"kind":"arenas","count":1,"virtual_bytes":67108864,"data_bytes":42991616}],"grew":[{"kind":"other anonymous","count":0,"virtual_bytes":104857600,"data_bytes":104857600},{"kind":"arenas","count":0,"virtual_bytes":0,"data_bytes":41943040}],"processes":1}`},
		"resident": {"; +30 MiB since the settle time ended: arenas; largest parts: 60 MiB in other anonymous memory, 31 MiB in 1 arena, 12 MiB in mapped files; run 'arenacap inspect --deep 1234' to see how much of the heaps is in use",
			`{"parts":[{"kind":"other anonymous","count":9,"virtual_bytes":419430400,"resident_bytes":62914560},{"kind":"arenas","count":1,"virtual_bytes":67108864,"resident_bytes":32505856},{"kind":"file","count":40,"virtual_bytes":31457280,"resident_bytes":12582912}],"grew":[{"kind":"arenas","count":0,"virtual_bytes":0,"resident_bytes":31457280}],"processes":1}`},
	} {
		a := attribute(metric, base, now)
		if got := a.words(1) + a.advice(metric, advised{pid: 1234}); got != want.text {
			t.Errorf("%s\n got %s\nwant %s", metric, got, want.text)
		}
		if got, err := json.Marshal(a); err != nil || string(got) != want.json {
			t.Errorf("%s: %v\n got %s\nwant %s", metric, err, got, want.json)
		}
	}
}

// The advice depends on the part that grew most and on the metric whose limit was exceeded.
func TestAdvice(t *testing.T) {
	const deep = "; run 'arenacap inspect --deep 1234' to see how much of the heaps is in use"
	same := func(kind string) breakdown { return of(part{kind, 9, 576 * MiB, 576 * MiB, 576 * MiB}) }
	for _, test := range []struct {
		metric    string
		planned   int
		base, now breakdown
		want      string
	}{
		{"virtual", 0, breakdown{}, same("arenas"), "; set cap in [arenas] to limit the arenas"},
		{"growth", 10, breakdown{}, same("arenas"), "; set cap in [arenas] below 10 to limit the arenas further"},
		{"growth", 9, breakdown{}, same("arenas"), "; run 'arenacap inspect 1234' to see why it has more arenas than the cap of 9"}, // 9 and the main one
		{"growth", 4, breakdown{}, breakdown{parts: same("arenas").parts, processes: 3}, "; set cap in [arenas] below 4 to limit the arenas further"},
		{"virtual", 0, breakdown{}, of(virtual("thread stacks", 9, 72*MiB), virtual("arenas", 1, MiB)), "; use fewer threads or a smaller 'ulimit -s' to reserve less"},
		{"virtual", 4, of(virtual("arenas", 9, 575*MiB), virtual("java heap", 1, GiB)), of(virtual("arenas", 9, 576*MiB), virtual("java heap", 1, 2*GiB)), "; limit the Java heap with -Xmx"},
		{"virtual", 4, breakdown{}, same("main heap"), deep},
		{"virtual", 4, breakdown{}, same("reserved"), `; a limit on "data" or "resident" does not count reserved memory`},
		{"virtual", 0, breakdown{}, same("kernel"), ""},
		{"virtual", 0, breakdown{}, breakdown{}, ""},
		{"arenas", 0, breakdown{}, breakdown{}, "; set cap in [arenas] to limit the arenas"},
		{"arenas", 1, breakdown{}, breakdown{}, "; run 'arenacap inspect 1234' to see why it has more arenas than the cap of 1"},
		{"data", 4, breakdown{}, same("arenas"), deep},
		{"data", 4, breakdown{}, same("file"), ""},
		{"data", 4, breakdown{}, breakdown{}, deep},
		{"resident", 0, breakdown{}, same("arenas"), deep},
		{"resident", 0, breakdown{}, same("thread stacks"), "; use fewer threads"},
		{"resident", 0, breakdown{}, same("other anonymous"), "; if the program needs this memory, raise resident in [budget]"},
	} {
		if got := attribute(test.metric, test.base, test.now).advice(test.metric, advised{1234, test.planned}); got != test.want {
			t.Errorf("%s, %d planned: %q, want %q", test.metric, test.planned, got, test.want)
		}
	}
}

func TestConfigCrossesThePipe(t *testing.T) {
	want := testConfig("virtual=4294967296")
	want.PID, want.Program, want.Notices = 7, "/opt/auth/AuthServer", []string{"a\nb"}
	data := want.Encode()
	got, err := decodeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := decodeConfig(append(data, 0)); err == nil {
		t.Error("a trailing byte is accepted")
	}
	for n := range data {
		if _, err := decodeConfig(data[:n]); err == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(data))
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"interval": func(c *Config) { c.Budget.Interval = 0 },
		"breach":   func(c *Config) { c.Budget.Breach.N = 6 },
		"warn_at":  func(c *Config) { c.Budget.WarnAt = 101 },
		"settle":   func(c *Config) { c.Budget.Settle = -1 },
		"metric":   func(c *Config) { c.Limits = []policy.Limit{{Metric: "swap", Bytes: 1}} },
	} {
		c := testConfig("")
		spoil(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := testConfig("").check(); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeConfig(f *testing.F) {
	f.Add(testConfig("virtual=1").Encode())
	least := Config{Budget: policy.Budget{Interval: time.Millisecond, Breach: policy.Window{N: 1, Of: 1}, WarnAt: 80}}
	f.Add(least.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeConfig(data)
		if err != nil {
			return
		}
		s := budget.New(c.Limits, c.Budget, c.Budget.Settle) // an accepted configuration must not make the state or an event fail
		r := budget.Reading{Virtual: 1 << 40, Data: 1 << 40, Resident: 1 << 40}
		for i := range 10 {
			s.Observe(c.Budget.Settle+time.Duration(i), r, func() (budget.Reading, bool) { return r, true })
		}
		if !json.Valid(started(c).line("json", someTime, subject{})) {
			t.Fatal("started is no JSON")
		}
	})
}

// TestPriorities checks the priorities of the events in the journal.
func TestPriorities(t *testing.T) {
	limits := budget.Change{Kind: eventBreach, Metric: "virtual", Value: 2, Limit: 1, Votes: 3, Of: 5}
	kinds := map[string]bool{}
	for _, test := range []struct {
		e    event
		want string
	}{
		{started(Config{}), "<6>"}, {capJudged(1234, 1, 4), "<6>"}, {exited(Outcome{}, 0, true), "<6>"},
		{acted(limits, "signal", "SIGUSR1", 1, "SIGUSR1 sent", false), "<5>"}, {recovered(limits), "<5>"},
		{exceeded(budget.Change{Kind: eventWarning, Metric: "virtual", Value: 1, Limit: 2}, 1, advised{}, nil), "<4>"}, {gap(1, 1), "<4>"}, {capJudged(1234, 9, 4), "<4>"}, {capCannotWork("x"), "<4>"}, {holdsMore(9, "x", 2, 1), "<4>"},
		{exceeded(limits, 1, advised{1234, 0}, nil), "<3>"}, {linesLost(1), "<3>"}, {watchEnded(Outcome{}, 1, "x"), "<5>"}, {watchFailed("x"), "<3>"}, {acted(limits, "command", "", 0, "x", true), "<3>"},
	} {
		kinds[test.e.kind] = true
		if got := test.e.priority().Prefix(); got != test.want {
			t.Errorf("%s: %s, want %s", test.e.kind, got, test.want)
		}
	}
	wantEachKind(t, kinds)
}
