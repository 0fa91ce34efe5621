package launcher

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// image is a program as execve(2) takes it, put together before it is needed: what runs between a fork and the
// exec, or under a limit on its own address space, must not allocate.
type image struct {
	path, shell  *byte
	argv, script []*byte // script is what the shell gets, should the kernel know no format for path
	env          []*byte
	limit        *addressSpace // nil is none
	before       addressSpace
}

// addressSpace is RLIMIT_AS as prlimit64(2) takes it, with 64 bits on every architecture.
type addressSpace struct{ cur, most uint64 }

func newImage(l Launch, env []string) (i image, err error) {
	if i.path, err = syscall.BytePtrFromString(l.Path); err != nil {
		return i, err
	}
	i.shell, _ = syscall.BytePtrFromString(shell)
	if i.argv, err = syscall.SlicePtrFromStrings(l.Args); err != nil {
		return i, err
	}
	if i.script, err = syscall.SlicePtrFromStrings(l.script()); err != nil {
		return i, err
	}
	if i.env, err = syscall.SlicePtrFromStrings(env); err != nil {
		return i, err
	}
	return i, i.setHardLimit(l.Plan.HardLimit)
}

// setHardLimit is what [budget] hard = true puts on the target. Like softlimit -a it sets the soft limit only,
// at most the hard one.
func (i *image) setHardLimit(bytes uint64) error {
	if bytes == 0 {
		return nil
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &now); err != nil {
		return fmt.Errorf("hard = true needs RLIMIT_AS, and it cannot be read: %w", err)
	}
	i.before = addressSpace{now.Cur, now.Max}
	i.limit = &addressSpace{min(bytes, now.Max), now.Max}
	return nil
}

// unlimit takes the limit back where the exec failed, so that there is memory to say why.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (i *image) unlimit() {
	if i.limit != nil {
		syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, uintptr(unsafe.Pointer(&i.before)), 0, 0, 0)
	}
}

// Run replaces this process, as package origin has it, and takes the limit back where that failed.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (i *image) Run() syscall.Errno {
	errno := i.execute()
	i.unlimit()
	return errno
}

// execute replaces this process under the limit. A file that the kernel knows no format for goes to the shell,
// as with execvp(3). It returns where both failed.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (i *image) execute() syscall.Errno {
	if i.limit != nil {
		syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, uintptr(unsafe.Pointer(i.limit)), 0, 0, 0)
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(i.path)),
		uintptr(unsafe.Pointer(&i.argv[0])), uintptr(unsafe.Pointer(&i.env[0])))
	if errno == syscall.ENOEXEC {
		_, _, errno = syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(i.shell)),
			uintptr(unsafe.Pointer(&i.script[0])), uintptr(unsafe.Pointer(&i.env[0])))
	}
	return errno
}
