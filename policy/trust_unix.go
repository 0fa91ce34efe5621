//go:build unix

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"arenacap/policy/text"
)

// This file opens a policy file, and decides whether root may trust it.

// openFile opens a file for reading. It neither blocks on a FIFO nor acquires a controlling terminal. It avoids os.OpenFile,
// which would set up the runtime's poller; a regular file cannot use that.
func openFile(path string) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		_ = syscall.SetNonblock(fd, false) // else os.NewFile would set up the poller
		return os.NewFile(uintptr(fd), path), nil
	}
}

// maxLinks is the maximum number of symbolic links in a path, as in the kernel (path_resolution(7)).
const maxLinks = 40

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// mayWrite uses access(2) with W_OK, which opens nothing and also detects read-only file systems.
func mayWrite(path string) error {
	const canWrite = 2
	return syscall.Access(path, canWrite)
}

// distrust describes why root must not follow a policy: the file, a folder above it, a link on its path or a folder
// above that link's target is owned or writable by another user. The parameter "opened" is the fstat(2) of the open
// file, so that the file that was checked is the file that is read. The parameter "user" is a UID whose files are
// trusted like root's: a launch passes 0 (root), and Check passes the UID of the user who calls it.
func distrust(path string, opened fs.FileInfo, user int) *problem {
	full, err := filepath.Abs(path)
	if err != nil {
		return cannotRead(path, err)
	}
	w := walk{path: path, user: user, at: "/"}
	last, p := w.judge("/")
	for w.todo = strings.Split(full, "/"); len(w.todo) > 0 && p == nil; {
		last, p = w.step(last)
	}
	if p != nil {
		return p
	}
	if !os.SameFile(last, opened) {
		return &problem{File: path, Message: "was replaced while it was read", Hint: "run the command again"}
	}
	return w.checkStep(w.at, opened)
}

// walk resolves a path as the kernel does, one name at a time, and checks the owner and mode of each step.
type walk struct {
	path  string   // the path as the user wrote it
	user  int      // the trusted owner besides root
	at    string   // the current position, without links
	todo  []string // the names that are still to be resolved
	links int
}

// step resolves the next name. It takes the stat(2) of the current position and returns the stat(2) of the new position.
func (w *walk) step(at fs.FileInfo) (fs.FileInfo, *problem) {
	name := w.todo[0]
	w.todo = w.todo[1:]
	switch name {
	case "", ".":
		return at, nil
	case "..":
		w.at = filepath.Dir(w.at)
		return w.judge(w.at)
	}
	next := filepath.Join(w.at, name)
	info, p := w.judge(next)
	if p != nil || info.Mode()&fs.ModeSymlink == 0 {
		w.at = next
		return info, p
	}
	target, err := os.Readlink(next)
	if w.links++; err != nil || w.links > maxLinks {
		return nil, cannotRead(w.path, cmp.Or[error](err, syscall.ELOOP))
	}
	if strings.HasPrefix(target, "/") {
		w.at = "/"
	}
	w.todo = append(strings.Split(target, "/"), w.todo...)
	return w.judge(w.at)
}

func (w *walk) judge(step string) (fs.FileInfo, *problem) {
	info, err := os.Lstat(step)
	if err != nil {
		return nil, cannotRead(w.path, err)
	}
	return info, w.checkStep(step, info)
}

// checkStep checks one step. The mode of a link has no meaning. In a sticky folder other users cannot replace root's
// files, and on a read-only mount nobody can.
func (w *walk) checkStep(step string, info fs.FileInfo) *problem {
	path := w.path
	mode := info.Mode()
	what := func() string {
		if step == path {
			return "it"
		}
		return strconv.Quote(step)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	stranger := ok && stat.Uid != 0 && int(stat.Uid) != w.user
	switch {
	case !ok:
		return nil
	case stranger && mode&fs.ModeSymlink != 0:
		return refused(path, fmt.Sprintf("the link %q belongs to uid %d", step, stat.Uid), "chown -h root "+text.ShellWord(step))
	case stranger:
		return refused(path, fmt.Sprintf("%s belongs to uid %d", what(), stat.Uid), "chown root "+text.ShellWord(step))
	case mode&fs.ModeSymlink != 0 || mode.IsDir() && mode&fs.ModeSticky != 0:
		return nil
	case mode.IsDir() && errors.Is(mayWrite(step), syscall.EROFS): // the folder of a ConfigMap has mode 0777
		return nil
	case mode.Perm()&0o022 != 0:
		return refused(path, fmt.Sprintf("%s can be written by group or others (mode %04o)", what(), mode.Perm()), "chmod go-w "+text.ShellWord(step))
	}
	return nil
}

func refused(path, why, command string) *problem {
	return &problem{File: path, Message: "is refused when root starts a program with it: " + why, Hint: "type " + command}
}
