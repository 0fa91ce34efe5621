package policy

// The metrics that a budget can limit. To add one, add a row here and, in package watch (metric.go there), how its value
// is read.

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// metric is a key of [budget] that is a limit, and the name of that limit in plans and events.
type metric struct {
	name     string
	relative bool // it may be a percentage of the machine's memory
}

// metrics has them in the order of the policy file.
var metrics = [...]metric{
	{name: "virtual"},                  // VmSize
	{name: "growth"},                   // VmSize less its value when settle ended
	{name: "data", relative: true},     // private writable memory, the data column of /proc/PID/statm
	{name: "resident", relative: true}, // VmRSS
	{name: "arenas"},                   // address space that arenas reserve
}

// virtual is the row of that name, which `hard` and --budget are about.
const virtual = 0

// Metrics is the names of all metrics, in the order of the policy file.
func Metrics() []string { return metricNames(func(metric) bool { return true }) }

func metricNames(wanted func(metric) bool) (names []string) {
	for _, m := range metrics {
		if wanted(m) {
			names = append(names, m.name)
		}
	}
	return names
}

// relativeMetrics is those that may be a percentage, for a message: "data and resident".
func relativeMetrics() string {
	return strings.Join(metricNames(func(m metric) bool { return m.relative }), " and ")
}

// limitKeys is the keys of [budget] that are limits.
func limitKeys() (keys []key) {
	for i, m := range metrics {
		keys = append(keys, key{m.name, func(v value, p *Policy) { p.Budget.Limits[i] = v.limit(m.relative) }})
	}
	return keys
}

// limits is the limits that are set, in bytes, on a machine with so much memory.
func (b Budget) limits(memory Reading[uint64]) (limits []Limit, err error) {
	for i, size := range b.Limits {
		if size.isZero() {
			continue
		}
		l := Limit{metrics[i].name, size.Bytes, size.From}
		if size.Percent != 0 {
			if memory.N == 0 {
				return nil, fmt.Errorf("%s = \"%g%%\" (%s) needs the machine's memory, which is %s; write bytes", l.Metric, size.Percent, size.From, unknown(memory.Why))
			}
			l.Bytes = share(memory.N, size.Percent)
			l.From = fmt.Sprintf("%s: %g%% of %s, %s", size.From, size.Percent, FormatSize(memory.N), memory.From)
		}
		limits = append(limits, l)
	}
	return limits, nil
}

// share is the percentage of so many bytes, exact to the millionth of a per cent. It is never 0, which
// would be no limit.
func share(bytes uint64, percent float64) uint64 {
	hi, lo := bits.Mul64(bytes, uint64(math.Round(percent*1e6)))
	quo, _ := bits.Div64(hi, lo, 100_000_000) // percent is at most 100, so the result fits
	return max(1, quo)
}
