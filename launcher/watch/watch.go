// Package watch samples running processes against a memory budget and says, and does, what the policy
// asks for when a limit is passed.
//
// Found, planned, done: process_linux.go, scope_linux.go and census.go find the processes and read them; metric.go and
// state.go decide, without a process; sample_linux.go, action_linux.go and report_linux.go act. The loop that gives each
// target its turn (engine_linux.go) has one thread: a single epoll_wait(2) waits for the ends of processes, the end of a
// command and the next sample. No other goroutine is needed.
//
// A process is held by a pidfd and is never looked up by its number again: another process that has got its PID since is
// never taken for it.
package watch

import (
	"fmt"
	"time"

	"arenacap/policy"
)

// ProcessName is what the name of a separate watch process begins with; the target's PID follows. No word
// of the target's command line is in it, so that a pkill for the target does not meet the watch.
const ProcessName = "arenacap: watch "

// Config is everything a watch needs. It crosses a pipe, because the watch process has an empty environment and keeps
// nothing of the launching process.
type Config struct {
	PID        int      // the target of Detached; Run has its targets as an argument
	Service    string   // "" is none
	Program    string   // path of the target; its last part names it where no service does
	Server     string   // path of the program that the target's carriers start, or Program; "" is not known
	PolicyFile string   // ARENACAP_POLICY of a command; "" is none
	Path       string   // PATH of a command
	Mode       string   // "exec", "supervise" or "attach"; it is in the event started
	Cap        int      // the arenas that were planned; 0 plans none and verifies none
	Notices    []string // why the cap cannot work, a line each, reported once after started

	// OnUnenforceable is [launch] on_unenforceable: whether a watch process should find the Notices itself.
	OnUnenforceable string

	Budget  policy.Budget
	Limits  []policy.Limit
	Log     policy.Log
	Journal bool // stderr is systemd's journal (package journal): lines of text begin with their priority there
	Verbose bool
	Quiet   bool // in text only: breach, action, watch-failed and the end of a breach, nothing below
}

// check refuses what no policy gives and what would make the engine spin or never decide.
func (c Config) check() error {
	switch b := c.Budget; {
	case b.Interval < time.Millisecond:
		return fmt.Errorf("interval %s is under 1ms", b.Interval)
	case b.Breach.N < 1 || b.Breach.Of < b.Breach.N || b.Breach.Of > 1<<16:
		return fmt.Errorf("breach %d/%d is no window; write for example 3/5", b.Breach.N, b.Breach.Of)
	case b.WarnAt < 1 || b.WarnAt > 100:
		return fmt.Errorf("warn_at %d%% is not from 1%% to 100%%", b.WarnAt)
	case b.Settle < 0 || b.Grace < 0 || b.Timeout < 0:
		return fmt.Errorf("settle, grace and timeout cannot be under 0")
	}
	for _, l := range c.Limits {
		if _, known := metrics[l.Metric]; !known {
			return fmt.Errorf("metric %q cannot be read from a sample", l.Metric)
		}
	}
	if c.Budget.Action == "signal" {
		_, err := parseSignal(c.Budget.Signal)
		return err
	}
	return nil
}

// Outcome is what a watch saw of one target.
type Outcome struct {
	PID          int
	Breaches     int    // how often a limit was breached
	Terminated   bool   // the action terminate was taken
	Processes    int    // the most that were counted at once
	PeakVirtual  uint64 // bytes, the largest sum that was sampled
	PeakResident uint64 // bytes
	Arenas       int    // the most that were counted; 0 is not known
	CapKept      bool   // counts only with CapKnown
	CapKnown     bool
	Elapsed      time.Duration // from the start of the watch to the end of the target, or of the watch
}
