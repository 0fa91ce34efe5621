package sweep

// This file ends the processes that a run left behind: descendants of the program whose parents exited.

import (
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// leftoverTime is the time between TERM and KILL.
const leftoverTime = 2 * time.Second

// adopt makes this process the new parent of descendants whose parent exits (PR_SET_CHILD_SUBREAPER), until the
// function "release" is called. The function "reap" ends and reaps the descendants that a run left behind. It spares
// the children that existed before this call.
func adopt(atOnce <-chan struct{}) (reap, release func()) {
	spared := proc.Here.Children(os.Getpid())
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	reap = func() {
		late := make(chan struct{})
		timer := time.AfterFunc(leftoverTime, func() { close(late) })
		defer timer.Stop()
		for range generations { // when a leftover process ends, its own children become children of this process
			left := slices.DeleteFunc(proc.Here.Children(os.Getpid()), func(pid int) bool { return slices.Contains(spared, pid) })
			if len(left) == 0 {
				return
			}
			spared = append(spared, endAll(left, late, atOnce)...)
		}
	}
	return reap, func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }
}

// generations bounds the loop of the function "reap", for a program that forks faster than it is killed.
const generations = 100

// endAll ends and reaps children. It sends TERM, and then KILL to those that still run when one of the channels late and
// atOnce is closed. It returns the children that it may not signal, which are programs of another user. No other code may
// wait for these children.
func endAll(pids []int, late, atOnce <-chan struct{}) (others []int) {
	for _, pid := range pids {
		terminate(pid)
	}
	for _, pid := range pids {
		ended := make(chan struct{})
		go func() { peek(pid, unix.WEXITED); close(ended) }()
		select {
		case <-ended:
		case <-late:
		case <-atOnce:
		}
		if syscall.Kill(pid, syscall.SIGKILL) == syscall.EPERM {
			others = append(others, pid)
			continue
		}
		<-ended
		for _, err := syscall.Wait4(pid, nil, 0, nil); err == syscall.EINTR; _, err = syscall.Wait4(pid, nil, 0, nil) {
		}
	}
	return others
}
