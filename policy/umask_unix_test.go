//go:build unix

package policy

import (
	"os"
	"syscall"
	"testing"
)

// TestMain gives the files of the tests the modes that they are written with, whatever the umask of their starter was.
func TestMain(m *testing.M) {
	syscall.Umask(0o022)
	os.Exit(m.Run())
}
