package run

// The flags that several commands take, and all of run.

import "slices"

// Flag is a flag of run, and of the other commands that share its group.
type Flag struct {
	Name  string
	Usage string // with `NAME` around what stands for the value
	Text  bool   // takes a value; else it is there or not

	group group
	// elsewhere is set where a flag asks for something else than a launch. Read leaves such a line alone.
	elsewhere bool
}

// group is a set of flags that the same commands take.
type group uint8

const (
	global    group = iota // every command; they may stand before the command's name too
	caps                   // the commands that make a plan
	budget                 // the commands that watch
	own                    // run alone
	supervise              // run alone: how it is the parent
)

// flags is in the order of the help. It is laid out by the compiler and costs a start nothing.
var flags = [...]Flag{
	{Name: "policy", Text: true, Usage: "read the policy from `FILE` (default: $ARENACAP_POLICY, then the user's and the system's)"},
	{Name: "service", Text: true, Usage: "lay the section [service.`NAME`] over the policy (default: $ARENACAP_SERVICE)"},
	{Name: "q", Usage: "say nothing but errors"},
	{Name: "verbose", Usage: "explain each decision"},
	{Name: "version", Usage: "print the version and the commit, and exit", elsewhere: true},

	{Name: "arenas", group: caps, Text: true, Usage: "the cap: `CAP` is a number, a factor such as 2/core, off or glibc"},
	{Name: "cores", group: caps, Text: true, Usage: "multiply a per-core cap by `N` cores, or by auto, online or affinity"},

	{Name: "budget", group: budget, Text: true, Usage: "limit the virtual size to `SIZE` (4GiB, 500M, …); off: no budget at all"},

	{Name: "argv0", group: own, Text: true, Usage: "PROGRAM gets `NAME` as its zeroth argument, instead of its own"},
	{Name: "dry-run", group: own, Usage: "print the plan instead", elsewhere: true},

	{Name: "supervise", group: supervise, Usage: "stay as the parent: forward signals, reap, pass on the status"},
	{Name: "kill-group", group: supervise, Usage: "give PROGRAM a process group of its own: signals go to all of it, and what PROGRAM leaves there gets TERM"},
	{Name: "wait-orphans", group: supervise, Usage: "end only when everything that PROGRAM left has ended"},
	{Name: "parent-death-signal", group: supervise, Text: true, Usage: "PROGRAM gets the signal `SIG` (TERM, 15, …) when arenacap dies"},
	{Name: "reraise", group: supervise, Usage: "when a signal ended PROGRAM, end by the same signal instead of status 128+n"},
	{Name: "summary", group: supervise, Usage: "say one line at the end: time, peaks, arenas, breaches"},
}

// Flags lists the flags of these that a command takes, or with "" those that may stand before its name.
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
