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
)

// Whose policy file root may follow, and how it is opened.

// openFile opens a file for reading. It neither blocks on a FIFO nor takes a terminal as the controlling one. os.OpenFile
// would set up the runtime's poller for the file, which no regular file can use.
func openFile(path string) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		_ = syscall.SetNonblock(fd, false) // or os.NewFile would do the same
		return os.NewFile(uintptr(fd), path), nil
	}
}

// maxLinks is how many symbolic links a path may go through, as in the kernel (path_resolution(7)).
const maxLinks = 40

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// mayWrite asks the kernel without opening anything: access(2), W_OK, which knows read-only file systems too.
func mayWrite(path string) error {
	const canWrite = 2
	return syscall.Access(path, canWrite)
}

// distrust says why a policy must not steer what root launches: the file, a folder above it, a link on
// the way or a folder above that link's target belongs to another user or can be written by one. opened
// is the stat of the descriptor that is read, so the file that is judged is the one that counts. What belongs to user is
// as good as root's: 0 for a launch, and in a check the one that checks.
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
		return &problem{File: path, Message: "was replaced while it was read", Hint: "start again"}
	}
	return w.untrusted(w.at, opened)
}

// walk follows a path as the kernel does, one name at a time, and judges all it meets.
type walk struct {
	path  string   // as it was named
	user  int      // who may own what is met, beside root
	at    string   // where the walk is; no link is left in it
	todo  []string // the names ahead
	links int
}

// step goes on to the next name and gives the stat(2) of where the walk is then, which is that of at where the name
// leads nowhere new.
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
	return info, w.untrusted(step, info)
}

// untrusted judges one step of the way. The mode of a link means nothing, and who may write to a sticky
// folder cannot replace what is root's in it.
func (w *walk) untrusted(step string, info fs.FileInfo) *problem {
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
		return refused(path, fmt.Sprintf("the link %q belongs to uid %d", step, stat.Uid), "chown -h root "+shellWord(step))
	case stranger:
		return refused(path, fmt.Sprintf("%s belongs to uid %d", what(), stat.Uid), "chown root "+shellWord(step))
	case mode&fs.ModeSymlink != 0 || mode.IsDir() && mode&fs.ModeSticky != 0:
		return nil
	case mode.Perm()&0o022 != 0:
		return refused(path, fmt.Sprintf("%s can be written by group or others (mode %04o)", what(), mode.Perm()), "chmod go-w "+shellWord(step))
	}
	return nil
}

func refused(path, why, command string) *problem {
	return &problem{File: path, Message: "is refused when root launches: " + why, Hint: "type " + command}
}
