package watch

// What a sample reads, and which metric of a budget is which part of it.

// reading is one sample of everything that is counted, in bytes.
type reading struct {
	virtual, data, resident uint64
	arenas                  uint64 // address space that arenas reserve
	arenasKnown             bool
	processes               int
}

// metric is how the value of a limit follows from a reading.
type metric struct {
	value       func(r reading, base uint64) uint64 // base is the virtual size when settle ended
	needsArenas bool                                // they must have been counted
}

// metrics has a row for each metric of package policy.
var metrics = map[string]metric{
	"virtual":  {value: func(r reading, _ uint64) uint64 { return r.virtual }},
	"growth":   {value: func(r reading, base uint64) uint64 { return max(r.virtual, base) - base }},
	"data":     {value: func(r reading, _ uint64) uint64 { return r.data }},
	"resident": {value: func(r reading, _ uint64) uint64 { return r.resident }},
	"arenas":   {value: func(r reading, _ uint64) uint64 { return r.arenas }, needsArenas: true},
}

// known reports whether the value of the metric follows from a reading.
func (m metric) known(r reading) bool { return r.arenasKnown || !m.needsArenas }
