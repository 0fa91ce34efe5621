//go:build !unix

package policy

import "io/fs"

const openFlags = 0

// isNotDir: elsewhere a file in the place of a folder is reported as fs.ErrNotExist.
func isNotDir(error) bool { return false }

// distrust knows owners on Unix only, and only there does anything launch.
func distrust(string, fs.FileInfo) *Problem { return nil }
