// This file waits for the children of a supervisor.

package launcher

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/watch"
)

// reaper waits for the target and, as PID 1 or child sub-reaper, for orphans. One SIGCHLD may stand for several children.
type reaper struct {
	target int
	group  bool // send TERM to the rest of the target's group when the target ends
	ended  bool // the target has ended and is reaped
	alone  bool // no children are left
	again  bool // reapOthers may not have found all ended children, and must be called again soon
}

// look returns a change of state of the target, or the zero value if there is none that options select.
func (r *reaper) look(options int) proc.Change {
	change, _ := proc.Waitid(unix.P_PID, r.target, options|unix.WNOHANG)
	return change
}

// stop returns the signal that has stopped the target, or 0.
func (r *reaper) stop() unix.Signal {
	if stop := r.look(unix.WSTOPPED); stop.PID != 0 && !r.ended {
		return unix.Signal(stop.Status)
	}
	return 0
}

// continued reports whether the target's last known stop is over: the target was continued, has stopped again, or has
// ended.
func (r *reaper) continued() bool {
	return r.look(unix.WCONTINUED).PID != 0 || r.look(unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT).PID != 0
}

// end reaps the target if it has ended. ok is true in the one call that reaps it. If the field "group" is true, the
// group of the target gets TERM before that, while the PID of the target cannot be reused.
func (r *reaper) end() (status unix.WaitStatus, usage unix.Rusage, ok bool) {
	if r.ended {
		return 0, usage, false
	}
	if r.look(unix.WEXITED|unix.WNOWAIT).PID == 0 {
		return 0, usage, false
	}
	if r.group {
		_ = unix.Kill(-r.target, unix.SIGTERM)
	}
	_, _ = proc.Retry(func() (int, error) { return unix.Wait4(r.target, &status, 0, &usage) })
	r.ended = true
	return status, usage, true
}

// reapOthers reaps all other children except the commands that the watch starts, because the watch reaps these itself.
// Until the watch has reaped an ended command, waitid(2) with WNOWAIT may return that command at each call, and never
// another ended child.
func (r *reaper) reapOthers() {
	r.again = false
	if !watch.Children(r.reapBut) {
		r.again = true
	}
}

func (r *reaper) reapBut(own func(pid int) bool) {
	for {
		found, err := proc.Waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOWAIT|unix.WALL|unix.WNOHANG)
		pid := found.PID
		switch {
		case err != nil || pid == 0 || pid == r.target && !r.ended:
			r.alone = err == unix.ECHILD
			return
		case own(pid):
			r.again = true
			return
		}
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG|unix.WALL, nil)
	}
}

// children lists the children of this process's first thread: the target and orphans, but not the commands that the
// watch starts, because the watch runs on another thread. The list is empty on a kernel without CONFIG_PROC_CHILDREN.
func children() []int {
	text, _ := proc.Here.Read(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	return proc.ParseChildren(text)
}
