// Which signals a supervisor passes on to its target, and which stops of the target it follows.

package launcher

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
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
// sees it. Every stop does where the shell waits for them in the foreground: a program that catches TSTP stops itself by
// STOP. Elsewhere only the terminal's stops do: who stops the target from outside continues the target, not this process.
func mirrors(stop unix.Signal, foreground bool) bool {
	return foreground || stop == unix.SIGTSTP || stop == unix.SIGTTIN || stop == unix.SIGTTOU
}

// sendToGroup reports whether it could. A value of sigqueue(3) can be sent to one process only, so each member that there
// is gets its own; a process that one of them forks meanwhile may be left out.
func sendToGroup(s relay.Signal, group int) (sent bool) {
	if s.Queued() {
		for _, pid := range members(group) {
			sent = s.Send(pid) == nil || sent
		}
	}
	return sent || s.Send(-group) == nil
}

// members are the processes of a group, none where there is no /proc.
func members(group int) []int {
	pids, _ := proc.Here.Numbers("/proc")
	return slices.DeleteFunc(pids, func(pid int) bool {
		g, err := unix.Getpgid(pid)
		return err != nil || g != group
	})
}
