// This file decides which signals a supervisor passes on to its target, and which stops of the target it follows.

package launcher

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/relay"
)

// place says how this process is related to its target and to its session when a signal arrives.
type place struct {
	pid       int  // PID of this process
	sameGroup bool // the target is in this process's group
	leader    bool // this process leads its session
}

// placeBeside returns the current place of this process in relation to the target. The parameter "target" is a PID, or
// 0 after the target has ended.
func placeBeside(target int) place {
	group, err := unix.Getpgid(target)
	session, sessionErr := unix.Getsid(0)
	return place{
		pid:       os.Getpid(),
		sameGroup: target != 0 && err == nil && group == unix.Getpgrp(),
		leader:    sessionErr == nil && session == os.Getpid(),
	}
}

// forwards decides whether to pass a signal on to the target: signals that a process sent, and signals of the kernel except
// those about this process itself and those that the kernel sends to the target as well.
func (p place) forwards(s relay.Signal) bool {
	switch {
	case s.Number == unix.SIGCHLD && s.PID == 0:
		return false // the signal's siginfo was lost (relay.ownSignal), so no process is known as the sender
	case s.Code <= 0:
		// The kernel sends PIPE and XFSZ for a write of this process with code 0 and this PID (SEND_SIG_NOINFO).
		return s.Number != unix.SIGPIPE && s.Number != unix.SIGXFSZ || int(s.PID) != p.pid
	case s.Number == unix.SIGCHLD, s.Number == unix.SIGXCPU:
		return false
	}
	switch s.Number {
	case unix.SIGTTIN, unix.SIGTTOU:
		return false // caused by this process's own use of the terminal; the target gets such signals from the kernel itself
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH, unix.SIGCONT:
		return !p.sameGroup
	case unix.SIGHUP:
		return !p.sameGroup || p.leader // on hangup the kernel signals the session leader separately
	}
	return true
}

// mirrors decides whether a stop of the target stops this process too, so that the shell sees the job stop. In the
// foreground every stop does, since a program that catches TSTP stops itself with STOP. In the background only the stop
// signals of the terminal do: a process that sends STOP to the target will send CONT to the target, not to this process.
func mirrors(stop unix.Signal, foreground bool) bool {
	return foreground || stop == unix.SIGTSTP || stop == unix.SIGTTIN || stop == unix.SIGTTOU
}

// sendToGroup sends the signal to a process group, and reports whether at least one process got it. A signal with a value
// (sigqueue(3)) can only be sent to a single process, so it is sent to each member; a process that is forked meanwhile may
// miss it.
func sendToGroup(s relay.Signal, group int) (sent bool) {
	if s.Queued() {
		for _, pid := range members(group) {
			sent = s.Send(pid) == nil || sent
		}
	}
	return sent || s.Send(-group) == nil
}

// members lists the processes of a group; it is empty without /proc.
func members(group int) []int {
	pids, _ := proc.Here.Numbers("/proc")
	return slices.DeleteFunc(pids, func(pid int) bool {
		g, err := unix.Getpgid(pid)
		return err != nil || g != group
	})
}
