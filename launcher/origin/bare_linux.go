// This file forks and executes. The code between a fork and an exec runs without Go's runtime.

package origin

import (
	"fmt"
	"syscall"
)

// Bare is code that runs without Go's runtime. Run and the functions it calls make only raw system calls, allocate
// nothing, and are marked go:nosplit and go:norace; Run is also marked go:nocheckptr.
type Bare interface{ Run() syscall.Errno }

// Fork forks this process and runs b in the child, on its only thread. In the child, signals that the parent handles
// have their default action, and all signals are blocked. The child exits with the result of b as its status. When the
// child ends, the kernel sends exitSignal to the parent, or no signal if exitSignal is 0.
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
	if errno == syscall.EINVAL { // qemu's user mode supports only SIGCHLD as the signal at the child's end
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

// Exec restores the state that this process inherited and runs b, which executes the target. Exec returns only if b
// fails. To Go's runtime the whole call looks like one system call. Otherwise the runtime's monitor would send SIGURG
// to this thread after 10 ms (runtime/proc.go, retake), and the signal would be pending in a target that starts with
// URG blocked.
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

// RestoreFiles restores the soft RLIMIT_NOFILE, which Go's syscall package raised at the start. In this process only
// syscall.Exec restores the limit, just before it calls execve(2). So RestoreFiles calls syscall.Exec with an empty
// path, with which execve fails.
func RestoreFiles() { _ = syscall.Exec("", []string{""}, nil) }
