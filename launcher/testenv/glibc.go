package testenv

// This file finds unpacked releases of glibc.

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// glibcs returns the folder that has a subfolder for each unpacked glibc: $ARENACAP_GLIBCS, by default the folder in the
// user's cache that .ci/matrix fills.
func glibcs() string {
	root := os.Getenv("ARENACAP_GLIBCS")
	if cache, err := os.UserCacheDir(); root == "" && err == nil {
		root = filepath.Join(cache, "arenacap/glibcs")
	}
	return root
}

// ARM64Loader finds the loader of a glibc for aarch64. If there is none, the test is skipped, as in NewerGlibc.
func ARM64Loader(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(glibcs(), "*/arm64/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"))
	if found == nil {
		t.Skipf("no glibc for aarch64 below %q; set ARENACAP_GLIBCS, or run .ci/matrix", glibcs())
	}
	return found[0]
}

// NewerGlibc finds a glibc 2.N or later, where N is the argument "minor". It returns its loader and the folder of its
// libraries. If there is none, the test is skipped, even in CI, because no package of the distribution provides it.
func NewerGlibc(t testing.TB, minor int) (loader, libraries string) {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(glibcs(), "*/usr/lib/*-linux-gnu*/ld-linux-*.so.*"))
	release := regexp.MustCompile(`release version 2\.(\d+)`)
	for _, loader := range found {
		out, err := exec.Command(loader, "--version").Output()
		if m := release.FindSubmatch(out); err == nil && m != nil {
			if n, _ := strconv.Atoi(string(m[1])); n >= minor {
				return loader, filepath.Dir(loader)
			}
		}
	}
	t.Skipf("no glibc 2.%d or later below %q; set ARENACAP_GLIBCS, or run .ci/matrix", minor, glibcs())
	return "", ""
}
