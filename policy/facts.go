package policy

import "fmt"

// This file has the facts of the machine and the environment. They are the inputs of a plan besides the policy.

// Machine holds the facts. A zero Reading was not looked up; for Quota and Address it also means no limit.
type Machine struct {
	Online    Reading[int]     // online CPUs, from which most glibc versions derive their own limit
	Affinity  Reading[int]     // CPUs that this process may run on, sched_getaffinity(2)
	Library   Reading[int]     // CPUs that gopsutil counts; shown for comparison only
	Quota     Reading[float64] // the smallest CPU quota of the control groups, in CPUs; no limit: N is 0 and Why is ""
	Memory    Reading[uint64]  // bytes: the smallest cgroup memory limit, else the host's memory
	Address   Reading[uint64]  // bytes: the soft limit RLIMIT_AS; no limit: N is 0 and Why is ""
	Inherited Inherited

	Heap uint64 // bytes that one arena of the program reserves; 0 means ArenaHeap
}

// Reading is a number and its source. N is 0 if the number is unknown.
type Reading[T int | uint64 | float64] struct {
	N    T
	From string
	Why  string // why the value is unknown
}

// String formats the number and its source, or why it is unknown.
func (r Reading[T]) String() string {
	switch {
	case r.N != 0:
		return fmt.Sprintf("%v (%s)", r.N, r.From)
	case r.Why != "":
		return "unknown (" + r.Why + ")"
	}
	return "unknown"
}

// CPUs formats the sources of cores: online, affinity, quota, in this order.
func (m Machine) CPUs() []string {
	quota := m.Quota.String()
	switch {
	case m.Quota.N != 0:
		quota = fmt.Sprintf("%.6g (%s)", m.Quota.N, m.Quota.From)
	case m.Quota.Why == "":
		quota = "none"
	}
	return []string{"online " + m.Online.String(), "affinity " + m.Affinity.String(), "quota " + quota}
}

// Inherited holds the arena settings of the inherited environment. Only values that all glibc versions read
// alike are valid: decimal, 0 to MaxCap. Max counts only if MaxOK; 0 is glibc's own limit.
type Inherited struct {
	Max     int
	MaxOK   bool
	MaxFrom string // "$MALLOC_ARENA_MAX" or "$GLIBC_TUNABLES"
	Test    int
	TestOK  bool
	Invalid []string // NAME=value of the invalid settings
}
