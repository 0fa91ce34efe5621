package arena

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The files of /proc are opened without os.Open, which tries to have them polled: six calls a file, and more than
// the reading itself.

func openFile(path string) (*os.File, error) {
	fd, err := openRead(path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func openRead(path string) (fd int, err error) {
	for {
		if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			return fd, nil
		}
		if err != unix.EINTR {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// readOnce reads a file that the kernel gives whole to the first read; what is longer than buf is cut.
func readOnce(path string, buf []byte) ([]byte, error) {
	fd, err := openRead(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, buf)
		if err == nil {
			return buf[:n], nil
		}
		if err != unix.EINTR {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
	}
}

// ioctl is ioctl(2) with a structure.
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
