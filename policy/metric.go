package policy

// This file has the metrics that a budget can limit. To add a metric, add a row here, and its value to metric.go of
// launcher/watch/budget.

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"arenacap/policy/text"
)

// metric is a key of [budget] that sets a limit. Plans and events use the same name.
type metric struct {
	name     string
	relative bool // may be a percentage of the machine's memory
}

// metrics is in the order of the manual.
var metrics = [...]metric{
	{name: "virtual"},                  // VmSize
	{name: "growth"},                   // VmSize minus its value at the end of the settle time
	{name: "data", relative: true},     // private writable memory, the data column of /proc/PID/statm
	{name: "resident", relative: true}, // VmRSS
	{name: "arenas"},                   // address space that the arenas reserve
}

// virtual is the index of the metric that `hard` and --budget use.
const virtual = 0

// Metrics lists the names of all metrics, in the order of the manual.
func Metrics() []string { return metricNames(func(metric) bool { return true }) }

func metricNames(wanted func(metric) bool) (names []string) {
	for _, m := range metrics {
		if wanted(m) {
			names = append(names, m.name)
		}
	}
	return names
}

// relativeMetrics lists the metrics that may be a percentage, for a message: "data and resident".
func relativeMetrics() string {
	return strings.Join(metricNames(func(m metric) bool { return m.relative }), " and ")
}

// limitKeys are the keys of [budget] that set limits.
func limitKeys() (keys []key) {
	for i, m := range metrics {
		keys = append(keys, key{m.name, func(v value, p *Policy) { p.Budget.Limits[i] = v.limit(m.relative) }})
	}
	return keys
}

// limits returns the limits that are set, in bytes.
func (b Budget) limits(memory Reading[uint64]) (limits []Limit, err error) {
	for i, size := range b.Limits {
		if size.isZero() {
			continue
		}
		l := Limit{metrics[i].name, size.Bytes, size.From}
		if size.Percent != 0 {
			if memory.N == 0 {
				return nil, fmt.Errorf("%s = \"%g%%\" (%s) needs the machine's memory, which is %s; write the limit in bytes", l.Metric, size.Percent, size.From, memory)
			}
			l.Bytes = share(memory.N, size.Percent)
			l.From = fmt.Sprintf("%s: %g%% of %s, %s", size.From, size.Percent, text.Size(memory.N), memory.From)
		}
		limits = append(limits, l)
	}
	return limits, nil
}

// share computes a percentage of bytes, exact to a millionth of a percent. The result is at least 1, because 0 means no
// limit.
func share(bytes uint64, percent float64) uint64 {
	hi, lo := bits.Mul64(bytes, uint64(math.Round(percent*1e6)))
	quo, _ := bits.Div64(hi, lo, 100_000_000) // cannot overflow: percent is at most 100
	return max(1, quo)
}
