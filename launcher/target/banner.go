package target

import (
	"bytes"
	"strings"
)

// bannerStart begins the text that a libc.so.6 prints when it is run.
const bannerStart = "GNU C Library ("

// parseBanner reads what follows bannerStart (glibc: csu/version.c). Format, in one line:
//
//	RELEASE) stable release version 2.36.
//	GNU libc) development release version 2.38.9000, by Roland McGrath et al.
//	GNU libc) release release version 2.26 (git 3a5ea88f8e), by Roland McGrath et al.
//
// RELEASE is what the builder wrote: "GNU libc" upstream, "Debian GLIBC 2.36-9+deb12u14".
func parseBanner(b []byte) (version, release string) {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	head, tail, ok := strings.Cut(string(line), " release version ")
	end := strings.LastIndexByte(head, ')')
	if !ok || end < 0 {
		return "", ""
	}
	release = head[:end]
	version = strings.TrimRight(tail[:len(tail)-len(strings.TrimLeft(tail, ".0123456789"))], ".")
	if commit, ok := strings.CutPrefix(strings.TrimLeft(tail, ".0123456789"), " ("); ok {
		commit, _, _ = strings.Cut(commit, ")")
		release += " " + commit
	}
	return version, release
}
