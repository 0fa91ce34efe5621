package target

// This file reads files, also below another root directory.

import (
	"io"
	"os"
	"strings"

	"arenacap/launcher/proc"

	"golang.org/x/sys/unix"
)

// fsys is a file system with its root directory at root; "" is the real root.
type fsys struct{ root string }

// path converts a path to one for system calls. Below another root directory it resolves symbolic links, because an
// absolute link there begins at that directory.
func (fs fsys) path(path string) string {
	if fs.root == "" || !strings.HasPrefix(path, "/") {
		return path
	}
	resolved, links := "", 0
	for name := ""; path != ""; {
		name, path, _ = strings.Cut(path, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			resolved = resolved[:max(0, strings.LastIndexByte(resolved, '/'))]
			continue
		}
		target, err := os.Readlink(fs.root + resolved + "/" + name)
		if links++; err != nil || target == "" || links > maxLinks {
			resolved += "/" + name
			continue
		}
		if path = target + "/" + path; target[0] == '/' {
			resolved = ""
		}
	}
	return fs.root + resolved
}

// maxLinks limits the path components that are resolved (the kernel allows 40 symbolic links, fs/namei.c).
const maxLinks = 256

// file is an open file that is read at offsets.
type file int

// open opens a file for reading, with O_NONBLOCK because open(2) of a FIFO would block.
func (fs fsys) open(path string) (file, error) {
	fd, err := proc.Retry(func() (int, error) {
		return unix.Open(fs.path(path), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	})
	return file(fd), err
}

func (f file) close() { unix.Close(int(f)) }

// ReadAt calls pread(2) until p is full, the file ends or an error occurs (io.ReaderAt).
func (f file) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		m, err := unix.Pread(int(f), p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, err
		case m == 0:
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// head reads the first headSize bytes of a file.
func (fs fsys) head(path string) ([]byte, error) {
	f, err := fs.open(path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	buf := make([]byte, headSize)
	n, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return buf[:n], nil
}

// readFile reads a regular file of at most 64 MiB.
func (fs fsys) readFile(path string) ([]byte, error) {
	f, err := fs.open(path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f), &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxTable {
		return nil, unix.EFBIG
	}
	b := make([]byte, st.Size)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return b[:n], nil
}
