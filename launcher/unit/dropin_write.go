package unit

// This file writes the drop-in's file and removes older drop-ins that it replaces. --remove (remove.go) renames
// drop-ins; no other code in this package changes files.

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// Write writes the drop-in and removes the drop-ins of arenacap that it replaces. The file is replaced atomically. If
// there is a file of that name that arenacap did not make, Write returns an error and does not change the file.
// It returns false if nothing had to be written or removed.
func (d DropIn) Write() (changed bool, err error) {
	if needed, err := d.Needed(); !needed || err != nil {
		return false, err
	}
	if err := d.ofAnother(); err != nil {
		return false, err
	}
	err = d.replace()
	for _, file := range d.Older {
		if err == nil {
			err = os.Remove(file)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return false, fmt.Errorf("%w; run this again as root", err)
	}
	return err == nil, err
}

// ofAnother returns an error if root would write into the home directory of a user: the new file and directories would
// belong to root, and the user could replace a directory by a symbolic link, so that root would write elsewhere.
func (d DropIn) ofAnother() error {
	if !d.user || os.Geteuid() != 0 {
		return nil
	}
	dir := path.Dir(d.Place)
	info, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != "/" {
		dir = path.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	uid := info.Sys().(*syscall.Stat_t).Uid
	if uid == 0 {
		return nil
	}
	id := strconv.FormatUint(uint64(uid), 10)
	return fmt.Errorf("%q belongs to another user, and root writes no drop-in there; run this as the user %q", dir, cmp.Or(ask("id", "-nu", "--", id), id))
}

// Needed reports whether Write would change a file. It returns the error of Write for a file that arenacap did not make.
func (d DropIn) Needed() (bool, error) {
	if err := replaceable(d.Place); err != nil {
		return false, err
	}
	before, err := os.ReadFile(d.Place)
	return err != nil || withoutMaker(string(before)) != withoutMaker(d.Text) || len(d.Older) > 0, nil
}

// withoutMaker removes the second line, the command that made the drop-in. A change there, such as -q or another
// spelling of the root, does not change the service, so the drop-in is up to date and no restart is needed.
func withoutMaker(text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	_, rest, _ = strings.Cut(rest, "\n")
	return first + rest
}

// replaceable returns an error unless the file does not exist, was made by arenacap or is empty. A shell leaves an empty
// file behind when "arenacap unit NAME >FILE" has nothing to print.
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
	return fmt.Errorf("%q was not made by arenacap (the file does not begin with %q); rename that file, or add the output of 'arenacap unit' to it", file, ownBegin)
}

// replace makes the directories and the file. Like all unit files they are readable for every user, whatever the
// umask is.
func (d DropIn) replace() error {
	dir := path.Dir(d.Place)
	if err := makeFolder(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".arenacap-*") // systemd ignores names that begin with a dot
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
