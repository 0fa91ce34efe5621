package testenv

// This file makes the temporary folder of a test process.

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const folderPrefix = "arenacap-tests-"

// Folder makes a temporary folder that every user may enter; the caller removes it. Folder also removes the folders
// of test processes that were killed. A process holds a lock on its folder, flock(2), until it ends.
func Folder() (string, error) {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	for _, folder := range folders {
		if fd, err := lock(folder); err == nil {
			_ = os.RemoveAll(folder)
			_ = unix.Close(fd)
		}
	}
	for {
		folder, err := os.MkdirTemp("", folderPrefix)
		if err != nil {
			return "", err
		}
		if _, err = lock(folder); err == nil {
			err = os.Chmod(folder, 0o755)
		}
		// After EWOULDBLOCK, and if the folder no longer exists, try a new one: another process locked this folder to remove it.
		if err != unix.EWOULDBLOCK && !os.IsNotExist(err) {
			return folder, err
		}
	}
}

// lock locks a folder and returns the descriptor that holds the lock.
func lock(folder string) (fd int, err error) {
	fd, err = unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}
