package watch

// The result of a sample, and how each metric of a budget follows from it.

// reading is the sum of one sample over all counted processes, in bytes.
type reading struct {
	virtual, data, resident uint64
	arenas                  uint64 // address space that arenas reserve
	arenasKnown             bool
	processes               int
}

// metric computes the value of a limit from a reading.
type metric struct {
	value       func(r reading, base uint64) uint64 // base is the virtual size at the end of settle
	needsArenas bool                                // valid only if the arenas were counted
}

// metrics has one entry per metric of package policy.
var metrics = map[string]metric{
	"virtual":  {value: func(r reading, _ uint64) uint64 { return r.virtual }},
	"growth":   {value: func(r reading, base uint64) uint64 { return max(r.virtual, base) - base }},
	"data":     {value: func(r reading, _ uint64) uint64 { return r.data }},
	"resident": {value: func(r reading, _ uint64) uint64 { return r.resident }},
	"arenas":   {value: func(r reading, _ uint64) uint64 { return r.arenas }, needsArenas: true},
}

// known reports whether r has the metric.
func (m metric) known(r reading) bool { return r.arenasKnown || !m.needsArenas }
