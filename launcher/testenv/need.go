package testenv

// This file skips or fails the tests for which this machine lacks something.

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips or fails the test, as Lack does, if one of the programs is not installed.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			Lack(t, "%s is not installed", name)
		}
	}
}

// NeedRoot skips or fails the test, as Lack does, unless it runs as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Lack(t, "this needs root")
	}
}

// Lack ends a test for which this machine lacks something. It skips the test, or fails it if $CI is "true", because CI
// must have everything.
func Lack(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+", and CI=true allows no skip", args...)
	}
	t.Skipf(format, args...)
}

// Full reports whether to run the long tests in full, as .ci/full does: $ARENACAP_FULL is "1". Otherwise test matrices,
// mass launches and soak tests run only a sample.
func Full() bool { return os.Getenv("ARENACAP_FULL") == "1" }
