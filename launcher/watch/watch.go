// Package watch compares the memory of running processes with a budget, reports breaches and takes the action of the
// policy.
//
// process_linux.go, scope_linux.go and census.go find the processes and read them; package budget decides and does no I/O;
// sample_linux.go, action_linux.go and report_linux.go act. The loop (engine_linux.go) runs on one thread: a single
// epoll_wait(2) waits for the end of a process, the end of a command and the next sample. Package view is what a terminal
// shows, package statefile what the watch of a host keeps.
//
// The watch holds each process by a pidfd and signals it through the pidfd, because the kernel may give the PID to
// another process. Arenas and parts, which are read by the PID, count only if the process still runs after the reading.
//
// Words of this package:
//   - target: a watched process
//   - scope: the processes that count for the budget of a target
//   - settle: the time after the start in which no sample counts
//   - sample: one reading of the sizes of all processes of a scope
//   - census: a count of the arenas of one process
//   - attribution: what the value of a metric consists of, and what grew
//   - carrier: a program that only starts another one (package target)
//   - kin: the descendants of a target with scope "process" or "cgroup"
//   - member: a target of the watch of a host
package watch

import (
	"fmt"
	"time"

	"arenacap/launcher/watch/budget"
	"arenacap/policy"
)

// Config is the input of a watch. A launch sends it to a separate watch process through a pipe, because this process
// starts with an empty environment and shares no memory with the launch.
type Config struct {
	PID        int      // the target, for Detached and Failed; Run takes its targets as an argument
	Service    string   // name of the service; "": none
	Program    string   // path of the target; without a service its base name is the label in events
	Server     string   // path of the program that the last carrier (package target) starts; Program if there are none; "": unknown
	PolicyFile string   // path of the policy file, the value of ARENACAP_POLICY for the policy's command; "": none
	Path       string   // the value of PATH for the policy's command
	Mode       string   // how the watch was started: "exec", "supervise" or "attach"; shown in the event "started"
	Cap        int      // the planned number of arenas; 0: no cap, and none is verified
	Notices    []string // reasons why the cap cannot work, one line each, reported once after the event "started"

	// OnUnenforceable is [launch] on_unenforceable. With "warn" the watch process also looks for reasons why the cap
	// cannot work, and adds them to Notices.
	OnUnenforceable string

	Budget  policy.Budget
	Limits  []policy.Limit
	Log     policy.Log
	Journal bool // stderr is systemd's journal (package journal): text lines begin with a priority
	Verbose bool
	Quiet   bool // a log in text format leaves out warnings and other events (see the method "wanted")
}

// check rejects values that would make the engine spin or never decide. A policy file cannot contain them.
func (c Config) check() error {
	switch b := c.Budget; {
	case b.Interval < time.Millisecond:
		return fmt.Errorf("interval %s is too short; the minimum is 1ms", b.Interval)
	case b.Breach.N < 1 || b.Breach.Of < b.Breach.N || b.Breach.Of > 1<<16:
		return fmt.Errorf("breach %d/%d is invalid; write N/M with 1 <= N <= M <= 65536, for example 3/5", b.Breach.N, b.Breach.Of)
	case b.WarnAt < 1 || b.WarnAt > 100:
		return fmt.Errorf("warn_at %d%% is out of range; write 1%% to 100%%", b.WarnAt)
	case b.Settle < 0 || b.Grace < 0 || b.Timeout < 0:
		return fmt.Errorf(`"settle", "grace" and "timeout" must not be negative`)
	}
	for _, l := range c.Limits {
		if _, known := budget.Metric(l.Metric); !known {
			return fmt.Errorf("unknown metric %q", l.Metric)
		}
	}
	if c.Budget.Action == "signal" {
		_, err := parseSignal(c.Budget.Signal)
		return err
	}
	return nil
}

// Outcome is the summary of one target.
type Outcome struct {
	PID          int
	Breaches     int
	Terminated   bool   // the action terminate was taken
	Processes    int    // the largest number of processes in one sample
	PeakVirtual  uint64 // bytes; the largest total of the scope's processes in one sample, or of the target in one peek
	PeakResident uint64 // bytes; likewise
	Arenas       int    // the largest number of arenas that one census of the server found (kin_linux.go); 0: unknown
	CapKept      bool   // valid only with CapKnown
	CapKnown     bool
	Elapsed      time.Duration // from the start of the watch to the end of the scope's last process, or of the watch
}
