package policy

// Machine is what was found before anything was decided. A zero Count or Quota was not looked up or not
// found; Why says which.
type Machine struct {
	Online    Count // online CPUs: what most glibc versions count for their own limit
	Affinity  Count // CPUs that this process may run on, sched_getaffinity(2)
	Library   Count // what gopsutil counts; shown for comparison, never used
	Quota     Quota
	Memory    Amount // what the machine gives: the tightest cgroup limit, else the host's memory
	Inherited Inherited
}

// Count is a number of CPUs and where it was read. N is 0 where it is not known.
type Count struct {
	N    int
	From string
	Why  string // why it is not known
}

// Quota is the CPU bandwidth that the tightest control group gives. CPUs is 0 where there is no limit.
type Quota struct {
	CPUs float64
	From string
	Why  string // why it is not known; "" with CPUs 0 is no limit
}

// Amount is a number of bytes and where it was read. Bytes is 0 where it is not known.
type Amount struct {
	Bytes uint64
	From  string
	Why   string
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
