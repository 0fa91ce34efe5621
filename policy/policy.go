// Package policy holds what the operator wants and what follows from it.
//
// Load finds and reads the policy file (TOML), Check gives every problem of one; Policy.Resolve lays the
// policy over what was found on the machine and gives a Plan. A Plan is a plain value: it can be printed
// and compared, and nothing here touches a process. The package builds on every system.
//
// Reading is strict: a key that is not known, a value that is not one, settings that do not go together
// are problems, each with its line, its column and what to type instead. The TOML parser reads the values;
// where a key stands in the file, which the parser does not tell, is found by a locator of our own
// (locate.go), held to the parser by a fuzz test.
package policy

import "time"

// Policy is what the operator wants: one policy file with the section of one service laid over it, and
// the flags of the command line laid over both.
type Policy struct {
	Arenas struct {
		Cap         Cap
		Min         int      // least cap that a per-core rule may give; 0 is unset, which means 2
		Max         int      // largest cap that a per-core rule may give; 0 is unset, which means none
		MaxReserved size     // the most that arenas under a per-core rule may reserve; a percentage is of RLIMIT_AS
		Test        int      // MALLOC_ARENA_TEST; 0 derives it from the cap
		Cores       coreRule // which source of cores a per-core rule multiplies
		Inherited   string   // "override" or "keep": which wins, this file or a valid inherited value
		HugePages   string   // "keep" or "off": what malloc asks for, or none
	}
	Budget Budget
	Launch struct {
		Mode            string // "auto", "exec" or "supervise"
		OnUnenforceable string // "warn", "refuse" or "ignore"
		OnWatchFailure  string // "start" or "refuse"
	}
	Log Log

	File    string   // path of the file that was read; "" is the built-in policy
	Service string   // the service that was asked for; "" is none
	Section bool     // whether the file has a section for Service
	Notes   []string // what the operator should hear once, a line each (a near miss of a section's name)
}

// Budget is the table [budget]: the limits and what happens when one is passed.
type Budget struct {
	Limits [len(metrics)]size // in the order of Metrics

	Scope    string // "process", "tree" or "cgroup"
	WarnAt   int    // per cent of a limit
	Interval time.Duration
	Settle   time.Duration
	Breach   Window
	Action   string // "report", "signal" or "terminate"
	Signal   string // name with SIG, only with Action "signal"
	Grace    time.Duration
	Command  []string
	Timeout  time.Duration // of Command
	Hard     bool          // also RLIMIT_AS on the target, the limit of "virtual"
}

// Window says when samples become a breach: N of the last Of.
type Window struct{ N, Of int }

// Log is the table [log]: where events go and how they look.
type Log struct {
	Format string // "text" or "json"
	To     string // "stderr" or an absolute path
}

// Builtin is the policy that applies where no file is found: one arena a core, at least two, no budget.
// Its cap carries no origin, so a valid inherited value wins over it (see Resolve).
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
