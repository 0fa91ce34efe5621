package main

// A file that takes the place of another one as a whole.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// draft is a file that is to take the place of another one, in the same folder. It has no name of its own, so that
// nothing is left behind however this process ends, or a hidden one where the file system cannot do that: then it is
// removed, and signals wait for that.
type draft struct {
	*os.File
	folder string
	name   string // "" is none
}

// openDraft opens one for a path, with the mode that the umask leaves of 0666.
func openDraft(path string) (*draft, error) {
	folder := folderOf(path)
	if fd, err := unix.Open(folder, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o666); err == nil {
		return &draft{os.NewFile(uintptr(fd), path), folder, ""}, nil
	}
	return openNamedDraft(path)
}

func openNamedDraft(path string) (*draft, error) {
	folder := folderOf(path)
	name := draftName(folder)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	return &draft{f, folder, name}, nil
}

func draftName(folder string) string { return fmt.Sprintf("%s.arenacap-%016x", folder, rand.Uint64()) }

// replace writes the draft to the disk and gives it its name; what had that name is gone then, and not before.
func (d *draft) replace(path string) error {
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if d.name == "" { // linkat(2) replaces no file, rename(2) does
		name := draftName(d.folder)
		if err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", d.Fd()), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
			return &os.LinkError{Op: "link", Old: path, New: name, Err: err}
		}
		d.name = name
	}
	if err := os.Rename(d.name, path); err != nil {
		return err
	}
	d.name = ""
	return nil
}

// drop closes it, and removes what has not taken its place.
func (d *draft) drop() {
	_ = d.Close()
	if d.name != "" {
		_ = os.Remove(d.name)
	}
}

// canReplace is the error that replaceFile would have by the folder.
func canReplace(path string) error {
	d, err := openDraft(path)
	if err == nil {
		d.drop()
	}
	return err
}

// replaceFile writes a file as a whole: until all of it is on the disk, and after an error, what was there stays. A file
// that is replaced leaves its permissions to the new one.
func replaceFile(path string, write func(io.Writer) error) error {
	wait := make(chan os.Signal, 1)
	signal.Notify(wait, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(wait)
	d, err := openDraft(path)
	if err != nil {
		return err
	}
	return d.fill(path, write)
}

func (d *draft) fill(path string, write func(io.Writer) error) error {
	defer d.drop()
	if old, err := os.Stat(path); err == nil {
		if err := d.Chmod(old.Mode() & fs.ModePerm); err != nil {
			return err
		}
	}
	if err := write(d); err != nil {
		return err
	}
	return d.replace(path)
}
