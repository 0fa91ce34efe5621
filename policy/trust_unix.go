//go:build unix

package policy

import (
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
	at, todo := "/", strings.Split(full, "/")
	if p := untrusted(path, at, nil); p != nil {
		return p
	}
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		step := filepath.Join(at, name)
		info, err := os.Lstat(step)
		if err != nil {
			return cannotRead(path, err)
		}
		if p := untrusted(path, step, info); p != nil {
			return p
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = step
			continue
		}
		if links++; links > maxLinks {
			return &Problem{File: path, Message: "goes through too many links"}
		}
		target, err := os.Readlink(step)
		if err != nil {
			return cannotRead(path, err)
		}
		if strings.HasPrefix(target, "/") {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if last, err := os.Lstat(at); err != nil || !os.SameFile(last, opened) {
		return &Problem{File: path, Message: "was replaced while it was read", Hint: "start again"}
	}
	return untrusted(path, at, opened)
}

// untrusted judges one step of the way. The mode of a link means nothing, and who may write to a sticky
// folder cannot replace what is root's in it.
func untrusted(path, step string, info fs.FileInfo) *Problem {
	if info == nil {
		var err error
		if info, err = os.Stat(step); err != nil {
			return cannotRead(path, err)
		}
	}
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
