package run

// This file defines the flags of run, including those that other commands share.

import "slices"

// Flag is a flag of run. It belongs to a group, and some groups are also for other commands (see groupsOf).
type Flag struct {
	Name  string
	Usage string // the help text, with backquotes around the name of the value
	Text  bool   // takes a value; else it is boolean

	group group
	// elsewhere is true for a flag with which arenacap prints something and launches nothing. Read leaves a command line
	// with such a flag to the command-line library.
	elsewhere bool
}

// group is a set of flags that the same commands take.
type group uint8

const (
	global    group = iota // flags of every command, which may also come before the command's name
	caps                   // flags of the commands that make a plan
	budget                 // flags of the commands that watch, and of plan
	own                    // flags of run alone
	supervise              // --supervise, and the flags that only a supervised launch takes
)

// flags is in the order of the help. The table is static data, so it costs no time at start.
var flags = [...]Flag{
	{Name: "policy", Text: true, Usage: "read the policy from `FILE` (default: $ARENACAP_POLICY, then the user's and the system's)"},
	{Name: "service", Text: true, Usage: "apply the section [service.`NAME`] of the policy (default: $ARENACAP_SERVICE)"},
	{Name: "q", Usage: "print errors only"},
	{Name: "verbose", Usage: "explain each decision"},
	{Name: "version", Usage: "print the version and the commit, and exit", elsewhere: true},

	{Name: "arenas", group: caps, Text: true, Usage: "set the cap: `CAP` is a number, a factor such as 2/core, or one of the words off and glibc"},
	{Name: "cores", group: caps, Text: true, Usage: "set the number of cores for a per-core cap: `N`, or one of the words auto, online and affinity"},

	{Name: "budget", group: budget, Text: true, Usage: "limit the virtual size to `SIZE` (4GiB, 500M, …), or set no budget at all with the word off"},

	{Name: "argv0", group: own, Text: true, Usage: "pass `NAME` as PROGRAM's argument zero, instead of its own name"},
	{Name: "dry-run", group: own, Usage: "print the plan and run nothing", elsewhere: true},

	{Name: "supervise", group: supervise, Usage: "stay as the parent: forward signals, reap, pass on the status"},
	{Name: "kill-group", group: supervise, Usage: "run PROGRAM in its own process group: signals go to the whole group, and processes that PROGRAM leaves there get TERM"},
	{Name: "wait-orphans", group: supervise, Usage: "end only when all processes that PROGRAM left behind have ended"},
	{Name: "parent-death-signal", group: supervise, Text: true, Usage: "PROGRAM gets the signal `SIG` (TERM, 15, …) when arenacap dies"},
	{Name: "reraise", group: supervise, Usage: "when a signal ended PROGRAM, end by the same signal instead of status 128+n"},
	{Name: "summary", group: supervise, Usage: "print one line at the end: time, peaks, arenas, breaches"},
}

// Flags lists the flags of a command. For "" it lists the global flags, which may also precede a command's name.
func Flags(command string) []Flag {
	var some []Flag
	for _, f := range flags {
		if slices.Contains(groupsOf(command), f.group) {
			some = append(some, f)
		}
	}
	return some
}

func groupsOf(command string) []group {
	switch command {
	case "run":
		return []group{global, caps, budget, own, supervise}
	case "env":
		return []group{global, caps}
	case "plan":
		return []group{global, caps, budget}
	case "watch":
		return []group{global, budget}
	}
	return []group{global}
}
