package testenv

// The temporary folder of a test process.

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const folderPrefix = "arenacap-test-"

// Folder makes a temporary folder that every user may enter; the caller removes it. It also removes the folders of test
// processes that were killed.
func Folder() (string, error) {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	for _, folder := range folders {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), folderPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && unix.Kill(n, 0) == unix.ESRCH {
			_ = os.RemoveAll(folder)
		}
	}
	folder, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
	if err == nil {
		err = os.Chmod(folder, 0o755)
	}
	return folder, err
}
