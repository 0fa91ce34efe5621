// What a supervisor tells the service manager that started it (sd_notify(3)).

package launcher

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"arenacap/launcher/environ"
)

// manager is the socket where the service manager listens: a path or, with "@" in front, an abstract name; "" is none.
type manager string

// findManager is the manager to which this is the main process. Where SYSTEMD_EXEC_PID says that it started another
// process, there is none. vsock addresses are for the first process of a virtual machine and are left alone.
func findManager(env []string) manager {
	if started, ok := environ.Lookup(env, "SYSTEMD_EXEC_PID"); ok && started != strconv.Itoa(os.Getpid()) {
		return ""
	}
	if to, _ := environ.Lookup(env, "NOTIFY_SOCKET"); strings.HasPrefix(to, "/") || strings.HasPrefix(to, "@") {
		return manager(to)
	}
	return ""
}

// tellMain names the main process (MAINPID=): with NotifyAccess=main the manager takes READY=1 from that process only. It
// is sent before the target is executed, so that it arrives first.
func (m manager) tellMain(pid int) { m.notify("MAINPID="+strconv.Itoa(pid), nil) }

// managerTimeout bounds how long the end waits for the service manager.
const managerTimeout = 1000 // milliseconds

// await returns when the manager has taken everything that was sent before (sd_notify_barrier(3)): it takes no main process
// that has ended. It closes the descriptor that comes with the message, and who has the other end of the pipe sees that.
func (m manager) await() {
	var p [2]int
	if m == "" || unix.Pipe2(p[:], unix.O_CLOEXEC) != nil {
		return
	}
	defer unix.Close(p[0])
	m.notify("BARRIER=1", unix.UnixRights(p[1]))
	_ = unix.Close(p[1])
	fds := []unix.PollFd{{Fd: int32(p[0])}} // POLLHUP comes unasked
	_ = uninterrupted(func() error { _, err := unix.Poll(fds, managerTimeout); return err })
}

func (m manager) notify(message string, rights []byte) {
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
