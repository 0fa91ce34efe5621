//go:build !unix

package policy

import (
	"io/fs"
	"os"
)

func openFile(path string) (*os.File, error) { return os.Open(path) }

// isNotDir: elsewhere a file in the place of a folder is reported as fs.ErrNotExist.
func isNotDir(error) bool { return false }

// mayWrite: elsewhere only opening tells.
func mayWrite(string) error { return nil }

// distrust knows owners on Unix only, and only there does anything launch.
func distrust(string, fs.FileInfo, int) *problem { return nil }
