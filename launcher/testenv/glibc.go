package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// NewerGlibc finds a glibc 2.minor or later in a folder of $ARENACAP_GLIBCS, by default the folder in the user's cache
// that .ci/matrix fills. It returns the loader and the folder of the libraries. If there is none the test is skipped,
// even in CI, because no package of the distribution provides it.
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
