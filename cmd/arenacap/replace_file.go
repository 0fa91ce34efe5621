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
)

// replaceFile writes a file as a whole: until all of it is on the disk, and after an error, what was there stays. A file
// that is replaced leaves its permissions to the new one.
func replaceFile(path string, write func(io.Writer) error) error {
	return withDraft(path, func(draft *os.File) error {
		if old, err := os.Stat(path); err == nil {
			if err := draft.Chmod(old.Mode() & fs.ModePerm); err != nil {
				return err
			}
		}
		if err := write(draft); err != nil {
			return err
		}
		if err := draft.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		return os.Rename(draft.Name(), path)
	})
}

// canReplace is the error that replaceFile would have by the folder.
func canReplace(path string) error { return withDraft(path, func(*os.File) error { return nil }) }

// withDraft makes an empty file in the folder of a path, hidden, and with the mode that the umask leaves of 0666. It is
// removed unless it was given another name, and no signal that asks for the end of this process comes in between.
func withDraft(path string, use func(*os.File) error) error {
	held := make(chan os.Signal, 1)
	signal.Notify(held, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(held)
	name := fmt.Sprintf("%s.arenacap-%016x", folderOf(path), rand.Uint64())
	draft, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	defer draft.Close()
	return use(draft)
}
