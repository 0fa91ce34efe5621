package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// NewerGlibc finds a glibc 2.minor or later that was unpacked below a folder of $ARENACAP_GLIBCS or of the user's cache, where
// .ci/matrix puts them: its loader, and the folder of its libraries. Without one the test is skipped, on every machine, since
// no package of this one's brings it.
func NewerGlibc(t testing.TB, minor int) (loader, libraries string) {
	t.Helper()
	root := os.Getenv("ARENACAP_GLIBCS")
	if cache, err := os.UserCacheDir(); root == "" && err == nil {
		root = filepath.Join(cache, "arenacap/glibcs")
	}
	found, _ := filepath.Glob(filepath.Join(root, "*/usr/lib/*-linux-gnu*/ld-linux-*.so.*"))
	release := regexp.MustCompile(`release version 2\.(\d+)`)
	for _, loader := range found {
		out, err := exec.Command(loader, "--version").Output()
		if m := release.FindSubmatch(out); err == nil && m != nil {
			if n, _ := strconv.Atoi(string(m[1])); n >= minor {
				return loader, filepath.Dir(loader)
			}
		}
	}
	t.Skipf("no glibc 2.%d or later below %q; set ARENACAP_GLIBCS, or run .ci/matrix", minor, root)
	return "", ""
}
