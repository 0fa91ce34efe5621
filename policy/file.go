package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// All file access of the package is here and in trust_unix.go.

// maxFile is the largest policy file in bytes.
const maxFile = 1 << 20

type found int

const (
	absent  found = iota
	present       // something is there, if only a link to nothing
	hidden        // a folder above may not be searched
)

// presence looks without following a last link, so that a link to nothing is found and refused.
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

// readFile gives the bytes of a regular file of at most maxFile bytes. What kind of file it is is asked
// before the open, because opening a device can act on it, and again on the descriptor, because the name
// may have changed hands; the open does not block on a FIFO.
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

// slurp reads to the end: the size that stat gives need not be the one that is read.
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

// unfit says why something is no policy by what stat(2) says of it.
func unfit(path string, info fs.FileInfo) *problem {
	kind := ""
	switch mode := info.Mode(); {
	case mode.IsRegular() && info.Size() > maxFile:
		return tooLarge(path, FormatSize(uint64(info.Size())))
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return &problem{File: path, Message: "is a folder", Hint: fmt.Sprintf("name the file in it, such as %s", shellWord(filepath.Join(path, "policy.toml")))}
	case mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	default:
		kind = "no regular file"
	}
	return &problem{File: path, Message: "is " + kind, Hint: "a policy is a regular file"}
}

func tooLarge(path, size string) *problem {
	return &problem{File: path, Message: fmt.Sprintf("is too large for a policy (%s)", size), Hint: "the most is 1 MiB"}
}

// cannotRead words the error of a system call.
func cannotRead(path string, err error) *problem {
	if target, linkErr := os.Readlink(path); linkErr == nil && errors.Is(err, fs.ErrNotExist) {
		return &problem{File: path, Message: fmt.Sprintf("is a link to %q, which is not there", target)}
	}
	return &problem{File: path, Message: "cannot be read: " + cause(err).Error()}
}
