// This file waits for the children of a supervisor.

package launcher

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

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

// stop returns the signal that has stopped the target, or 0.
func (r *reaper) stop() unix.Signal {
	if pid, by, _ := waitid(unix.P_PID, r.target, unix.WSTOPPED); pid != 0 && !r.ended {
		return unix.Signal(by)
	}
	return 0
}

// continued reports whether the target's last known stop is over: the target was continued, has stopped again, or has
// ended.
func (r *reaper) continued() bool {
	pid, _, _ := waitid(unix.P_PID, r.target, unix.WCONTINUED)
	again, _, _ := waitid(unix.P_PID, r.target, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT)
	return pid != 0 || again != 0
}

// end reaps the target if it has ended. ok is true in the one call that reaps it. If the field "group" is true, the
// group of the target gets TERM before that, while the PID of the target cannot be reused.
func (r *reaper) end() (status unix.WaitStatus, usage unix.Rusage, ok bool) {
	if r.ended {
		return 0, usage, false
	}
	if pid, _, _ := waitid(unix.P_PID, r.target, unix.WEXITED|unix.WNOWAIT); pid == 0 {
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
		pid, _, err := waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOWAIT|unix.WALL)
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

// waitid calls waitid(2) with WNOHANG. It returns the child and its exit status or signal, or the PID 0 if no child has
// a change of state that options select. The error is ECHILD if there is no child that idType and id select.
func waitid(idType, id, options int) (pid, status int, err error) {
	// The structure siginfo_t has the ints si_signo, si_errno and si_code, then, aligned like a pointer, si_pid, si_uid and
	// si_status (sigaction(2)).
	var info [128]byte
	const place = 8 + int(unsafe.Sizeof(uintptr(0)))
	_, err = proc.Retry(func() (int, error) {
		return 0, unix.Waitid(idType, id, (*unix.Siginfo)(unsafe.Pointer(&info)), options|unix.WNOHANG, nil)
	})
	word := func(offset int) int { return int(int32(binary.NativeEndian.Uint32(info[place+offset:]))) }
	return word(0), word(8), err
}

// children lists the children of this process's first thread: the target and orphans, but not the commands that the
// watch starts, because the watch runs on another thread. The list is empty on a kernel without CONFIG_PROC_CHILDREN.
func children() []int {
	text, _ := proc.Here.Read(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	return proc.ParseChildren(text)
}
