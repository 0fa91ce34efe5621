// Reading files of /proc and /sys. What they say is for the parsers.

package proc

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Root is the folder above /proc and /sys of a machine. Paths are as that machine has them, in errors too.
type Root string

// Here is this machine.
const Here Root = ""

// maxFile bounds what is read of one file. The largest are net/tcp, 150 bytes a socket, mountinfo, some 200 bytes a mount,
// and an environment, at most 6 MiB (execve(2)).
const maxFile = 64 << 20

// Read gives a whole file with open, read and close alone. os.ReadFile also asks whether the runtime's poller can wait
// for the file, which doubles the time of a small one, and a launch reads several.
func (r Root) Read(path string) ([]byte, error) {
	fd, err := r.open(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	text := make([]byte, 0, 4096) // a page is the most that the kernel gives at a time of most files
	for {
		if len(text) == cap(text) {
			text = append(text, make([]byte, len(text))...)[:len(text)]
		}
		n, err := retry(func() (int, error) { return unix.Read(fd, text[len(text):cap(text)]) })
		text = text[:len(text)+n]
		switch {
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		case len(text) > maxFile:
			return nil, &fs.PathError{Op: "read", Path: path, Err: unix.EFBIG}
		case n == 0:
			return text, nil
		}
	}
}

// Open opens a file, without asking the runtime's poller as os.Open does.
func (r Root) Open(path string) (*os.File, error) {
	fd, err := r.open(path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (r Root) open(path string) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Open(string(r)+path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// retry repeats a call that a signal interrupted: a file of lxcfs, which is FUSE, can be.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

// Exists reports whether there is such a file or folder.
func (r Root) Exists(path string) bool {
	return unix.Access(string(r)+path, unix.F_OK) == nil
}

// Numbers gives the names in a folder that are numbers, in no order: the PIDs of /proc, the TIDs of /proc/PID/task, the
// descriptors of /proc/PID/fd.
func (r Root) Numbers(folder string) (numbers []int, err error) {
	f, err := r.Open(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}
