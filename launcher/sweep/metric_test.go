package sweep

import (
	"testing"
)

// metrics gives each pattern to the metric at the same position in Metrics, and returns these metrics. Without a pattern
// ("") the metric is the wall time.
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

// values returns the values of a run: one for each of the first metrics of the list.
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
		t.Error("a latency with a pattern and a wall time should be better if lower")
	}
}

// TestFindMetric searches output of sysbench, wrk and ab, and texts in which the pattern finds no number.
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
