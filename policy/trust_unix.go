//go:build unix

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// openFlags keep an open(2) from blocking on a FIFO and from taking a terminal as the controlling one.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// maxLinks is how many symbolic links a path may go through, as in the kernel (path_resolution(7)).
const maxLinks = 40

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// distrust says why a policy must not steer what root launches: the file, a folder above it, a link on
// the way or a folder above that link's target belongs to another user or can be written by one. opened
// is the stat of the descriptor that is read, so the file that is judged is the one that counts.
func distrust(path string, opened fs.FileInfo) *Problem {
	full, err := filepath.Abs(path)
	if err != nil {
		return cannotRead(path, err)
	}
	w := walk{path: path, at: "/"}
	if p := w.judge("/"); p != nil {
		return p
	}
	for w.todo = strings.Split(full, "/"); len(w.todo) > 0; {
		if p := w.step(); p != nil {
			return p
		}
	}
	if last, err := os.Lstat(w.at); err != nil || !os.SameFile(last, opened) {
		return &Problem{File: path, Message: "was replaced while it was read", Hint: "start again"}
	}
	return untrusted(path, w.at, opened)
}

// walk follows a path as the kernel does, one name at a time, and judges all it meets.
type walk struct {
	path  string   // as it was named
	at    string   // where the walk is; no link is left in it
	todo  []string // the names ahead
	links int
}

func (w *walk) step() *Problem {
	name := w.todo[0]
	w.todo = w.todo[1:]
	switch name {
	case "", ".":
		return nil
	case "..":
		w.at = filepath.Dir(w.at)
		return nil
	}
	next := filepath.Join(w.at, name)
	if p := w.judge(next); p != nil {
		return p
	}
	target, err := os.Readlink(next)
	if errors.Is(err, syscall.EINVAL) { // readlink(2): no link
		w.at = next
		return nil
	}
	if w.links++; err != nil || w.links > maxLinks {
		return cannotRead(w.path, cmp.Or[error](err, syscall.ELOOP))
	}
	if strings.HasPrefix(target, "/") {
		w.at = "/"
	}
	w.todo = append(strings.Split(target, "/"), w.todo...)
	return nil
}

func (w *walk) judge(step string) *Problem {
	info, err := os.Lstat(step)
	if err != nil {
		return cannotRead(w.path, err)
	}
	return untrusted(w.path, step, info)
}

// untrusted judges one step of the way. The mode of a link means nothing, and who may write to a sticky
// folder cannot replace what is root's in it.
func untrusted(path, step string, info fs.FileInfo) *Problem {
	mode, kind := info.Mode(), "it"
	if step != path {
		kind = fmt.Sprintf("%q", step)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return nil
	case stat.Uid != 0 && mode&fs.ModeSymlink != 0:
		return refused(path, fmt.Sprintf("the link %q belongs to uid %d", step, stat.Uid), "chown -h root "+shellWord(step))
	case stat.Uid != 0:
		return refused(path, fmt.Sprintf("%s belongs to uid %d", kind, stat.Uid), "chown root "+shellWord(step))
	case mode&fs.ModeSymlink != 0 || mode.IsDir() && mode&fs.ModeSticky != 0:
		return nil
	case mode.Perm()&0o022 != 0:
		return refused(path, fmt.Sprintf("%s can be written by group or others (mode %04o)", kind, mode.Perm()), "chmod go-w "+shellWord(step))
	}
	return nil
}

func refused(path, why, command string) *Problem {
	return &Problem{File: path, Message: "is refused when root launches: " + why, Hint: "type " + command}
}
