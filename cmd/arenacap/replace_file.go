package main

// This file replaces a file atomically.

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

// replaceFile replaces a file atomically: the old file stays until the new one is on the disk, and after an error. With the
// mode 0 the new file gets the permissions of the old one, if there is one.
func replaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return withDraft(path, func(draft *os.File) error {
		if old, err := os.Stat(path); err == nil || mode != 0 {
			if mode == 0 {
				mode = old.Mode() & fs.ModePerm
			}
			if err := draft.Chmod(mode); err != nil {
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

// canReplace returns the error that replaceFile would get from the folder of path.
func canReplace(path string) error { return withDraft(path, func(*os.File) error { return nil }) }

// withDraft creates an empty hidden file in the folder of path, with mode 0666 less the umask, passes the file to the
// callback, and removes the file at the end unless the callback has renamed it. Meanwhile INT, TERM, HUP and QUIT do not end
// this process.
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
