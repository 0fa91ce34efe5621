package main

// This file has the situations in which the transparency tests start a program.

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// situation is a state in which the probe is started, and the fact in the probe's output that shows the state. A
// state that the probe does not show would prove nothing.
type situation struct {
	name  string
	setup []string
	shows string
	root  bool
	args  []string

	mayRefuse bool     // some machines do not support this state, or do not allow it in a container
	onlyOff   bool     // compare only if arenacap does not change the environment
	known     []string // each difference must begin with one of these texts, and each text must begin a difference
}

func states(s string) []string { return strings.Fields(s) }

func situations(t *testing.T) []situation {
	work := openDir(t)
	regular := filepath.Join(work, "regular")
	if err := os.WriteFile(regular, []byte("0123456789"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(work, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	opened := func(fd int, path string, flags int) []string {
		return []string{"open", strconv.Itoa(fd), path, strconv.Itoa(flags)}
	}
	own, other := niceness(t)
	return []situation{
		{name: "nothing special"},
		{name: "a while later", setup: []string{"env", "PROBE_LINGER=100"}, shows: "signals that came later"},
		{name: "arguments", args: []string{"", "--policy", "--", "-q", "a b", "\xff\xfe", "--help", "\n"}, shows: "argc"},

		{name: "nice", setup: []string{"nice", strconv.Itoa(other)}, shows: "nice", root: other < own},
		{name: "nice below zero", setup: states("nice -7"), shows: "nice", root: true},
		{name: "batch", setup: states("sched 3 0"), shows: "scheduling"},
		{name: "idle", setup: states("sched 5 0"), shows: "scheduling"},
		{name: "round robin", setup: states("sched 2 3"), shows: "scheduling", root: true, mayRefuse: true},
		{name: "fifo with reset on fork", setup: states("nice 0 sched 0x40000001 5"), shows: "scheduling", root: true, mayRefuse: true},
		{name: "io idle", setup: states("ioprio 0x6000"), shows: "io priority"},
		{name: "io best effort", setup: states("ioprio 0x4006"), shows: "io priority"},
		{name: "affinity", setup: states("affinity 1"), shows: "status Cpus_allowed"},
		{name: "memory policy", setup: states("mempolicy 1 1"), shows: "memory policy"},
		{name: "oom score", setup: states("oom 321"), shows: "oom score adj"},
		{name: "timer slack", setup: states("slack 123456"), shows: "timer slack"},
		{name: "autogroup", setup: states("setsid autogroup 3")},

		{name: "umask", setup: states("umask 027"), shows: "status Umask"},
		{name: "folder", setup: states("cwd /usr"), shows: "folder"},
		{name: "folder that is gone", setup: []string{"gone-cwd", filepath.Join(work, "gone")}, shows: "folder"},
		{name: "session", setup: states("setsid"), shows: "session"},
		{name: "process group", setup: states("setpgid"), shows: "process group"},
		{name: "personality", setup: states("personality 0x40000"), shows: "personality"},
		{name: "parent-death signal", setup: states("pdeathsig 10"), shows: "parent-death signal"},
		{name: "core dump filter", setup: states("coredump 0x11"), shows: "coredump_filter"},
		{name: "no huge pages", setup: states("no-huge-pages"), shows: "huge pages disabled"},
		{name: "machine check", setup: states("mce-kill 1"), shows: "machine check policy"},
		{name: "io flusher", setup: states("io-flusher"), shows: "io flusher", mayRefuse: true},
		{name: "speculation", setup: states("speculation 0 4"), shows: "speculation 0", mayRefuse: true},

		{name: "no new privileges", setup: states("no-new-privs"), shows: "no new privileges"},
		{name: "secure bits", setup: states("securebits 0x2f"), shows: "secure bits", root: true},
		{name: "bounded capabilities", setup: states("drop 21 drop 25 drop 0"), shows: "status CapBnd", root: true},
		{name: "another user", setup: states("user 65534 65534"), shows: "status Uid", root: true},
		{name: "ambient capability", setup: states("securebits 0x10 user 65534 65534 ambient 10"), shows: "status CapAmb", root: true},
		{name: "seccomp filter", setup: states("no-new-privs seccomp 9999"), shows: "status Seccomp_filters"},

		{name: "limit of files", setup: states("rlimit 7 100 200"), shows: "rlimit NOFILE"},
		{name: "soft limit of files", setup: states("rlimit 7 64 64"), shows: "rlimit NOFILE"},
		{name: "limit of stack", setup: states("rlimit 3 262144 1048576"), shows: "rlimit STACK"},
		{name: "no limit of stack", setup: states("rlimit 3 max max"), shows: "rlimit STACK"},
		{name: "limit of cores", setup: states("rlimit 4 12345 23456"), shows: "rlimit CORE"},
		{name: "limit of processes", setup: states("rlimit 6 1000 2000"), shows: "rlimit NPROC"},
		{name: "limit of address space", setup: states("rlimit 9 4294967296 8589934592"), shows: "rlimit AS"},
		{name: "limit of data", setup: states("rlimit 2 1073741824 2147483648"), shows: "rlimit DATA"},
		{name: "limit of locked memory", setup: states("rlimit 8 4096 8192"), shows: "rlimit MEMLOCK"},
		{name: "limit of signals", setup: states("rlimit 11 10 20"), shows: "rlimit SIGPENDING"},
		{name: "limit of processor time", setup: states("rlimit 0 1000 2000"), shows: "rlimit CPU"},
		{name: "limit of file size", setup: states("rlimit 1 1048576 2097152"), shows: "rlimit FSIZE"},
		{name: "other limits", setup: states("rlimit 5 4096 8192 rlimit 10 7 9 rlimit 12 1000 2000 rlimit 15 100000 200000"), shows: "rlimit RTTIME"},

		{name: "extra descriptors", setup: slices.Concat(opened(3, regular, os.O_RDWR), opened(9, "/", unix.O_PATH), opened(200, "/dev/null", os.O_WRONLY|os.O_APPEND)), shows: "fd 9"},
		{name: "non-blocking descriptor", setup: opened(5, filepath.Join(work, "fifo"), unix.O_RDWR|unix.O_NONBLOCK), shows: "fd 5"},
		{name: "non-blocking stdin", setup: opened(0, filepath.Join(work, "fifo"), unix.O_RDWR|unix.O_NONBLOCK), shows: "fd 0"},
		{name: "descriptor at an offset", setup: append(opened(4, regular, os.O_RDONLY), "seek", "4", "5"), shows: "fd 4"},
		{name: "descriptor that is closed on exec", setup: append(opened(6, regular, os.O_RDONLY), "dup", "6", "8", "cloexec", "6"), shows: "fd 8"},
		{name: "descriptor over the limit", setup: append(opened(900, "/dev/null", os.O_RDONLY), "rlimit", "7", "50", "60"), shows: "fd 900"},
		{name: "descriptor with an owner", setup: append(opened(5, filepath.Join(work, "fifo"), unix.O_RDWR|unix.O_NONBLOCK), "owner", "5", "34"), shows: "fd 5"},
		{name: "descriptor with locks", setup: slices.Concat(opened(4, regular, os.O_RDWR), states("lock 4 posix"), opened(5, work, os.O_RDONLY), states("lock 5 flock")), shows: "fdinfo 4[4]"},

		{name: "blocked signals", setup: states("block 10 block 12 block 13 block 14 block 35 block 64"), shows: "signal 10 blocked"},
		{name: "ignored signals", setup: states("ignore 1 ignore 2"), shows: "signal 1 action"},
		{name: "pending signals", setup: states("block 10 block 12 block 40 raise 10 raise 40 raise 40 raise-thread 12"), shows: "signal 10 pending"},
		{name: "interval timers", setup: states("itimer 0 1000 itimer 1 1000 itimer 2 1000"), shows: "interval timer 0"},
		{name: "session keyring", setup: states("keyring"), shows: "session keyring", mayRefuse: true},

		{name: "no environment", setup: states("no-env")},
		{name: "odd environment", setup: []string{"env", "no equals sign", "env", "", "env", "=", "env", "=x", "env", "A=1", "env", "A=2",
			"env", "A=1", "env", "\xff\xfe=\xfd", "env", "LANG=again", "env", "NEWLINE=a\nb", "env", "MALLOC_ARENA_=1", "env", "malloc_arena_max=7"}},
		{name: "arena settings that stay", onlyOff: true, setup: []string{"env", "MALLOC_ARENA_MAX=7", "env", "MALLOC_ARENA_TEST=four",
			"env", "GLIBC_TUNABLES=glibc.malloc.arena_max=9:glibc.malloc.tcache_count=3:", "env", "MALLOC_ARENA_MAX=", "env", "GLIBC_TUNABLES=a=b=c"}},
		{name: "large environment", setup: []string{"env", "BIG=" + strings.Repeat("x", 100_000), "env", "BIG2=" + strings.Repeat("y", 100_000)}},
	}
}

// closedDescriptors are the combinations of closed standard descriptors.
func closedDescriptors(known losses) []situation {
	var all []situation
	for bits := 1; bits < 8; bits++ {
		s := situation{name: "closed"}
		for fd := range 3 {
			if bits>>fd&1 == 1 {
				n := strconv.Itoa(fd)
				s.name, s.shows = s.name+" "+n, "fd "+n
				s.setup = append(s.setup, "close", n)
				if known.descriptors {
					s.known = append(s.known, "fd "+n+": absent → /dev/null ", "fdinfo "+n+"[")
				}
			}
		}
		all = append(all, s)
	}
	return all
}
