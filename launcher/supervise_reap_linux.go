package launcher

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/watch"
)

// reap waits for every child that has ended: the target, and as PID 1 or child sub-reaper whatever lost its
// parent. One signal stands for any number of them.
func (v *supervisor) reap() {
	if v.report >= 0 {
		return // the start is not judged yet
	}
	for !v.ended {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(v.pid, &status, unix.WNOHANG|unix.WUNTRACED, &usage)
		if err == unix.EINTR {
			continue
		}
		switch {
		case pid != v.pid:
			v.reapOthers()
			return
		case status.Stopped():
			v.stopped(status.StopSignal())
		default:
			v.end(status, usage)
		}
	}
	v.reapOthers()
}

// end is the end of the target.
func (v *supervisor) end(status unix.WaitStatus, usage unix.Rusage) {
	v.ended = true
	v.ending.Status, v.ending.Elapsed = status, time.Since(v.began)
	v.ending.MaxRSS = uint64(usage.Maxrss) * 1024 // in KiB, getrusage(2)
	v.terminal.pass(v.pid, v.terminal.group)
}

// stopped follows a stop of the target, so that the shell in front sees it, and gives the terminal back as long.
func (v *supervisor) stopped(by unix.Signal) {
	own := v.terminal.fd >= 0
	if !mirrors(by, own) {
		return
	}
	if hasShell() {
		v.terminal.pass(v.pid, v.terminal.group)
		_ = v.relay.Raise(by) // until CONT, which is passed on like any other signal
		return
	}
	if own && by != unix.SIGSTOP {
		_ = unix.Kill(-v.pid, unix.SIGCONT) // without us the kernel would not have stopped it
	}
}

// reapOthers leaves a command of the watch to the watch. While one has ended and is not reaped the kernel may
// show no other.
func (v *supervisor) reapOthers() {
	v.again = false
	if !watch.Children(v.reapBut) {
		v.again = true
	}
}

func (v *supervisor) reapBut(own func(pid int) bool) {
	for {
		pid, err := endedChild()
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || pid == 0 || pid == v.pid && !v.ended:
			v.alone = err == unix.ECHILD
			return
		case own(pid):
			v.again = true
			return
		}
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG|unix.WALL, nil)
	}
}

// endedChild is a child that can be reaped, 0 where none can; the error is ECHILD where there is no child.
func endedChild() (pid int, err error) {
	var info [128]byte // siginfo_t: si_signo, si_errno, si_code, then aligned as a pointer is si_pid (sigaction(2))
	const place = 8 + int(unsafe.Sizeof(uintptr(0)))
	err = unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	return int(int32(binary.NativeEndian.Uint32(info[place:]))), err
}

// children are this process's, none where the kernel does not list them (CONFIG_PROC_CHILDREN).
func children() (pids []int) {
	pid := strconv.Itoa(os.Getpid())
	text, _ := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	for _, word := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
