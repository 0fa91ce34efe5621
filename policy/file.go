package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"arenacap/policy/text"
)

// This file reads the policy file. check.go, trust_unix.go and user.go access files too.

// maxFile is the largest policy file in bytes.
const maxFile = 1 << 20

type found int

const (
	absent  found = iota
	present       // the path exists; a dangling link also counts
	hidden        // unknown: a folder above denies the search
)

// presence does not follow a final link, so that a dangling link is present and then refused.
func presence(path string) found {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return hidden
	case err != nil && (errors.Is(err, fs.ErrNotExist) || isNotDir(err)):
		return absent
	}
	return present
}

// readFile reads a regular file of at most maxFile bytes. It checks the file type before the open, because opening
// a device can have side effects, and again on the descriptor, because the file may have been replaced meanwhile.
// If trusted is true, only root may own and write the file and its folders.
func readFile(path string, trusted bool) ([]byte, *problem) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	if p := unfit(path, info); p != nil {
		return nil, p
	}
	f, err := openFile(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, cannotRead(path, err)
	}
	if p := unfit(path, info); p != nil {
		return nil, p
	}
	if trusted {
		if p := distrust(path, info, 0); p != nil {
			return nil, p
		}
	}
	return slurp(path, f)
}

// slurp reads to the end. It ignores the size that stat(2) gives, which may differ, as for files of /proc.
func slurp(path string, f io.Reader) ([]byte, *problem) {
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cannotRead(path, err)
	}
	if len(data) > maxFile {
		return nil, tooLarge(path, "more than 1 MiB")
	}
	return data, nil
}

// unfit describes why a file cannot be a policy, judged by stat(2).
func unfit(path string, info fs.FileInfo) *problem {
	kind := ""
	switch mode := info.Mode(); {
	case mode.IsRegular() && info.Size() > maxFile:
		return tooLarge(path, fmt.Sprintf("%d bytes", info.Size()))
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return &problem{File: path, Message: "is a folder", Hint: fmt.Sprintf("name the file in it, such as %s", text.ShellWord(filepath.Join(path, "policy.toml")))}
	case mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	default:
		kind = "not a regular file"
	}
	return &problem{File: path, Message: "is " + kind, Hint: "name a regular file"}
}

func tooLarge(path, size string) *problem {
	return &problem{File: path, Message: fmt.Sprintf("is too large for a policy: the file has %s", size), Hint: "the maximum is 1048576 bytes (1 MiB)"}
}

// cannotRead turns the error of a system call into a problem.
func cannotRead(path string, err error) *problem {
	if target, linkErr := os.Readlink(path); linkErr == nil && errors.Is(err, fs.ErrNotExist) {
		return &problem{File: path, Message: fmt.Sprintf("is a link to %q, which does not exist", target)}
	}
	return &problem{File: path, Message: "cannot be read: " + cause(err).Error()}
}
