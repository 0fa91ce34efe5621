// The target as execve(2) takes it.

package launcher

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/target"
)

// program is put together before it is needed: what runs between a fork and the exec, or under a limit on its own
// address space, must not allocate.
type program struct {
	argv   []*byte
	script []*byte // what the shell gets, should the kernel know no format: the shell's path, the program's, its arguments
	env    []*byte
	limit  *addressSpace // nil is none
	before addressSpace
}

// addressSpace is RLIMIT_AS as prlimit64(2) takes it, with 64 bits on every architecture.
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

// setHardLimit is what [budget] hard = true puts on the target. Like softlimit -a it sets the soft limit only,
// at most the hard one.
func (p *program) setHardLimit(bytes uint64) error {
	if bytes == 0 {
		return nil
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &now); err != nil {
		return fmt.Errorf("hard = true needs RLIMIT_AS, and it cannot be read: %w", err)
	}
	p.before = addressSpace{now.Cur, now.Max}
	p.limit = &addressSpace{min(bytes, now.Max), now.Max}
	return nil
}

// Run replaces this process under the limit. It returns where that failed, and takes the limit back, so that there is
// memory to say why.
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

// execute gives a file that the kernel knows no format for to the shell, as execvp(3) does.
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
