package unit

// This file lists the resource limits and system calls that a launch, a watch and --supervise need. They were
// measured with prlimit(1), TasksMax= and seccomp filters that deny one call at a time, with the release build of Go
// 1.26 on x86-64, with GOMAXPROCS=2 and 16.

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"arenacap/policy/text"
)

// Need is how much of a limited resource arenacap needs. The field "launch" is for a launch alone, and the field "stay" for
// a launch with a watch or --supervise.
type Need struct {
	Setting      string // the setting of systemd that limits the resource
	Rlimit       int    // the resource for getrlimit(2); -1 for none
	Bits         int    // word size of the builds of arenacap to which the need applies: 32 or 64, with bounds in bytes; 0: both word sizes, with bounds that count descriptors or tasks
	Hard         bool   // the hard limit decides, because Go raises the soft one
	NotRoot      bool   // the limit does not apply to root
	what         string // name of the resource, in messages
	launch, stay bounds
	gap          gap
}

// bounds are two measured limits. With a limit below the field "never", arenacap started in no run. With a limit that is at
// least the field "enough", arenacap started in every run.
type bounds struct{ never, enough uint64 }

// gap is a range of limits above the field "enough" of bounds that are too low again. With limits from "never" up to "until"
// arenacap started in no run, and with other limits above "from" and below "enough" it started in some runs.
type gap struct{ from, never, until, enough uint64 }

const mib = 1 << 20

// addressGap is due to the scavenge index of Go's runtime (runtime/mpagealloc_64bit.go, sysInit). The runtime reserves 512 MiB
// for it, and starts without it if the limit does not allow that. If the limit allows it, too little may be left for the heap.
var addressGap = gap{1024 * mib, 1120 * mib, 1200 * mib, 1300 * mib}

// Needs are the amounts of limited resources that arenacap needs. A limit on memory has two rows, one for the 64-bit
// build and one for the 32-bit build; any other limit has one row.
var Needs = [...]Need{
	{Setting: "LimitAS", Rlimit: unix.RLIMIT_AS, Bits: 64, what: "of address space", launch: bounds{690 * mib, 768 * mib}, stay: bounds{690 * mib, 768 * mib}, gap: addressGap},
	{Setting: "LimitAS", Rlimit: unix.RLIMIT_AS, Bits: 32, what: "of address space", launch: bounds{17 * mib, 24 * mib}, stay: bounds{17 * mib, 24 * mib}},
	{Setting: "LimitDATA", Rlimit: unix.RLIMIT_DATA, Bits: 64, what: "of memory", launch: bounds{38 * mib, 64 * mib}, stay: bounds{38 * mib, 64 * mib}},
	{Setting: "LimitDATA", Rlimit: unix.RLIMIT_DATA, Bits: 32, what: "of memory", launch: bounds{5 * mib, 16 * mib}, stay: bounds{5 * mib, 16 * mib}},
	{Setting: "LimitNOFILE", Rlimit: unix.RLIMIT_NOFILE, Hard: true, what: "file descriptors", launch: bounds{5, 16}, stay: bounds{9, 16}},
	{Setting: "LimitNPROC", Rlimit: unix.RLIMIT_NPROC, NotRoot: true, what: "tasks", launch: bounds{4, 8}, stay: bounds{5, 24}},
	{Setting: "TasksMax", Rlimit: -1, what: "tasks", launch: bounds{4, 8}, stay: bounds{5, 24}},
}

// Judge says how a limit affects arenacap. The text is "" if it does not. If fatal is true, arenacap does not start.
func (n Need) Judge(limit uint64, stays bool) (text string, fatal bool) {
	b := n.bounds(stays)
	enough := n.Format(b.enough)
	if n.gap.enough != 0 {
		enough = fmt.Sprintf("%s to %s, or %s and more,", enough, n.Format(n.gap.from), n.Format(n.gap.enough))
	}
	switch {
	case limit < b.never:
		return fmt.Sprintf("arenacap does not start with less than %s %s; %s are enough", n.Format(b.never), n.what, enough), true
	case n.gap.never <= limit && limit < n.gap.until:
		return fmt.Sprintf("arenacap does not start with %s to %s %s; %s are enough", n.Format(n.gap.never), n.Format(n.gap.until), n.what, enough), true
	case limit < b.enough || n.gap.from < limit && limit < n.gap.enough:
		return fmt.Sprintf("this limit may be too low for arenacap itself, which runs under the same limit; %s %s are enough", enough, n.what), false
	}
	return "", false
}

func (n Need) bounds(stays bool) bounds {
	if stays {
		return n.stay
	}
	return n.launch
}

// Format writes an amount: bytes with a unit such as MiB, a count as a plain number.
func (n Need) Format(amount uint64) string {
	if n.Bits == 0 {
		return strconv.FormatUint(amount, 10)
	}
	return text.Size(amount)
}

// denial is the action of a filter on a system call. In the table (the variable "calls") a denial is the mildest action by
// which a filter harms arenacap.
type denial int

const (
	fine   denial = iota // the filter allows the call; in the table: arenacap does not make the call or ignores its failure
	killed               // the filter kills the process; in the table: a kill harms arenacap, an error of the call does not
	fails                // the filter makes the call return an error; in the table: an error harms arenacap, and so does a kill
)

// calls are the system calls that arenacap makes, by group (systemd-analyze syscall-filter), without execve(2), which systemd
// itself makes under the filter. All are in @system-service, and none in @privileged or @resources. arenacap makes the calls
// of @network-io only if the watch writes to the journal, or under --supervise if there is a NOTIFY_SOCKET.
var calls = [...]struct {
	group                    string
	launch, watch, supervise denial
	names                    string
}{
	{"@basic-io", fails, fails, fails, "close pread64 read write"},
	{"@basic-io", fine, killed, fine, "close_range lseek"},
	{"@basic-io", fine, fails, killed, "dup3"},
	{"@default", fails, fails, fails, "arch_prctl futex mmap"},
	{"@default", killed, fails, fails, "getpid"},
	{"@default", killed, killed, fails, "rt_sigreturn"},
	{"@default", killed, killed, killed, "getegid geteuid getgid gettid getuid nanosleep prlimit64 sched_getaffinity sched_yield"},
	{"@default", fine, fails, fails, "clock_gettime exit_group"},
	{"@default", fine, fine, killed, "getpgid getsid"},
	{"@file-system", killed, killed, killed, "access faccessat2 getxattr"},
	{"@file-system", fails, fails, fails, "fcntl fstat newfstatat openat"},
	{"@file-system", fine, killed, killed, "chdir"},
	{"@file-system", fine, fails, fine, "readlinkat"},
	{"@file-system", fine, fine, killed, "getdents64"},
	{"@io-event", fine, fails, fine, "epoll_create1 epoll_ctl epoll_pwait eventfd2"},
	{"@io-event", fine, killed, fine, "ppoll"},
	{"@ipc", fine, fails, fails, "pipe2"},
	{"@ipc", fine, killed, fine, "process_vm_readv"},
	{"@network-io", fine, fails, killed, "sendmsg"},
	{"@network-io", fine, fine, killed, "setsockopt socket"},
	{"@process", fails, fails, fails, "clone"},
	{"@process", killed, killed, killed, "prctl tgkill"},
	{"@process", fine, killed, killed, "kill pidfd_open"},
	{"@process", fine, fails, fails, "pidfd_send_signal wait4 waitid"},
	{"@signal", fails, fails, fails, "rt_sigaction rt_sigprocmask sigaltstack"},
	{"", killed, killed, killed, "madvise"},
	{"", fine, killed, killed, "ioctl setsid"},
}

// wholeGroups are the groups of which arenacap makes most calls, so that a message names the group. For other groups
// it names the single calls.
const wholeGroups = "@basic-io @file-system @io-event @process @signal"
