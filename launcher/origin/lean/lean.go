// Package lean keeps Go's runtime from opening files while it starts, in a release that is about to launch.
//
// To choose GOMAXPROCS the runtime looks for its control group in /proc/self/cgroup and /proc/self/mountinfo
// (runtime/cgroup_linux.go, defaultGOMAXPROCSInit), and no setting turns that off. For a process that is about to become
// another one it is work for nothing, a tenth of Go's whole start. So the entry point of package origin sets the soft
// RLIMIT_NOFILE to 0 where "run" is an argument, by which every open(2) fails and the runtime goes on without, and the
// init here puts it back: this package imports nothing, and so it is initialised before anything that opens files or
// looks at the limit (syscall/rlimit.go). Where 0, 1 or 2 is closed the limit stays, since the runtime must be able to
// open /dev/null there (runtime/fds_unix.go, checkfds).
package lean

// Filled in by forbidOpen, which the entry point calls before the runtime runs.
var (
	found [2]uint64 // RLIMIT_NOFILE, soft and hard: struct rlimit64 of prlimit(2)

	//lint:ignore U1000 what forbidOpen sets it to: soft 0, and hard as found
	none [2]uint64
)

func init() {
	if found[0] == 0 {
		return
	}
	now := [2]uint64{0, found[1]} // where it cannot be read
	prlimit(nil, &now)
	if now[0] != 0 {
		return // it could not be lowered, or somebody has set another one meanwhile, by prlimit(2) from outside
	}
	prlimit(&[2]uint64{min(found[0], now[1]), now[1]}, nil) // up to the hard limit it is always allowed
}

// prlimit is prlimit(2) for RLIMIT_NOFILE of this process.
//
//go:noescape
func prlimit(limit, old *[2]uint64)
