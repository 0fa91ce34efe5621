package testenv

import (
	"os"
	"os/exec"
	"testing"
)

// Need ends a test that cannot run without these programs.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			Lack(t, "%s is not installed", name)
		}
	}
}

// NeedRoot ends a test that only root can set up.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Lack(t, "this needs root")
	}
}

// Lack ends a test for which this machine lacks something: with a skip, and where $CI is "true", which promises that
// everything is there, with a failure.
func Lack(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+", and CI=true allows no skip", args...)
	}
	t.Skipf(format, args...)
}

// Full says that this run takes as long as .ci/full: $ARENACAP_FULL is "1". Without it, matrices over builds, thousands of
// launches and long soaks are samples.
func Full() bool { return os.Getenv("ARENACAP_FULL") == "1" }
