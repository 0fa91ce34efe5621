// The terminal in front of a supervised target.

package launcher

import (
	"os"

	"golang.org/x/sys/unix"

	"arenacap/launcher/relay"
)

// terminal is the controlling terminal where this process leads its foreground group: then the target gets a
// group of its own and the foreground, as a shell gives them to a job, so that its keys reach the target alone.
// Everywhere else (behind a pipe, in the background, in a script) the target stays in this process's group,
// and the terminal's signals reach it without our help.
type terminal struct {
	fd    int // -1 is none
	group int // this process's
}

// openTerminal is the terminal that stdin and stdout are, and whose foreground group this process leads.
func openTerminal() terminal {
	pid := os.Getpid()
	none := terminal{-1, 0}
	for _, fd := range []int{0, 1} {
		if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != pid || unix.Getpgrp() != pid {
			return none
		}
	}
	// A descriptor of our own: 0 and 1 are let go of.
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return none
	}
	return terminal{fd, pid}
}

// own reports whether the target has a group of its own for the terminal's sake.
func (t terminal) own() bool { return t.fd >= 0 }

func (t terminal) give(target int)     { t.pass(t.group, target) }
func (t terminal) takeBack(target int) { t.pass(target, t.group) }

// pass moves the foreground from one group to another, but only where the first has it: it may be the shell's
// again meanwhile. The kernel stops a background process that asks with TTOU unless it blocks that
// (tcsetpgrp(3)).
func (t terminal) pass(from, to int) {
	if !t.own() {
		return
	}
	relay.Blocked(unix.SIGTTOU, func() {
		if now, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil && now == from {
			_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, to)
		}
	})
}

// hasShell reports whether somebody would continue this process if it stopped: its parent, of the same session
// and another group, as a shell with job control is. Without one the kernel ignores the terminal's stop signals
// too (an orphaned process group, credentials(7) and POSIX 11.1.4), and nobody would wake us.
func hasShell() bool {
	parent := os.Getppid()
	if parent == 0 { // of another PID namespace
		return false
	}
	session, err := unix.Getsid(parent)
	own, _ := unix.Getsid(0)
	group, _ := unix.Getpgid(parent)
	return err == nil && session == own && group != unix.Getpgrp()
}
