// The target of a supervised launch, from its fork to its exec.
//
// It is forked here and not by os/exec, because it has to start as this process did, not as Go starts children: with the
// same signals ignored and blocked, with LISTEN_PID that names it, in the terminal's foreground where this process was.

package launcher

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
)

// child is the target as this process sees it.
type child struct {
	pid    int
	gate   int // a byte lets it go on to its exec, and the end of the pipe makes it end
	report int // ends when it was executed, and carries the errno where it could not be; -1 once that is known
}

// goOn lets the child go on to its exec. Where it was killed already, report ends.
func (c *child) goOn() {
	_, _ = unix.Write(c.gate, []byte{1})
	_ = unix.Close(c.gate)
}

// cancel makes the child end, and waits for that.
func (c *child) cancel() {
	_ = unix.Close(c.gate)
	c.await()
}

// await waits for the end of a child that did not become the target.
func (c *child) await() {
	_ = uninterrupted(func() error { _, err := unix.Wait4(c.pid, nil, 0, nil); return err })
}

// executed reports, once, how the exec went; errno is 0 where it succeeded.
func (c *child) executed() (errno syscall.Errno, known bool) {
	n, err := unix.Read(c.report, unsafe.Slice((*byte)(unsafe.Pointer(&errno)), unsafe.Sizeof(errno)))
	if err == unix.EAGAIN || err == unix.EINTR {
		return 0, false
	}
	_ = unix.Close(c.report)
	c.report = -1
	if n <= 0 {
		return 0, true
	}
	c.await()
	return errno, true
}

// letGo gives up the target's descriptors, so that nobody who waits for the end of a pipe waits for this
// process, and its folder, so that it can be unmounted. stderr stays: the log or the summary may go there. What
// was inherited is what an exec leaves open, and everything of ours is close-on-exec.
func letGo() {
	_ = unix.Chdir("/")
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Dup3(null, 0, 0)
		_ = unix.Dup3(null, 1, 0)
		_ = unix.Close(null)
	}
	for _, fd := range openDescriptors() {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd > 2 && err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

// childPlan is everything that the child needs, allocated before the fork.
type childPlan struct {
	program
	digits      [][]byte // where env says the child's own PID
	origin      origin.State
	group       bool // a process group of its own
	terminal    int  // the terminal whose foreground it takes; -1 is none
	parent      int
	parentDeath unix.Signal // 0 is none

	// The child's ends of the pipes, and the parent's end of gate, which the child closes, so that it sees the parent's end.
	gate, open, report int
}

func newChild(l Launch, s Supervision, t terminal, found origin.State) (*childPlan, error) {
	c := &childPlan{origin: found, group: s.KillGroup || t.own(), terminal: t.fd, parent: os.Getpid(), parentDeath: s.ParentDeath}
	if !t.foreground {
		c.terminal = -1
	}
	if c.parentDeath == 0 {
		var n int32
		_ = unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&n)), 0, 0, 0)
		c.parentDeath = unix.Signal(n)
	}
	env := withoutFDID(l.Env, c.parent)
	var err error
	if c.program, err = newProgram(l, env); err != nil {
		return nil, err
	}
	for i, entry := range env {
		if name, ok := namesPID(entry, c.parent); ok {
			text := append([]byte(name), make([]byte, maxDigits+1)...)
			c.env[i] = &text[0]
			c.digits = append(c.digits, text[len(name):])
		}
	}
	return c, nil
}

// maxDigits of a PID: the kernel's largest has seven (proc(5), /proc/sys/kernel/pid_max).
const maxDigits = 10

// namesPID finds what names this process to the target and is to name the target itself: LISTEN_PID
// (sd_listen_fds(3)), WATCHDOG_PID (sd_watchdog_enabled(3)) and SYSTEMD_EXEC_PID (systemd.exec(5)). One that
// names another process is not ours to change. name ends in "=".
func namesPID(entry string, pid int) (name string, ok bool) {
	value := strconv.Itoa(pid)
	for _, name := range []string{"LISTEN_PID=", "WATCHDOG_PID=", "SYSTEMD_EXEC_PID="} {
		if entry == name+value {
			return name, true
		}
	}
	return "", false
}

// withoutFDID leaves out LISTEN_PIDFDID where LISTEN_PID will name another process: it names this one by its
// pidfd's inode, and nobody has to set it (systemd 258, sd_listen_fds(3)).
func withoutFDID(env []string, pid int) []string {
	if !slices.Contains(env, "LISTEN_PID="+strconv.Itoa(pid)) {
		return env
	}
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool { return strings.HasPrefix(entry, "LISTEN_PIDFDID=") })
}

// fork makes the child, which waits at the gate.
func (c *childPlan) fork() (child, error) {
	var gate, report [2]int
	if err := unix.Pipe2(gate[:], unix.O_CLOEXEC); err != nil {
		return child{}, fmt.Errorf("no pipe to the target: %w", err)
	}
	defer unix.Close(gate[0])
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		return child{}, fmt.Errorf("no pipe from the target: %w", err)
	}
	defer unix.Close(report[1])
	_ = unix.SetNonblock(report[0], true)
	c.gate, c.open, c.report = gate[0], gate[1], report[1]
	origin.RestoreFiles()
	pid, err := origin.Fork(unix.SIGCHLD, c)
	return child{pid: pid, gate: gate[1], report: report[0]}, err
}

// Run gives the child what this process was started with and executes the target. It returns where that failed.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (c *childPlan) Run() syscall.Errno {
	c.takePlace()
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(c.open), 0, 0)
	var word [1]byte
	n, _, _ := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.gate), uintptr(unsafe.Pointer(&word)), 1)
	if n != 1 {
		return 0 // the parent is gone, or gave up
	}
	c.origin.Restore(true)
	errno := c.program.Run()
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.report), uintptr(unsafe.Pointer(&errno)), unsafe.Sizeof(errno))
	return errno
}

// takePlace is the child's place among processes: its number where the environment says it, its group, its
// terminal, and what happens to it when the parent ends.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (c *childPlan) takePlace() {
	pid, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	for i := 0; i < len(c.digits); i++ {
		putDecimal(c.digits[i], pid)
	}
	if c.group {
		syscall.RawSyscall(syscall.SYS_SETPGID, 0, 0, 0)
	}
	if c.terminal >= 0 {
		group := int32(pid)
		syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(c.terminal), syscall.TIOCSPGRP, uintptr(unsafe.Pointer(&group)))
	}
	if c.parentDeath == 0 {
		return
	}
	syscall.RawSyscall6(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(c.parentDeath), 0, 0, 0, 0)
	parent, _, _ := syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
	if int(parent) != c.parent { // it ended before the kernel could know
		syscall.RawSyscall(syscall.SYS_KILL, pid, uintptr(c.parentDeath), 0)
	}
}

// putDecimal writes n as a C string.
//
//go:nosplit
//go:norace
func putDecimal(to []byte, n uintptr) {
	size := 1
	for rest := n; rest >= 10; rest /= 10 {
		size++
	}
	for i := size - 1; i >= 0; i-- {
		to[i] = byte('0' + n%10)
		n /= 10
	}
	to[size] = 0
}
