// This file reads the address-space limit of a process.

package machine

import (
	"math"

	"golang.org/x/sys/unix"

	"arenacap/policy"
)

// Address returns the soft limit RLIMIT_AS of a process; pid 0 is this process. Such a limit is set by ulimit -v, LimitAS=
// of a unit, Grid Engine's h_vmem or Slurm's VSizeFactor.
func Address(pid int) policy.Reading[uint64] {
	var limit unix.Rlimit
	switch err := unix.Prlimit(pid, unix.RLIMIT_AS, nil, &limit); {
	case err != nil:
		return policy.Reading[uint64]{Why: "prlimit: " + err.Error()}
	case limit.Cur > math.MaxInt64: // RLIM_INFINITY
		return policy.Reading[uint64]{}
	}
	return policy.Reading[uint64]{N: max(1, limit.Cur), From: "RLIMIT_AS"}
}
