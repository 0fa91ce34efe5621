//go:build !unix

package policy

// This file is for systems other than Unix, on which the owner of a policy file is not checked.

import (
	"io/fs"
	"os"
)

func openFile(path string) (*os.File, error) { return os.Open(path) }

// isNotDir is false: on Windows a file in the place of a folder gives fs.ErrNotExist.
func isNotDir(error) bool { return false }

// mayWrite always allows: there is no access(2).
func mayWrite(string) error { return nil }

// distrust trusts every file: arenacap launches on Linux only.
func distrust(string, fs.FileInfo, int) *problem { return nil }
