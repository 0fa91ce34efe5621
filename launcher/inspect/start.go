package inspect

import (
	"strings"

	"arenacap/launcher/target"
)

// overwritten reports whether a program has put its title over its environment, as setproctitle(3) of BSD
// and what copies it do (PostgreSQL, nginx, Redis, sshd): then NULs or the end of a title stand there. An entry without
// "=" proves nothing, as execve(2) takes such ones, unless it is not known whether there is a title. One behind
// GLIBC_TUNABLES is a malformed item that ld.so has cut off.
//
// A known limit: where a starter hands over an entry of no bytes, the environment counts as not known.
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
