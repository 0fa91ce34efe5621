package sweep

// This file defines the metrics by which runs are compared: their list, their syntax, and how a value is found in a
// program's output.

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Metrics are all metrics, in the order in which every output lists them. A new metric needs only a new element here.
var Metrics = []Metric{
	{Name: "throughput", Flag: "metric", Usage: "find the throughput by `REGEX` in the output of the load or of PROGRAM (default: PROGRAM's wall time)", Timed: true},
	{Name: "latency", Flag: "latency", Usage: "find the latency by `REGEX` in the output of the load or of PROGRAM", Lower: true},
}

// Metric is a number by which caps are compared.
type Metric struct {
	Name    string // name in sentences, in JSON keys and in CSV columns
	Flag    string // the flag that sets the pattern
	Usage   string // help text of the flag
	Lower   bool   // a lower value found by the pattern is better
	Timed   bool   // without a pattern, the metric is the wall time in seconds; if false, the metric is not measured without a pattern
	Pattern string // a regular expression

	reversed bool // Lower differs from the value that the metric with the same name has in Metrics
}

// Parse returns the metric with a pattern: a regular expression whose first group, or else its whole match, is the number.
// The prefix "higher:" or "lower:" says which values are better.
func (m Metric) Parse(s string) (Metric, error) {
	pattern, lower := s, m.Lower
	if rest, ok := strings.CutPrefix(s, "higher:"); ok {
		pattern, lower = rest, false
	} else if rest, ok := strings.CutPrefix(s, "lower:"); ok {
		pattern, lower = rest, true
	}
	if pattern == "" {
		return m, fmt.Errorf("%q is not a regular expression; write for example 'queries: *([0-9.]+)'", s)
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return m, fmt.Errorf("%q is not a regular expression: %s", pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	m.Pattern, m.Lower, m.reversed = pattern, lower, lower != m.Lower
	return m, nil
}

// Measured reports whether a run has a value of the metric.
func (m Metric) Measured() bool { return m.Timed || m.Pattern != "" }

// Of is the value of a run.
func (m Metric) Of(r Run) float64 { return r.Values[m.Name] }

// Values are the values of some runs.
func (m Metric) Values(runs []Run) []float64 {
	values := make([]float64, len(runs))
	for i, run := range runs {
		values[i] = m.Of(run)
	}
	return values
}

// LowerIsBetter reports whether lower values are better.
func (m Metric) LowerIsBetter() bool { return m.Lower || m.Pattern == "" }

// Better says in words which values are better.
func (m Metric) Better() string {
	if m.LowerIsBetter() {
		return "less is better"
	}
	return "more is better"
}

// Title is the title of a chart.
func (m Metric) Title() string {
	if m.Pattern == "" {
		return "Wall time in seconds"
	}
	return strings.ToUpper(m.Name[:1]) + m.Name[1:]
}

// Heading is the title of a column. It says which values are better only if the pattern's prefix has changed that.
func (m Metric) Heading() string {
	if m.reversed {
		return m.Title() + " (" + m.Better() + ")"
	}
	return m.Title()
}

// Word is the metric's name in a sentence.
func (m Metric) Word() string {
	if m.Pattern == "" {
		return "wall time"
	}
	return m.Name
}

var errNoMatch = errors.New("nothing in the output matches")

// find returns the number in the last match, because programs print their total last.
func (m Metric) find(output []byte) (float64, error) {
	re, err := regexp.Compile("(?m)" + m.Pattern)
	if err != nil {
		return 0, err
	}
	all := re.FindAllSubmatch(output, -1)
	if all == nil {
		return 0, fmt.Errorf("%w %q", errNoMatch, m.Pattern)
	}
	last := all[len(all)-1]
	return parseNumber(string(last[min(1, len(last)-1)]))
}

// parseNumber reads a decimal number, or a duration such as "1.20ms" or "635us" as seconds.
func parseNumber(s string) (float64, error) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseFloat(s, 64); err == nil && n-n == 0 { // false if n is infinite or NaN
		return n, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d.Seconds(), nil
	}
	return 0, fmt.Errorf("the match %q is not a number; put only the number into the regular expression's first group", s)
}
