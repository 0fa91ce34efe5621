package sweep

// This file defines the result of a run, and its JSON form in the file of a Record.

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"arenacap/launcher/ordered"
)

// Run is one run under one cap. A number of bytes is 0 if it is not known. If Error is empty, all metrics have a value.
type Run struct {
	Cap   string    `json:"cap"`
	Round int       `json:"round"` // number of the round, from 1
	Start time.Time `json:"start"`

	Values map[string]float64 `json:"-"` // values of the metrics, by the metric's name; in JSON each is a key of the run, after start
	Wall   float64            `json:"wall_seconds"`
	CPU    float64            `json:"cpu_seconds"` // user and system time, including children that the program waited for

	VirtualPeak   uint64 `json:"virtual_peak_bytes,omitzero"`
	VirtualFinal  uint64 `json:"virtual_final_bytes,omitzero"`
	ResidentPeak  uint64 `json:"resident_peak_bytes,omitzero"`
	ResidentFinal uint64 `json:"resident_final_bytes,omitzero"`

	Arenas        int    `json:"arenas,omitzero"`   // maximum number of arenas in one process
	NotKept       string `json:"not_kept,omitzero"` // why the cap had no effect; "" if it had one, or if that is not known
	ArenaReserved uint64 `json:"arena_reserved_bytes,omitzero"`
	ArenaResident uint64 `json:"arena_resident_bytes,omitzero"`

	MinorFaults         int64 `json:"minor_faults"`
	MajorFaults         int64 `json:"major_faults"`
	VoluntarySwitches   int64 `json:"voluntary_switches"`
	InvoluntarySwitches int64 `json:"involuntary_switches"`

	Exit   int    `json:"exit_status"`     // 128+n if signal n killed it
	Killed bool   `json:"killed,omitzero"` // true for a server that outlived the grace time
	Error  string `json:"error,omitzero"`
	Tail   string `json:"tail,omitzero"` // end of the output, if there is an error
	Memory []Size `json:"memory,omitempty"`
}

// same reports whether two runs have the same round and cap.
func (r Run) same(other Run) bool { return r.Cap == other.Cap && r.Round == other.Round }

// Failure is why a run failed, and the end of its output. Both may come from a file, so control characters are escaped.
func (r Run) Failure() (what, tail string) { return shownText(r.Error), shownText(r.Tail) }

// Size is the memory at one moment of a run.
type Size struct {
	Seconds  float64 `json:"seconds"`
	Virtual  uint64  `json:"virtual_bytes"`
	Resident uint64  `json:"resident_bytes"`
}

// behindValues is the text after the metrics in a run's JSON. It cannot occur in a string, where quotes are escaped.
const behindValues = `,"wall_seconds":`

// MarshalJSON writes the values of the metrics as keys of the run. It leaves out a metric with the value 0, except the
// first metric.
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
	type plain Run // has no method MarshalJSON, so json.Marshal does not call it again
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
