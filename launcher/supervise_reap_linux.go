// The children of a supervisor that have ended.

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

// reaper waits for the target, and as PID 1 or child sub-reaper for whatever lost its parent. One signal stands for any
// number of them.
type reaper struct {
	target int
	group  bool // what is left of the target's group gets TERM when the target ends
	ended  bool // the target has
	alone  bool // no child is left
	again  bool // a child of the watch hides others: look again soon
}

// stop is the signal that has stopped the target, 0 where none has.
func (r *reaper) stop() unix.Signal {
	if pid, by, _ := waitid(unix.P_PID, r.target, unix.WSTOPPED); pid != 0 && !r.ended {
		return unix.Signal(by)
	}
	return 0
}

// continued reports whether the target, which has stopped, went on since.
func (r *reaper) continued() bool {
	pid, _, _ := waitid(unix.P_PID, r.target, unix.WCONTINUED)
	again, _, _ := waitid(unix.P_PID, r.target, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT)
	return pid != 0 || again != 0
}

// end is how the target ended; ok is true once. Until it is reaped its number is the group's.
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
	_ = uninterrupted(func() error { _, err := unix.Wait4(r.target, &status, 0, &usage); return err })
	r.ended = true
	return status, usage, true
}

// reapOthers leaves a command of the watch to the watch. While one has ended and is not reaped the kernel may
// show no other.
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

// waitid is waitid(2) that does not wait: the child and its status or signal, pid 0 where none did what options ask for. The
// error is ECHILD where there is no such child.
func waitid(idType, id, options int) (pid, status int, err error) {
	var info [128]byte // siginfo_t: si_signo, si_errno, si_code, then aligned as a pointer si_pid, si_uid, si_status (sigaction(2))
	const place = 8 + int(unsafe.Sizeof(uintptr(0)))
	err = uninterrupted(func() error {
		return unix.Waitid(idType, id, (*unix.Siginfo)(unsafe.Pointer(&info)), options|unix.WNOHANG, nil)
	})
	word := func(offset int) int { return int(int32(binary.NativeEndian.Uint32(info[place+offset:]))) }
	return word(0), word(8), err
}

// children are this process's, none where the kernel does not list them (CONFIG_PROC_CHILDREN).
func children() []int {
	text, _ := proc.Here.Read(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	return proc.ParseChildren(text)
}
