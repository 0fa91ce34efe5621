// This file passes the controlling terminal between this process and a supervised target.

package launcher

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/relay"
)

// terminal is the controlling terminal of a foreground job that this process leads. The target then gets its own
// process group and the terminal's foreground, as from a shell, so that the terminal's signals reach the target only.
// In all other cases (in a pipeline, in the background, in a script), unless KillGroup is set, the target stays in this
// process's group and gets the terminal's signals directly.
type terminal struct {
	fd         int  // descriptor of the terminal; -1 for none
	group      int  // process group of this process
	foreground bool // this process's group had the foreground at the start
}

// openTerminal opens the controlling terminal if stdin and stdout are terminals and this process leads the foreground
// group. If background is true, it opens the terminal also if the group is in the background, because a target with its
// own group (KillGroup) must get the foreground when the shell puts the job there.
func openTerminal(background bool) terminal {
	pid := os.Getpid()
	t := terminal{-1, pid, true}
	for _, fd := range []int{0, 1} {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if t.foreground = t.foreground && group == pid; err != nil || unix.Getpgrp() != pid || !t.foreground && !background {
			return t
		}
	}
	// Open a separate descriptor, because letGo replaces 0 and 1.
	if fd, err := openControlling(); err == nil {
		t.fd = fd
	}
	return t
}

func openControlling() (fd int, err error) {
	return unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
}

// own reports whether the target has its own group because of the terminal.
func (t terminal) own() bool { return t.fd >= 0 }

func (t terminal) give(target int) bool     { return t.pass(t.group, target) }
func (t terminal) takeBack(target int) bool { return t.pass(target, t.group) }

// pass moves the foreground from one group to another if the first one has it: the shell may have taken it back. TTOU is
// blocked, since the kernel otherwise stops a background process that changes the foreground (tcsetpgrp(3)).
func (t terminal) pass(from, to int) (moved bool) {
	if !t.own() {
		return false
	}
	relay.Blocked(unix.SIGTTOU, func() {
		if now, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil && now == from {
			moved = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, to) == nil
		}
	})
	return moved
}

// inForeground reports whether this process's group is in the terminal's foreground.
func inForeground() bool {
	fd, err := openControlling()
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// hasShell reports whether a shell with job control would continue this process after a stop. Such a shell is a parent in
// the same session and in another process group; other arenacap processes may be between the shell and this process.
// Without such a parent the process group is orphaned; the kernel then ignores the terminal's stop signals (credentials(7),
// POSIX 11.1.4), and a process that stopped itself would stay stopped. A parent in the same group, such as the shell of a
// script, does not handle stops.
func hasShell() bool {
	own, _ := unix.Getsid(0)
	for pid := os.Getppid(); pid != 0; { // 0: unknown, or the parent is in another PID namespace
		session, err := unix.Getsid(pid)
		group, _ := unix.Getpgid(pid)
		if err != nil || session != own || group != unix.Getpgrp() {
			return err == nil && session == own
		}
		if !proc.SameFile("/proc/self/exe", fmt.Sprintf("/proc/%d/exe", pid)) {
			return false
		}
		stat, _ := proc.Here.Stat(pid)
		pid = stat.Parent
	}
	return false
}
