package allocator

// This file recognizes C libraries by file name, and parses the version in glibc's banner.

import (
	"bytes"
	"path"
	"strings"
)

// Glibc is the DT_SONAME of glibc's C library on every architecture except Alpha and IA-64.
const Glibc = "libc.so.6"

// IsGlibc recognizes glibc by its file name: libc.so.6, or libc-2.31.so up to glibc 2.33.
func IsGlibc(file string) bool {
	base := path.Base(strings.TrimSuffix(file, " (deleted)"))
	return strings.HasPrefix(base, Glibc) || strings.HasPrefix(base, "libc-2.") && strings.HasSuffix(base, ".so")
}

// IsMusl recognizes musl by its file name. musl's loader, ld-musl-x86_64.so.1, is also its C library; in some
// distributions it is a link to libc.so. Android's libc.so is told apart by its folder. In its build folder glibc too
// is called libc.so; package arena recognizes glibc by its arenas.
func IsMusl(file string) bool {
	base := path.Base(strings.TrimSuffix(file, " (deleted)"))
	return strings.HasPrefix(base, "ld-musl-") || strings.HasPrefix(base, "libc.musl-") ||
		base == "libc.so" && !strings.Contains(file, "/bionic/")
}

// Banner begins the text that libc.so.6 prints when it is executed.
const Banner = "GNU C Library "

// ParseBanner parses the text after Banner (glibc: csu/version.c), one line of these forms:
//
//	(RELEASE) stable release version 2.36.
//	(GNU libc) development release version 2.38.9000, by Roland McGrath et al.
//	(GNU libc) release release version 2.26 (git 3a5ea88f8e), by Roland McGrath et al.
//	stable release version 2.12, by Roland McGrath et al.
//
// RELEASE is the builder's text: "GNU libc" upstream, "Debian GLIBC 2.36-9+deb12u14"; glibc up to 2.10 and RHEL 6 have
// none. The result "release" also has the commit. Both results are "" if the line lacks " release version ".
func ParseBanner(b []byte) (version, release string) {
	const longest = 256 // bytes
	line, _, _ := bytes.Cut(b[:min(len(b), longest)], []byte("\n"))
	head, tail, ok := strings.Cut(string(line), " release version ")
	if !ok {
		return "", ""
	}
	if strings.HasPrefix(head, "(") {
		release = head[1:max(1, strings.LastIndexByte(head, ')'))]
	}
	rest := strings.TrimLeft(tail, ".0123456789")
	version = strings.TrimRight(tail[:len(tail)-len(rest)], ".")
	if commit, ok := strings.CutPrefix(rest, " ("); ok {
		commit, _, _ = strings.Cut(commit, ")")
		release = strings.TrimLeft(release+" "+commit, " ")
	}
	return version, release
}
