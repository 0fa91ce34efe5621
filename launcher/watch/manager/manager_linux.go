// Package manager sends messages to the service manager that started the process (sd_notify(3)).
package manager

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/launcher/environ"
	"arenacap/launcher/proc"
)

// Socket is the address of the service manager's socket: a path or, after "@", an abstract name; "": none.
type Socket string

// Find returns the manager that started this process. It returns "" without NOTIFY_SOCKET, if SYSTEMD_EXEC_PID names
// another process, and for a vsock address, which is for the first process of a virtual machine.
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

// timeout is how long Await waits at most for the manager to read.
const timeout = 1000 // milliseconds

// Await returns when the manager has read all earlier messages (sd_notify_barrier(3)), or after the timeout. A process
// that announces itself with MAINPID= has to call Await before it exits, because the manager rejects the PID of a
// process that has ended. The manager closes the write end that the message carries, and the read end here then reports
// POLLHUP.
func (m Socket) Await() {
	var p [2]int
	if m == "" || unix.Pipe2(p[:], unix.O_CLOEXEC) != nil {
		return
	}
	defer unix.Close(p[0])
	m.notify("BARRIER=1", unix.UnixRights(p[1]))
	_ = unix.Close(p[1])
	fds := []unix.PollFd{{Fd: int32(p[0])}} // poll always reports POLLHUP
	_, _ = proc.Retry(func() (int, error) { return unix.Poll(fds, timeout) })
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
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}) // the manager's queue may be full
	_ = unix.Sendmsg(fd, []byte(message), rights, &unix.SockaddrUnix{Name: string(m)}, unix.MSG_NOSIGNAL)
}
