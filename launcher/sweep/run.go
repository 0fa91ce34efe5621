package sweep

// What a run gives, and how it stands in a line of the file that keeps it.

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"arenacap/launcher/ordered"
)

// Run is one run under one cap. A number of bytes that is not known is 0; where Error is empty the values of all
// metrics are known.
type Run struct {
	Cap   string    `json:"cap"`
	Round int       `json:"round"` // from 1
	Start time.Time `json:"start"`

	Values map[string]float64 `json:"-"` // by the metric's name; keys of their own in JSON, behind the start
	Wall   float64            `json:"wall_seconds"`
	CPU    float64            `json:"cpu_seconds"` // user and system, of children that were waited for too

	VirtualPeak   uint64 `json:"virtual_peak_bytes,omitzero"`
	VirtualFinal  uint64 `json:"virtual_final_bytes,omitzero"`
	ResidentPeak  uint64 `json:"resident_peak_bytes,omitzero"`
	ResidentFinal uint64 `json:"resident_final_bytes,omitzero"`

	Arenas        int    `json:"arenas,omitzero"`   // the most that one process had
	NotKept       string `json:"not_kept,omitzero"` // why the cap did not count, "" where it did or that is not known
	ArenaReserved uint64 `json:"arena_reserved_bytes,omitzero"`
	ArenaResident uint64 `json:"arena_resident_bytes,omitzero"`

	MinorFaults         int64 `json:"minor_faults"`
	MajorFaults         int64 `json:"major_faults"`
	VoluntarySwitches   int64 `json:"voluntary_switches"`
	InvoluntarySwitches int64 `json:"involuntary_switches"`

	Exit   int    `json:"exit_status"`     // 128+n where signal n ended it
	Killed bool   `json:"killed,omitzero"` // a server that outlived the grace time
	Error  string `json:"error,omitzero"`
	Tail   string `json:"tail,omitzero"` // of the output, where there is an error
	Memory []Size `json:"memory,omitempty"`
}

// same reports whether two runs are of the same round and cap.
func (r Run) same(other Run) bool { return r.Cap == other.Cap && r.Round == other.Round }

// Failure is why a run failed, and the end of its output, as text that steers no terminal: it may come from a file.
func (r Run) Failure() (what, tail string) { return shownText(r.Error), shownText(r.Tail) }

// Size is the memory at one moment of a run.
type Size struct {
	Seconds  float64 `json:"seconds"`
	Virtual  uint64  `json:"virtual_bytes"`
	Resident uint64  `json:"resident_bytes"`
}

// behindValues is what follows the metrics in a run's JSON. In a string the quotes would have backslashes.
const behindValues = `,"wall_seconds":`

// MarshalJSON writes each metric that is not 0, and the first one.
func (r Run) MarshalJSON() ([]byte, error) {
	var values ordered.Object
	for i, m := range Metrics {
		if v := m.Of(r); v != 0 || i == 0 {
			values = append(values, m.Name, v)
		}
	}
	between, err := values.MarshalJSON()
	if err != nil {
		return nil, err
	}
	type plain Run // without this method
	text, err := json.Marshal(plain(r))
	before, after, _ := strings.Cut(string(text), behindValues)
	return []byte(before + "," + string(between[1:len(between)-1]) + behindValues + after), err
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Run) UnmarshalJSON(text []byte) error {
	type plain Run
	var all map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, (*plain)(r)), json.Unmarshal(text, &all)); err != nil {
		return err
	}
	r.Values = map[string]float64{}
	for _, m := range Metrics {
		if value, ok := all[m.Name]; ok {
			var v float64
			if err := json.Unmarshal(value, &v); err != nil {
				return err
			}
			r.Values[m.Name] = v
		}
	}
	return nil
}
