package sweep

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestLadder(t *testing.T) {
	for limit, want := range map[int]string{
		1: "off", 2: "off 1", 8: "off 1 2 4", 9: "off 1 2 4 8", 16: "off 1 2 4 8", 32: "off 1 2 4 8 16", 512: "off 1 2 4 8 16 64 256", 65: "off 1 2 4 8 16 64",
	} {
		if got := strings.Join(Ladder(limit), " "); got != want {
			t.Errorf("limit %d: %s, want %s", limit, got, want)
		}
	}
}

// metrics are the first ones of the list, with patterns as people write them: "" is the wall time.
func metrics(patterns ...string) (list []Metric) {
	for i, pattern := range patterns {
		m := Metrics[i]
		if pattern != "" {
			var err error
			if m, err = m.Parse(pattern); err != nil {
				panic(err)
			}
		}
		list = append(list, m)
	}
	return list
}

// values are those of the first metrics.
func values(list ...float64) map[string]float64 {
	m := map[string]float64{}
	for i, v := range list {
		m[Metrics[i].Name] = v
	}
	return m
}

func TestParseMetric(t *testing.T) {
	for s, want := range map[string]struct {
		pattern string
		lower   bool
	}{
		"tps: (.*)":        {"tps: (.*)", false},
		"lower:tps: (.*)":  {"tps: (.*)", true},
		"higher:a=(.*)":    {"a=(.*)", false},
		"name=(.*)":        {"name=(.*)", false},
		"lowered to ([0])": {"lowered to ([0])", false},
	} {
		if m, err := Metrics[0].Parse(s); err != nil || m.Pattern != want.pattern || m.LowerIsBetter() != want.lower {
			t.Errorf("%q: %v, %v", s, m, err)
		}
	}
	for _, bad := range []string{"", "lower:", "(", "a{2,1}"} {
		if m, err := Metrics[1].Parse(bad); err == nil {
			t.Errorf("%q is %v", bad, m)
		}
	}
	if m, _ := Metrics[1].Parse("x"); !m.LowerIsBetter() || !Metrics[0].LowerIsBetter() {
		t.Error("the directions are wrong")
	}
}

// Output of real tools, as they print it.
func TestFindMetric(t *testing.T) {
	const sysbench = "SQL statistics:\n    queries:                             101168 (33526.72 per sec.)\nLatency (ms):\n         95th percentile:                       74.46\n"
	const wrk = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   635.91us    0.89ms  12.92ms   93.69%\nRequests/sec:  12321.10\n"
	const ab = "Requests per second:    5274.54 [#/sec] (mean)\n  50%      1\n  99%     12\n"
	for _, c := range []struct {
		text, pattern string
		want          float64
	}{
		{sysbench, `queries: +\d+ +\(([0-9.]+) per sec`, 33526.72},
		{sysbench, `95th percentile: +(\S+)`, 74.46},
		{wrk, `Requests/sec: +(.*)`, 12321.10},
		{wrk, `Latency +(\S+)`, 0.00063591},
		{ab, `^ *99% +(\d+)`, 12},
		{"1\n2\n3\n", `^\d$`, 3},
		{"rate: 1e3\r\n", `rate: (.*)`, 1000},
	} {
		if got, err := (Metric{Pattern: c.pattern}).find([]byte(c.text)); err != nil || got != c.want {
			t.Errorf("%q: %v, %v, want %v", c.pattern, got, err, c.want)
		}
	}
	for _, bad := range []string{"x: NaN", "x: Inf", "x: ", "x: 1,000", "y: 1", "x: 1e999"} {
		if got, err := (Metric{Pattern: "x: (.*)"}).find([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestOutputKeepsTheEnd(t *testing.T) {
	var o output
	for i := range 400_000 {
		_, _ = o.Write([]byte(strconv.Itoa(i) + "\n"))
	}
	text := o.bytes()
	if len(text) < keptOutput || len(text) > 2*keptOutput || !bytes.HasSuffix(text, []byte("\n399999\n")) {
		t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-10:])
	}
	if tail := o.tail(); strings.Count(tail, "\n") != tailLines-1 || !strings.HasSuffix(tail, "399998\n399999") {
		t.Errorf("the tail is %q", tail)
	}
	o = output{}
	_, _ = o.Write(append(bytes.Repeat([]byte("x"), 10_000), 0xff))
	if tail := o.tail(); len(tail) > tailBytes+2 || !strings.HasSuffix(tail, "x�") {
		t.Errorf("one long line has a tail of %d bytes", len(tail))
	}
}

// A metric that was printed too early is not found, and the error says where it was looked for.
func TestOutputSearched(t *testing.T) {
	const told = "; only its last MiB was searched"
	m := Metric{Pattern: "rate (.*)"}
	for _, c := range []struct {
		after int
		text  string
		want  string
	}{
		{keptOutput - len("rate 5\n"), "rate 5\n", ""},
		{keptOutput, "rate 5\n", `nothing in the output matches "rate (.*)"` + told},
		{3 * keptOutput, "rate 5\n", `nothing in the output matches "rate (.*)"` + told},
		{keptOutput - 1, "\n", `nothing in the output matches "rate (.*)"`},
		{0, "rate x\n", `"x" is no number; put the number alone into the regular expression's first group`},
	} {
		var o output
		_, _ = o.Write([]byte(c.text))
		_, _ = o.Write(bytes.Repeat([]byte("\n"), c.after))
		v, err := o.find(m)
		if c.want == "" && (v != 5 || err != nil) || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%d bytes after %q: %g, %v, want %q", c.after, c.text, v, err, c.want)
		}
	}
}

// What a program prints does not reach a terminal as it is.
func TestOutputIsShownAsText(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[2Jcleared\a": `\x1b[2Jcleared\a`, "a\tb\r\nc\rd\n": "a\tb\nc\\rd", "é ✓ 'it' \"is\"": "é ✓ 'it' \"is\"", "\u009b31m\u202eright to left\x00": `\u009b31m\u202eright to left\x00`,
	} {
		var o output
		_, _ = o.Write([]byte(text))
		if got := o.tail(); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	r := Run{Error: "it \x1b[1m", Tail: "says \x1b[0m\nand ends"} // of a journal
	if what, tail := r.Failure(); what != `it \x1b[1m` || tail != "says \\x1b[0m\nand ends" {
		t.Errorf("%q, %q", what, tail)
	}
}

func TestThin(t *testing.T) {
	var sizes []Size
	for i := range 1000 {
		sizes = append(sizes, Size{Seconds: float64(i) * 0.02})
	}
	got := thin(sizes, 200)
	if len(got) != 200 || got[0] != sizes[0] || got[199] != sizes[999] || !slices.IsSortedFunc(got, func(a, b Size) int {
		if a.Seconds < b.Seconds {
			return -1
		}
		return 1
	}) {
		t.Errorf("%d samples, from %v to %v", len(got), got[0], got[len(got)-1])
	}
	if got := thin(sizes[:10], 200); len(got) != 10 {
		t.Errorf("%d of 10", len(got))
	}
}

func FuzzMetric(f *testing.F) {
	f.Add("rate: (.*)", []byte("rate: 1.5ms\n"))
	f.Fuzz(func(t *testing.T, pattern string, text []byte) {
		m, err := Metrics[0].Parse(pattern)
		if err != nil {
			return
		}
		if v, err := m.find(text); err == nil && v-v != 0 {
			t.Errorf("%q finds %v", pattern, v)
		}
	})
}
