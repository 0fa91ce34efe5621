// The terminal in front of a supervised target.

package launcher

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/relay"
)

// terminal is the controlling terminal of a job whose leader is this process: then the target gets a group of its own,
// and the foreground whenever this group would have it, as a shell gives it to a job, so that its keys reach the target
// alone. Everywhere else (behind a pipe, in the background, in a script) the target stays in this process's group,
// and the terminal's signals reach it without our help.
type terminal struct {
	fd         int  // -1 is none
	group      int  // this process's
	foreground bool // it had the foreground at the start
}

// openTerminal is the terminal that stdin and stdout are, where this process leads its foreground group. In the
// background it is needed by a target that has a group of its own anyway.
func openTerminal(background bool) terminal {
	pid := os.Getpid()
	t := terminal{-1, pid, true}
	for _, fd := range []int{0, 1} {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if t.foreground = t.foreground && group == pid; err != nil || unix.Getpgrp() != pid || !t.foreground && !background {
			return t
		}
	}
	// A descriptor of our own: 0 and 1 are let go of.
	if fd, err := openControlling(); err == nil {
		t.fd = fd
	}
	return t
}

func openControlling() (fd int, err error) {
	return unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
}

// own reports whether the target has a group of its own for the terminal's sake.
func (t terminal) own() bool { return t.fd >= 0 }

func (t terminal) give(target int) bool     { return t.pass(t.group, target) }
func (t terminal) takeBack(target int) bool { return t.pass(target, t.group) }

// pass moves the foreground from one group to another, but only where the first has it: it may be the shell's
// again meanwhile. The kernel stops a background process that asks with TTOU unless it blocks that
// (tcsetpgrp(3)).
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

// inForeground reports whether a shell waits for this process's group.
func inForeground() bool {
	fd, err := openControlling()
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// hasShell reports whether somebody would continue this process if it stopped: its parent, of the same session
// and another group, as a shell with job control is, or that of a supervisor in front of this one. Without one the kernel
// ignores the terminal's stop signals too (an orphaned process group, credentials(7) and POSIX 11.1.4), and nobody would
// wake us. A parent in the same group, such as the shell of a script, does not look for stops.
func hasShell() bool {
	own, _ := unix.Getsid(0)
	for pid := os.Getppid(); pid != 0; pid = parent(pid) { // 0 is of another PID namespace
		session, err := unix.Getsid(pid)
		group, _ := unix.Getpgid(pid)
		if err != nil || session != own || group != unix.Getpgrp() {
			return err == nil && session == own
		}
		if !isArenacap(pid) {
			return false
		}
	}
	return false
}

// isArenacap reports whether a process runs this program.
func isArenacap(pid int) bool {
	own, err1 := os.Stat("/proc/self/exe")
	its, err2 := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	return err1 == nil && err2 == nil && os.SameFile(own, its)
}

// parent of a process, 0 where it is not known.
func parent(pid int) int {
	text, _ := proc.Here.Read(fmt.Sprintf("/proc/%d/stat", pid))
	stat, _ := proc.ParseStat(text)
	return stat.Parent
}
