//go:build unix

package policy

import (
	"os"
	"syscall"
	"testing"
)

// TestMain replaces the inherited umask by 022, so that test files get the modes that the tests ask for.
func TestMain(m *testing.M) {
	syscall.Umask(0o022)
	os.Exit(m.Run())
}
