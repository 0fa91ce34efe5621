// Which signals a supervisor passes on to its target, and which stops of the target it follows.

package launcher

import (
	"os"

	"golang.org/x/sys/unix"

	"arenacap/launcher/relay"
)

// place is where this process stands when a signal comes.
type place struct {
	pid       int  // this process's
	sameGroup bool // the target is in this process's group
	leader    bool // this process leads its session
}

// placeBeside is the place beside a target that lives, or beside none, 0.
func placeBeside(target int) place {
	group, err := unix.Getpgid(target)
	session, sessionErr := unix.Getsid(0)
	return place{
		pid:       os.Getpid(),
		sameGroup: target != 0 && err == nil && group == unix.Getpgrp(),
		leader:    sessionErr == nil && session == os.Getpid(),
	}
}

// forwards decides whether a signal is meant for the target. What a process sends is, the rest only where
// the kernel did not send it to this process for its own doings and not to the target as well.
func (p place) forwards(s relay.Signal) bool {
	switch {
	case s.Number == unix.SIGCHLD && s.PID == 0:
		return false // nobody's word: what it said was lost, see relay.ownSignal
	case s.Code <= 0:
		return s.Number != unix.SIGPIPE || int(s.PID) != p.pid // by a write of its own
	case s.Number == unix.SIGCHLD, s.Number == unix.SIGXCPU, s.Number == unix.SIGXFSZ:
		return false
	}
	switch s.Number {
	case unix.SIGTTIN, unix.SIGTTOU:
		return false // this process read or wrote; the target is told of its own
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH, unix.SIGCONT:
		return !p.sameGroup
	case unix.SIGHUP:
		return !p.sameGroup || p.leader // a terminal that hangs up tells the leader of its session by itself
	}
	return true
}

// mirrors decides whether a stop of the target stops this process as well, so that the shell in front of them
// sees it. In the shell's own group only the terminal's stops count: whoever stops the target from outside
// continues the target, not us.
func mirrors(stop unix.Signal, ownGroup bool) bool {
	return ownGroup || stop == unix.SIGTSTP || stop == unix.SIGTTIN || stop == unix.SIGTTOU
}
