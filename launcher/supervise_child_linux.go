// This file starts the target of a supervised launch, from its fork to its exec.
//
// os/exec does not suffice: the target needs the signal dispositions and mask that this process was started with, its own
// PID in LISTEN_PID, and the terminal's foreground if this process had it.

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
	"arenacap/launcher/proc"
)

// child is the process that becomes the target, as this process sees it.
type child struct {
	pid    int
	gate   int // pipe to the child: a byte lets it execute, end of file makes it exit
	report int // pipe from the child: the errno of a failed exec, or end of file; -1 once it is read
}

// goOn lets the child execute the target. If the child has been killed, a later read of the pipe "report" returns end
// of file.
func (c *child) goOn() {
	_, _ = unix.Write(c.gate, []byte{1})
	_ = unix.Close(c.gate)
}

// cancel makes the child exit and reaps it.
func (c *child) cancel() {
	_ = unix.Close(c.gate)
	c.await()
}

// await reaps a child that did not become the target.
func (c *child) await() {
	_, _ = proc.Retry(func() (int, error) { return unix.Wait4(c.pid, nil, 0, nil) })
}

// execResult reads the result of the exec from the pipe "report" and closes it; errno is 0 for success. If there is no
// result yet, the pipe stays open and the result "known" is false.
func (c *child) execResult() (errno syscall.Errno, known bool) {
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

// letGo closes the inherited descriptors, since another process may wait for the end of a pipe among them. It also leaves
// the working directory, so that its file system can be unmounted. stderr stays open for the log and the summary.
// Descriptors without close-on-exec are inherited; arenacap opens all its own descriptors with close-on-exec.
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

// childPlan holds everything that the child needs, allocated before the fork.
type childPlan struct {
	program
	digits      [][]byte // places in env for the child's PID
	origin      origin.State
	group       bool // the child gets its own process group
	terminal    int  // terminal whose foreground the child takes; -1 for none
	parent      int
	parentDeath unix.Signal // signal that the child gets when its parent dies; 0 for none

	// "gate" and "report" are the child's ends of two pipes. The field "open" is the parent's end of the pipe "gate".
	// The child closes its own copy of this end, so that it reads end of file from "gate" if the parent dies.
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

// maxDigits bounds the digits of a PID: the kernel's largest has seven (proc(5), /proc/sys/kernel/pid_max).
const maxDigits = 10

// namesPID reports whether entry is a variable that holds this process's PID and must hold the target's: LISTEN_PID
// (sd_listen_fds(3)), WATCHDOG_PID (sd_watchdog_enabled(3)) or SYSTEMD_EXEC_PID (systemd.exec(5)). A variable with the PID
// of another process stays as it is. name ends in "=".
func namesPID(entry string, pid int) (name string, ok bool) {
	value := strconv.Itoa(pid)
	for _, name := range []string{"LISTEN_PID=", "WATCHDOG_PID=", "SYSTEMD_EXEC_PID="} {
		if entry == name+value {
			return name, true
		}
	}
	return "", false
}

// withoutFDID removes LISTEN_PIDFDID if LISTEN_PID will change, because LISTEN_PIDFDID is the pidfd inode of this process,
// not of the target. The variable is optional (systemd 258, sd_listen_fds(3)).
func withoutFDID(env []string, pid int) []string {
	if !slices.Contains(env, "LISTEN_PID="+strconv.Itoa(pid)) {
		return env
	}
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool { return strings.HasPrefix(entry, "LISTEN_PIDFDID=") })
}

// fork starts the child, which waits for a byte from the pipe "gate".
func (c *childPlan) fork() (child, error) {
	var gate, report [2]int
	if err := unix.Pipe2(gate[:], unix.O_CLOEXEC); err != nil {
		return child{}, fmt.Errorf("cannot make a pipe to the target: %w", err)
	}
	defer unix.Close(gate[0])
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		return child{}, fmt.Errorf("cannot make a pipe from the target: %w", err)
	}
	defer unix.Close(report[1])
	_ = unix.SetNonblock(report[0], true)
	c.gate, c.open, c.report = gate[0], gate[1], report[1]
	origin.RestoreFiles()
	pid, err := origin.Fork(unix.SIGCHLD, c)
	return child{pid: pid, gate: gate[1], report: report[0]}, err
}

// Run restores in the child the state that this process was started with and executes the target. It returns on failure.
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
		return 0 // the parent has died or cancelled
	}
	c.origin.Restore(true)
	errno := c.program.Run()
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.report), uintptr(unsafe.Pointer(&errno)), unsafe.Sizeof(errno))
	return errno
}

// takePlace writes the child's PID into the child's environment. It also sets the child's process group, the terminal's
// foreground group and the child's parent-death signal.
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
	if int(parent) != c.parent { // the parent died before prctl, so the kernel sends no signal
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
