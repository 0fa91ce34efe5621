// Code that runs where Go's runtime cannot be used: in a child between fork and exec, and at the exec itself.

package origin

import (
	"fmt"
	"syscall"
)

// Bare is such code. Run and all that it calls make raw system calls only, and check no stack, tell the race detector
// nothing and check no pointer (go:nosplit, go:norace, go:nocheckptr); what they need was allocated before.
type Bare interface{ Run() syscall.Errno }

// Fork makes a child by a copy of this process, in which b runs on the only thread. No signal has a handler
// there, since one of the parent's must not run, and all are blocked until b sets another mask. The child ends with what b
// returns as its status, and its end is told by exitSignal, 0 for none.
func Fork(exitSignal syscall.Signal, b Bare) (pid int, err error) {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	child, errno := fork(exitSignal, b)
	afterFork()
	if errno != 0 {
		return 0, fmt.Errorf("fork: %w", errno)
	}
	return int(child), nil
}

//go:noinline
//go:norace
//go:nocheckptr
func fork(exitSignal syscall.Signal, b Bare) (child uintptr, errno syscall.Errno) {
	beforeFork()
	child, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(exitSignal), 0, 0, 0, 0, 0)
	if errno == syscall.EINVAL { // qemu's user mode knows no other
		child, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	}
	if child != 0 || errno != 0 {
		return child, errno
	}
	dropHandlers()
	status := b.Run()
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(status), 0, 0)
	}
}

// Exec gives back what was found at the start and runs b, which executes the target. It returns where that failed.
// To the runtime this is one system call: else its monitor sends this thread an URG after 10 ms, to preempt it
// (runtime/proc.go, retake), and where the target starts with URG blocked it would find that pending.
func Exec(b Bare) syscall.Errno {
	RestoreFiles()
	beforeExec()
	defer afterExec()
	return exec(b)
}

//go:noinline
//go:norace
//go:nocheckptr
func exec(b Bare) syscall.Errno {
	enterSyscall()
	restore()
	errno := b.Run()
	exitSyscall()
	return errno
}

// RestoreFiles puts back the limit of descriptors that this process was started with. Go's syscall package raised the soft
// one and keeps to itself what it was; Exec puts it back before it tries, and there is no program without a name.
func RestoreFiles() { _ = syscall.Exec("", []string{""}, nil) }
