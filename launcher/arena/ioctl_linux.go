// This file calls ioctl(2) on the files of /proc.

package arena

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl calls ioctl(2) with a structure as its argument.
func ioctl(file *os.File, request uintptr, arg unsafe.Pointer) (int, error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, uintptr(arg))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return 0, errno
	}
}
