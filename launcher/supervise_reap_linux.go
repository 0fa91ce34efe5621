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
	ended  bool // the target has
	alone  bool // no child is left
	again  bool // a child of the watch hides others: look again soon
}

// next is what the target did: it has stopped or ended. ok is false where it did nothing.
func (r *reaper) next() (status unix.WaitStatus, usage unix.Rusage, ok bool) {
	if r.ended {
		return 0, usage, false
	}
	var pid int
	_ = uninterrupted(func() (err error) {
		pid, err = unix.Wait4(r.target, &status, unix.WNOHANG|unix.WUNTRACED, &usage)
		return err
	})
	ok = pid == r.target
	r.ended = ok && !status.Stopped()
	return status, usage, ok
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
		pid, err := endedChild()
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

// endedChild is a child that can be reaped, 0 where none can; the error is ECHILD where there is no child.
func endedChild() (pid int, err error) {
	var info [128]byte // siginfo_t: si_signo, si_errno, si_code, then aligned as a pointer is si_pid (sigaction(2))
	const place = 8 + int(unsafe.Sizeof(uintptr(0)))
	err = uninterrupted(func() error {
		return unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	})
	return int(int32(binary.NativeEndian.Uint32(info[place:]))), err
}

// children are this process's, none where the kernel does not list them (CONFIG_PROC_CHILDREN).
func children() []int {
	text, _ := proc.Here.Read(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	return proc.ParseChildren(text)
}
