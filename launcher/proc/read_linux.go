// This file reads files of /proc and /sys.

package proc

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Root is the folder that contains a machine's /proc and /sys. Paths in arguments and errors are without it.
type Root string

// Here is the root of this machine.
const Here Root = ""

// maxFile is the maximum size of a file in bytes. The largest files are net/tcp, 150 bytes per socket, mountinfo, about
// 200 bytes per mount, and an environment, at most 6 MiB (execve(2)).
const maxFile = 64 << 20

// Read reads a whole file. It makes fewer system calls than os.ReadFile, which also tries to add the file to the runtime's
// poller; that doubles the time for a small file.
func (r Root) Read(path string) ([]byte, error) { return r.ReadInto(new([]byte), path) }

// ReadInto does what Read does, with a buffer, which may be nil at first and grows as needed. The text is valid until
// the buffer's next use.
func (r Root) ReadInto(buffer *[]byte, path string) (text []byte, err error) {
	fd, err := r.open(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if *buffer == nil {
		*buffer = make([]byte, 4096) // larger would save no read: most files give at most a page per read (fs/seq_file.c)
	}
	text = (*buffer)[:0]
	for {
		if len(text) == cap(text) {
			text = append(text, make([]byte, len(text))...)[:len(text)]
			*buffer = text
		}
		n, err := Retry(func() (int, error) { return unix.Read(fd, text[len(text):cap(text)]) })
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

// Open opens a file, without the runtime's poller that os.Open would use.
func (r Root) Open(path string) (*os.File, error) {
	fd, err := r.open(path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (r Root) open(path string) (int, error) {
	fd, err := Retry(func() (int, error) { return unix.Open(string(r)+path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// Retry repeats a system call after EINTR, which files of lxcfs, a FUSE file system, can return too. n is 0 after an error.
func Retry(call func() (n int, err error)) (n int, err error) {
	for {
		if n, err = call(); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Exists reports whether a file or folder exists.
func (r Root) Exists(path string) bool {
	return unix.Access(string(r)+path, unix.F_OK) == nil
}

// Gone reports whether an error of reading /proc/PID means that the process has ended.
func Gone(err error) bool { return errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) }

// Stat reads /proc/PID/stat.
func (r Root) Stat(pid int) (Stat, error) {
	text, err := r.Read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(text)
}

// Children returns the children of all threads of a process: none on a kernel without CONFIG_PROC_CHILDREN.
func (r Root) Children(pid int) (children []int) {
	tasks := "/proc/" + strconv.Itoa(pid) + "/task/"
	threads, _ := r.Numbers(tasks)
	for _, tid := range threads {
		text, _ := r.Read(tasks + strconv.Itoa(tid) + "/children")
		children = append(children, ParseChildren(text)...)
	}
	return children
}

// SameFile reports whether two paths lead to one file.
func SameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// Numbers returns the numeric names in a folder, unsorted: the PIDs of /proc, the TIDs of /proc/PID/task, the descriptors
// of /proc/PID/fd.
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
