package unit

// Judgement of seccomp: SystemCallFilter= and the system calls that arenacap makes.

import (
	"slices"
	"strings"
)

// calls are the system calls that arenacap makes, beside those of @default, by their groups (systemd-analyze
// syscall-filter): what strace shows of its start, of --supervise and of the watch. All are in @system-service, and
// none is in @privileged or @resources. A group of which arenacap needs little is not asked for as a whole.
var calls = [...]struct {
	group, names string
	whole        bool
}{
	{"@basic-io", "close close_range dup3 lseek pread64 read write", true},
	{"@file-system", "access chdir faccessat faccessat2 fchmod fcntl fstat getdents64 getxattr newfstatat openat readlinkat", true},
	{"@io-event", "epoll_create1 epoll_ctl epoll_pwait eventfd2 ppoll", true},
	{"@ipc", "pipe2 process_vm_readv", false},
	{"@network-io", "sendmsg setsockopt socket", false}, // to the watch, to NOTIFY_SOCKET
	{"@process", "clone kill pidfd_open pidfd_send_signal prctl tgkill wait4 waitid", true},
	{"@signal", "rt_sigaction rt_sigprocmask sigaltstack", true},
	{"@timer", "timer_create timer_delete timer_settime", false},
	{"", "ioctl madvise setpgid setsid", false},
}

// judgeCalls is about SystemCallFilter=: an allow-list, or with "~" a list of what is denied; a later line adds to the
// first.
func (p *planner) judgeCalls() {
	lines := p.u.list("SystemCallFilter")
	if len(lines) == 0 {
		return
	}
	var lacking []string
	for _, c := range calls {
		names := strings.Fields(c.names)
		denied := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return allowed(lines, name, c.group) })
		if len(denied) == len(names) && c.whole {
			denied = []string{c.group}
		}
		lacking = append(lacking, denied...)
	}
	if len(lacking) > 0 {
		p.note("SystemCallFilter= does not plainly allow all calls that arenacap makes; where the start ends with SIGSYS, take the # from the line below")
		p.line("#SystemCallFilter=%s", strings.Join(lacking, " "))
	}
}

// allowed reports whether a call of a group may be made: the first line says what holds for calls that none names.
func allowed(lines []setting, call, group string) bool {
	ok := strings.HasPrefix(lines[0].value, "~")
	for _, line := range lines {
		list, denied := strings.CutPrefix(line.value, "~")
		for _, name := range strings.Fields(list) {
			switch name, _, _ = strings.Cut(name, ":"); name {
			case call, group, "@system-service", "@known":
				ok = !denied
			}
		}
	}
	return ok
}
