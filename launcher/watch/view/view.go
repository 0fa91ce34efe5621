// Package view has the data that a watch shows at a terminal: the state of each limit.
package view

// Screen shows a running watch at a terminal. The watch calls its methods on the thread that takes the samples, so
// they must not block.
type Screen interface {
	// Show replaces what is shown. The watch calls it once a second, and after lines that it wrote through Above.
	Show(rows []Row)
	// Above calls write, which prints a line to stderr, so that the line stays readable above what is shown.
	Above(write func())
}

// Row is one limit of a service or, in a watch of PIDs, of a process.
type Row struct {
	Name      string // name of the service or process, without control characters
	Processes int    // number of processes in the latest samples of all targets
	Metric    string
	Value     uint64 // bytes, valid only with Known; of a service with several targets, the largest value
	Known     bool
	Limit     uint64 // limit in bytes
	State     State  // the most urgent state of all targets
}

// State is the state of a limit.
type State int

// These are the states, in the order of their urgency.
const (
	Absent   State = iota // no process runs
	Settling              // the settle time of [budget] has not passed yet
	OK
	Warning
	Breach
	Terminating // SIGTERM was sent, and SIGKILL follows
)

func (s State) String() string {
	return [...]string{"not running", "settling", "ok", "warning", "breach", "terminating"}[s]
}
