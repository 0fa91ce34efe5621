package launcher

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tellMain tells the service manager who the main process is (sd_notify(3), MAINPID=): with NotifyAccess=main it
// takes READY=1 from that process only. It is sent before the target is executed, so that it arrives first.
// Where SYSTEMD_EXEC_PID says that the manager started another process, this one is not the main one.
func tellMain(env []string, pid int) {
	if started, ok := variable(env, "SYSTEMD_EXEC_PID"); ok && started != strconv.Itoa(os.Getpid()) {
		return
	}
	notify(env, "MAINPID="+strconv.Itoa(pid), nil)
}

// tellFailure makes this process the main one again before it ends with a status of its own: the service manager gets
// none of a main process that is not its child. With NotifyAccess=main the manager does not listen to this process any
// more and says so, so it is told only where the status is one to act on.
func (v *supervisor) tellFailure() {
	if v.ending.Terminated || v.ending.Status != 0 {
		tellMain(v.launch.Env, os.Getpid())
		awaitManager(v.launch.Env)
	}
}

// managerTimeout bounds how long the end waits for the service manager.
const managerTimeout = 1000 // milliseconds

// awaitManager returns when the manager has taken everything that was sent before (sd_notify_barrier(3)): it takes no
// main process that has ended. It closes the descriptor that comes with the message, and who has the other end of the
// pipe sees that.
func awaitManager(env []string) {
	var p [2]int
	if unix.Pipe2(p[:], unix.O_CLOEXEC) != nil {
		return
	}
	defer unix.Close(p[0])
	notify(env, "BARRIER=1", unix.UnixRights(p[1]))
	_ = unix.Close(p[1])
	fds := []unix.PollFd{{Fd: int32(p[0])}} // POLLHUP comes unasked
	for {
		if _, err := unix.Poll(fds, managerTimeout); err != unix.EINTR {
			return
		}
	}
}

// notify sends a message where the manager listens. NOTIFY_SOCKET is a path or, with "@" in front, an abstract name;
// vsock addresses are for the first process of a virtual machine and are left alone.
func notify(env []string, message string, rights []byte) {
	to, ok := variable(env, "NOTIFY_SOCKET")
	if !ok || to == "" || to[0] != '/' && to[0] != '@' {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}) // its queue may be full
	_ = unix.Sendmsg(fd, []byte(message), rights, &unix.SockaddrUnix{Name: to}, unix.MSG_NOSIGNAL)
}

// variable is what getenv(3) gives: the first of that name.
func variable(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
