package sweep

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Metric is a number in a program's output. The zero Metric is the wall time in seconds, of which less is better.
type Metric struct {
	Pattern string // a regular expression; "" is the wall time
	Lower   bool   // less is better
}

// LowerIsBetter reports the metric's direction.
func (m Metric) LowerIsBetter() bool { return m.Lower || m.Pattern == "" }

// ParseMetric reads a metric as people write it: a regular expression whose first group, or else its whole match,
// is the number, with "higher:" or "lower:" before it to say which is better.
func ParseMetric(s string, lower bool) (Metric, error) {
	pattern := s
	if rest, ok := strings.CutPrefix(s, "higher:"); ok {
		pattern, lower = rest, false
	} else if rest, ok := strings.CutPrefix(s, "lower:"); ok {
		pattern, lower = rest, true
	}
	if pattern == "" {
		return Metric{}, fmt.Errorf("%q is no regular expression; write for example 'queries: *([0-9.]+)'", s)
	}
	if _, err := regexp.Compile("(?m)" + pattern); err != nil {
		return Metric{}, fmt.Errorf("%q is no regular expression: %w", pattern, err)
	}
	return Metric{Pattern: pattern, Lower: lower}, nil
}

var errNoMatch = errors.New("nothing in the output matches")

// find is the number that the last match has: what programs print last is the sum of it all.
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
	if n, err := strconv.ParseFloat(s, 64); err == nil && n-n == 0 { // neither infinite nor NaN
		return n, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d.Seconds(), nil
	}
	return 0, fmt.Errorf("%q is no number; put the number alone into the regular expression's first group", s)
}
