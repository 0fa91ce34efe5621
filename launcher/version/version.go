// Package version holds the version of arenacap's programs. The packages, the manual pages and the changelog have the
// same number.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Number is the version of arenacap (semver.org). Between two releases it may be that of the last or of the next one; the
// commit in Text tells such builds apart.
const Number = "0.1.0"

// Date is the day of the version, as the manual pages show it.
const Date = "November 30, 2026"

// Text is the number, the commit if the build recorded it, the version of Go and the platform.
func Text() string {
	info, _ := debug.ReadBuildInfo()
	return fmt.Sprintf("%s%s %s %s/%s", Number, commit(info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// commit is " (COMMIT)" or " (COMMIT, modified)", or "" if the build did not record it (-buildvcs in "go help build").
func commit(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	switch {
	case revision == "":
		return ""
	case settings["vcs.modified"] == "true":
		return " (" + revision[:min(12, len(revision))] + ", modified)"
	}
	return " (" + revision[:min(12, len(revision))] + ")"
}
