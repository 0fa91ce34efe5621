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
// NOTIFY_SOCKET is a path or, with "@" in front, an abstract name; vsock addresses are for the first process of
// a virtual machine and are left alone.
func tellMain(env []string, pid int) {
	to, ok := variable(env, "NOTIFY_SOCKET")
	if !ok || to == "" || to[0] != '/' && to[0] != '@' {
		return
	}
	if started, ok := variable(env, "SYSTEMD_EXEC_PID"); ok && started != strconv.Itoa(os.Getpid()) {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}) // its queue may be full
	_ = unix.Sendto(fd, []byte("MAINPID="+strconv.Itoa(pid)), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: to})
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
