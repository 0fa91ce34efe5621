// Package policy reads the operator's policy and computes a plan from it. A cap is the largest number of malloc
// arenas (MALLOC_ARENA_MAX).
//
// Lookup.Load finds and reads the policy file (TOML). Check lists all problems of a file. Policy.Resolve combines
// the policy with the facts of the machine into a Plan. A Plan is a plain value that can be printed and
// compared. Nothing here touches a process. The package builds on every system. Package text has the sizes and the
// words of messages.
//
// Reading is strict: an unknown key, an invalid value and settings that contradict each other are problems,
// each with its line, its column and what to type instead. The TOML parser reads the values. It reports a
// position only in an error, so locate.go finds the positions; a fuzz test compares them with those of the parser's
// errors.
package policy

import (
	"fmt"
	"strings"
	"time"
)

// Policy is one policy file, overridden by the section of one service and then by command-line flags.
type Policy struct {
	Arenas struct {
		Cap         Cap
		Min         int      // lower bound of a per-core cap; 0 is unset, which means 2, or 1 if Max is 1
		Max         int      // upper bound of a per-core cap; 0 is no bound
		MaxReserved size     // address space that arenas may reserve under a per-core cap; a percentage is of RLIMIT_AS
		Test        int      // MALLOC_ARENA_TEST; 0 derives it from the cap
		Cores       coreRule // the number of cores that a per-core cap multiplies
		Inherited   string   // what to do with a valid inherited value: with "override" this file wins over it, with "keep" the inherited value wins
		HugePages   string   // what to do about huge pages: "keep" leaves glibc.malloc.hugetlb as inherited, "off" turns them off
	}
	Budget Budget
	Launch struct {
		Mode            string // how to launch: "auto", "exec" or "supervise"
		OnUnenforceable string // what to do if the cap cannot work: "warn", "refuse" or "ignore"
		OnWatchFailure  string // what to do if the watch cannot start: "start" or "refuse"
	}
	Log   Log
	Match Match // rules that select the processes of a service; only in a service's section

	File    string   // path of the policy file; "" is the built-in policy
	Service string   // the requested service; "" is none
	Section bool     // the file has a section for Service
	Notes   []string // warnings for the operator, one line each
}

// Budget is the table [budget]: the limits, and the action when one is exceeded.
type Budget struct {
	Limits [len(metrics)]size // limits of the metrics, in the order of Metrics

	Scope    string // which processes count: "process", "tree" or "cgroup"
	WarnAt   int    // percentage of a limit at which the watch warns
	Interval time.Duration
	Settle   time.Duration
	Breach   Window
	Action   string // what the watch does at a breach: "report", "signal" or "terminate"
	Signal   string // name of the signal, with SIG in front; only with Action "signal"
	Grace    time.Duration
	Command  []string
	Timeout  time.Duration // time limit of Command
	Hard     bool          // if true, also set RLIMIT_AS of the target to the limit of "virtual"
}

// Window is the breach rule: N of the last Of samples exceed the limit.
type Window struct{ N, Of int }

// Log is the table [log]: the format and the destination of events.
type Log struct {
	Format string // format of an event, "text" or "json"
	To     string // where the events go: "stderr" or an absolute path
}

// Match selects the running processes of a service. A process must fit every field that is not "". If Unit, Exe and
// Name are all "", the unit with the service's own name is meant.
type Match struct {
	Unit string // unit of the process: the outermost .service of its control group's path
	Exe  string // path of the program
	Name string // name of the process as ps -o comm shows it
	User string // user of the process, a name or a number; both the real and the effective user must match
	From string // the place of User, "FILE:LINE"
}

// String formats the given fields for a plan.
func (m Match) String() string {
	var words []string
	for _, part := range [][2]string{{"unit", m.Unit}, {"exe", m.Exe}, {"name", m.Name}, {"user", m.User}} {
		if part[1] != "" {
			words = append(words, fmt.Sprintf("%s %q", part[0], part[1]))
		}
	}
	return strings.Join(words, ", ")
}

// Builtin is the policy without a policy file: one arena per core, at least two, no budget.
// Its cap is only a default and counts as unset, so a valid inherited value wins (see Policy.winner).
func Builtin() (p Policy) {
	p.Arenas.Inherited, p.Arenas.HugePages = "override", "keep"
	p.Budget = Budget{
		Scope: "process", WarnAt: 80, Interval: time.Second, Settle: 10 * time.Second,
		Breach: Window{3, 5}, Action: "report", Grace: 30 * time.Second, Timeout: 10 * time.Second,
	}
	p.Launch.Mode, p.Launch.OnUnenforceable, p.Launch.OnWatchFailure = "auto", "warn", "start"
	p.Log = Log{Format: "text", To: "stderr"}
	return p
}
