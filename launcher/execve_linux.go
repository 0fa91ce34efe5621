// This file converts the target's arguments to the form that execve(2) takes, and calls it.

package launcher

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/target"
)

// program holds the arguments of execve(2). They are prepared in advance, because code between fork and exec, or under a
// limit on address space, must not allocate memory.
type program struct {
	argv   []*byte
	script []*byte // arguments of the shell if execve gives ENOEXEC: the shell's path, the program's path, its arguments
	env    []*byte
	limit  *addressSpace // limit on address space; nil for none
	before addressSpace
}

// addressSpace is struct rlimit64 of prlimit64(2) for RLIMIT_AS: 64 bits on every architecture.
type addressSpace struct{ cur, most uint64 }

func newProgram(l Launch, env []string) (p program, err error) {
	if p.argv, err = syscall.SlicePtrFromStrings(l.Args); err != nil {
		return p, err
	}
	if p.script, err = syscall.SlicePtrFromStrings(target.Script(l.Path, l.Args)); err != nil {
		return p, err
	}
	if p.env, err = syscall.SlicePtrFromStrings(env); err != nil {
		return p, err
	}
	return p, p.setHardLimit(l.Plan.HardLimit)
}

// setHardLimit prepares the limit of [budget] hard = true. Like softlimit -a it sets only the soft limit of RLIMIT_AS,
// and does not exceed the hard limit of RLIMIT_AS.
func (p *program) setHardLimit(bytes uint64) error {
	if bytes == 0 {
		return nil
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &now); err != nil {
		return fmt.Errorf("hard = true: cannot read RLIMIT_AS: %w", err)
	}
	p.before = addressSpace{now.Cur, now.Max}
	p.limit = &addressSpace{min(bytes, now.Max), now.Max}
	return nil
}

// Run sets the target's RLIMIT_AS and executes the target. If execve fails, Run restores the former RLIMIT_AS, so that there
// is memory to report the error, and returns.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (p *program) Run() syscall.Errno {
	if p.limit != nil {
		syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, uintptr(unsafe.Pointer(p.limit)), 0, 0, 0)
	}
	errno := p.execute()
	if p.limit != nil {
		syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, uintptr(unsafe.Pointer(&p.before)), 0, 0, 0)
	}
	return errno
}

// execute executes the target. A file of unknown format (ENOEXEC) runs with the shell, as by execvp(3).
//
//go:nosplit
//go:norace
//go:nocheckptr
func (p *program) execute() syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(p.script[1])),
		uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.env[0])))
	if errno == syscall.ENOEXEC {
		_, _, errno = syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(p.script[0])),
			uintptr(unsafe.Pointer(&p.script[0])), uintptr(unsafe.Pointer(&p.env[0])))
	}
	return errno
}
