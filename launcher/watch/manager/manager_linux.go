// Package manager is what a process tells the service manager that started it (sd_notify(3)).
package manager

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/launcher/environ"
)

// Socket is where the service manager listens: a path or, with "@" in front, an abstract name; "" is none.
type Socket string

// Find is the manager to which this is the main process. Where SYSTEMD_EXEC_PID says that it started another
// process, there is none. vsock addresses are for the first process of a virtual machine and are left alone.
func Find(env []string) Socket {
	if started, ok := environ.Lookup(env, "SYSTEMD_EXEC_PID"); ok && started != strconv.Itoa(os.Getpid()) {
		return ""
	}
	if to, _ := environ.Lookup(env, "NOTIFY_SOCKET"); strings.HasPrefix(to, "/") || strings.HasPrefix(to, "@") {
		return Socket(to)
	}
	return ""
}

// Tell sends one message, such as "READY=1".
func (m Socket) Tell(message string) { m.notify(message, nil) }

// timeout bounds how long the end waits for the service manager.
const timeout = 1000 // milliseconds

// Await returns when the manager has taken everything that was sent before (sd_notify_barrier(3)): it takes no main process
// that has ended. It closes the descriptor that comes with the message, and who has the other end of the pipe sees that.
func (m Socket) Await() {
	var p [2]int
	if m == "" || unix.Pipe2(p[:], unix.O_CLOEXEC) != nil {
		return
	}
	defer unix.Close(p[0])
	m.notify("BARRIER=1", unix.UnixRights(p[1]))
	_ = unix.Close(p[1])
	fds := []unix.PollFd{{Fd: int32(p[0])}} // POLLHUP comes unasked
	for {
		if _, err := unix.Poll(fds, timeout); err != unix.EINTR {
			return
		}
	}
}

func (m Socket) notify(message string, rights []byte) {
	if m == "" {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}) // its queue may be full
	_ = unix.Sendmsg(fd, []byte(message), rights, &unix.SockaddrUnix{Name: string(m)}, unix.MSG_NOSIGNAL)
}
