package machine

import (
	"errors"
	"io/fs"
	"math/bits"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// host reads the files of one machine. Paths are as they are on that machine, without its root.
type host struct {
	root string // "" is this machine
	buf  []byte // for every read, so that a file costs one allocation: its text
}

// maxFile bounds what is read of one file. mountinfo, the largest, has some 200 bytes a mount.
const maxFile = 16 << 20

// read gives a whole file with open, read and close alone. os.ReadFile also asks whether the runtime's poller
// can wait for the file, which doubles the time of a small one, and this is done at every launch.
func (h *host) read(path string) (string, error) {
	fd, err := retry(func() (int, error) { return unix.Open(h.root+path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if h.buf == nil {
		h.buf = make([]byte, 8192)
	}
	for n := 0; ; {
		if n == len(h.buf) {
			h.buf = append(h.buf, make([]byte, n)...)
		}
		more, err := retry(func() (int, error) { return unix.Read(fd, h.buf[n:]) })
		n += more
		switch {
		case err != nil:
			return "", &fs.PathError{Op: "read", Path: path, Err: err}
		case n > maxFile:
			return "", &fs.PathError{Op: "read", Path: path, Err: unix.EFBIG}
		case more == 0:
			return string(h.buf[:n]), nil
		}
	}
}

// retry repeats a call that a signal interrupted: a file of lxcfs, which is FUSE, can be.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// exists reports whether there is such a file or folder.
func (h *host) exists(path string) bool {
	return unix.Access(h.root+path, unix.F_OK) == nil
}

// affinity counts the CPUs that sched_getaffinity(2) gives for the first thread, the one that execs, and
// not for the thread that runs this goroutine.
func affinity() (int, error) {
	return countMask(func(mask []byte) (int, error) {
		n, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETAFFINITY, uintptr(os.Getpid()), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0])))
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	})
}

// countMask counts the bits of a CPU mask. The kernel answers EINVAL to a mask that is smaller than its
// own, which depends on its build (NR_CPUS) and its machine, so the mask grows from glibc's cpu_set_t, 1024 CPUs.
func countMask(get func(mask []byte) (int, error)) (int, error) {
	for size := 128; size <= maxCPU/8; size *= 4 {
		mask := make([]byte, size)
		n, err := get(mask)
		if errors.Is(err, unix.EINVAL) {
			continue
		}
		count := 0
		for _, b := range mask[:n] {
			count += bits.OnesCount8(b)
		}
		return count, err
	}
	return 0, unix.EINVAL
}
