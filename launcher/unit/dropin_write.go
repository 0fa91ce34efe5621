package unit

// The drop-in's file: written, and those that it replaces removed. Nothing else in this package changes a file.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Write puts the drop-in into its place, and takes away those of arenacap's own that it replaces. Whoever reads the
// folder meanwhile finds the old file or the new one, whole. A file that is not arenacap's stays as it is, and that is
// an error.
func (d DropIn) Write() error {
	if err := replaceable(d.Place); err != nil {
		return err
	}
	err := d.replace()
	for _, file := range d.Older {
		if err == nil {
			err = os.Remove(file)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; ask again as root", err)
	}
	return err
}

// replaceable reports whether a file may be written: it is not there, or arenacap made it. An empty one is what a shell
// leaves behind where "arenacap unit NAME >FILE" had nothing to print.
func replaceable(file string) error {
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() {
		var text []byte
		if text, err = os.ReadFile(file); err == nil && (len(text) == 0 || isOwn(string(text))) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%q is not from arenacap (it does not begin with %q); rename it, or put what 'arenacap unit' prints into it", file, ownBegin)
}

// replace makes the folders and the file. The umask does not count: every user may read a unit's files.
func (d DropIn) replace() error {
	dir := path.Dir(d.Place)
	if err := makeFolder(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".arenacap-*") // systemd reads no name that begins with a dot
	if err != nil {
		return err
	}
	_, err = f.WriteString(d.Text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.Place)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(path.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}
