package budget

// This file has the result of a sample, and computes each metric of a budget from it.

import "arenacap/launcher/proc"

// Reading is the sum of one sample over all counted processes, in bytes.
type Reading struct {
	Virtual, Data, Resident uint64
	arenas                  uint64 // address space that arenas reserve
	uncounted               bool   // the arenas of at least one process are not known
	Processes               int
}

// Add adds the sizes of one process.
func (r *Reading) Add(s proc.Statm) {
	r.Processes++
	r.Virtual += s.Size.Bytes()
	r.Data += s.Data.Bytes()
	r.Resident += s.Resident.Bytes()
}

// AddArenas adds the address space of one process's arenas.
func (r *Reading) AddArenas(reserved uint64, known bool) {
	r.arenas += reserved
	r.uncounted = r.uncounted || !known
}

// Value returns a metric of the reading; base is the virtual size at the end of the settle time. The result "known" is
// false if there is no such metric, or if the metric needs the arenas and those of a process are not known.
func (r Reading) Value(metric string, base uint64) (v uint64, known bool) {
	m, known := metrics[metric]
	if !known || m.needsArenas && r.uncounted {
		return 0, false
	}
	return m.value(r, base), true
}

// Metric reports whether a metric is known, and whether its value needs the arenas.
func Metric(name string) (needsArenas, known bool) {
	m, known := metrics[name]
	return m.needsArenas, known
}

// metric computes the value of one metric from a reading.
type metric struct {
	value       func(r Reading, base uint64) uint64
	needsArenas bool // the value is known only if the arenas of every process are known
}

// metrics has one entry per metric of package policy.
var metrics = map[string]metric{
	"virtual":  {value: func(r Reading, _ uint64) uint64 { return r.Virtual }},
	"growth":   {value: func(r Reading, base uint64) uint64 { return max(r.Virtual, base) - base }},
	"data":     {value: func(r Reading, _ uint64) uint64 { return r.Data }},
	"resident": {value: func(r Reading, _ uint64) uint64 { return r.Resident }},
	"arenas":   {value: func(r Reading, _ uint64) uint64 { return r.arenas }, needsArenas: true},
}
