// The open descriptors of this process.

package launcher

import (
	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// openDescriptors are those of this process, or all numbers that it may use where there is no /proc.
func openDescriptors() []int {
	fds, err := proc.Here.Numbers("/proc/self/fd")
	if err != nil {
		for fd := range 1 << 12 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// letGo gives up the target's descriptors, so that nobody who waits for the end of a pipe waits for this
// process, and its folder, so that it can be unmounted. stderr stays: the log or the summary may go there. What
// was inherited is what an exec leaves open, and everything of ours is close-on-exec.
func letGo() {
	_ = unix.Chdir("/")
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Dup3(null, 0, 0)
		_ = unix.Dup3(null, 1, 0)
		_ = unix.Close(null)
	}
	for _, fd := range openDescriptors() {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd > 2 && err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}
