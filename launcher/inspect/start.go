package inspect

// This file detects whether a process still shows the environment that it was started with.

import (
	"strings"

	"arenacap/launcher/target"
)

// overwritten reports whether a program has written its title over its environment, as BSD's setproctitle(3) and copies of
// it do (PostgreSQL, nginx, Redis, sshd): then env holds NULs or the end of the title. The argument "title" is the
// answer of the function "title". If it is unknown, an entry without "=" counts as part of a title, although execve(2)
// accepts such entries. An entry without "=" that follows GLIBC_TUNABLES does not count as part of a title: it is a
// malformed item that ld.so has cut off from GLIBC_TUNABLES.
//
// Known limit: if the parent passes an empty entry, the environment counts as unknown.
func overwritten(env []string, title target.Answer) bool {
	tunables := false
	for _, entry := range env {
		if !tunables && (entry == "" || title == target.Unknown && !strings.Contains(entry, "=")) {
			return true
		}
		tunables = strings.HasPrefix(entry, "GLIBC_TUNABLES=")
	}
	return title == target.Yes
}
