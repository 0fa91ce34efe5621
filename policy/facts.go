package policy

import "fmt"

// What a plan depends on besides the policy: what was found on the machine and in the environment.

// Machine is what was found before anything was decided. The zero Reading was not looked up.
type Machine struct {
	Online    Reading[int]     // online CPUs: what most glibc versions count for their own limit
	Affinity  Reading[int]     // CPUs that this process may run on, sched_getaffinity(2)
	Library   Reading[int]     // what gopsutil counts; shown for comparison, never used
	Quota     Reading[float64] // CPUs that the tightest control group gives; 0 without Why is no limit
	Memory    Reading[uint64]  // bytes that the machine gives: the tightest cgroup limit, else the host's memory
	Address   Reading[uint64]  // bytes of address space that a program may have, the soft limit RLIMIT_AS; 0 without Why is no limit
	Inherited Inherited

	Heap uint64 // bytes that an arena of the program reserves; 0 is ArenaHeap
}

// Reading is a number and where it was read. N is 0 where it is not known.
type Reading[T int | uint64 | float64] struct {
	N    T
	From string
	Why  string // why it is not known
}

// String gives the number and where it was read, or why it is not known.
func (r Reading[T]) String() string {
	if r.N == 0 {
		return unknown(r.Why)
	}
	return fmt.Sprintf("%v (%s)", r.N, r.From)
}

func unknown(why string) string {
	if why == "" {
		return "unknown"
	}
	return "unknown (" + why + ")"
}

// CPUs says what each source of cores gives: online, affinity and quota, in this order.
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

// Inherited is the arena settings that the environment already carries, in the one reading that all glibc
// versions share (decimal, 0 to MaxCap). Max is 0 for "glibc's own limit"; it counts only with MaxOK.
type Inherited struct {
	Max     int
	MaxOK   bool
	MaxFrom string // "$MALLOC_ARENA_MAX" or "$GLIBC_TUNABLES"
	Test    int
	TestOK  bool
	Invalid []string // NAME=value of settings that are there and are not valid
}
