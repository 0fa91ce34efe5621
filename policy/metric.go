package policy

// The metrics that a budget can limit. To add one, add a row here and, in package watch (metric.go there), how its value
// is read.

import (
	"fmt"
	"slices"
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

// Sizes is the limit of each metric, in the order of the table.
type Sizes [len(metrics)]Size

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

// Override lays the flag --budget over the limits: a size of the virtual memory, or "off" for none of any metric.
func (b *Budget) Override(text string) error {
	if text == "off" {
		b.Limits, b.Hard = Sizes{}, false
		return nil
	}
	size, err := ParseSize(text)
	if err == nil && size.Percent != 0 {
		err = fmt.Errorf("size %q: a percentage works for the %s limits of a policy file only; write bytes, for example \"4GiB\"", text, relativeMetrics())
	}
	if err != nil {
		return err
	}
	size.From = "--budget"
	b.Limits[virtual] = size
	return nil
}

// limit reads a limit; known is false where the key is none.
func (v value) limit(limits *Sizes) (known bool) {
	i := slices.IndexFunc(metrics[:], func(m metric) bool { return m.name == v.name })
	if i < 0 {
		return false
	}
	limits[i] = v.size(metrics[i].relative)
	return true
}

// inBytes is the limits of a machine with so much memory.
func (s Sizes) inBytes(memory Reading[uint64]) (limits []Limit, err error) {
	for i, size := range s {
		if size.IsZero() {
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

// relative reports whether a limit is a percentage.
func (s Sizes) relative() bool {
	return slices.ContainsFunc(s[:], func(size Size) bool { return size.Percent != 0 })
}
