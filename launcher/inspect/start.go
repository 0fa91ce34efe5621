package inspect

import "strings"

// overwritten reports whether a program has put its title over its environment, as setproctitle(3) of BSD
// and what copies it do (PostgreSQL, nginx, Redis, sshd): then NULs or the end of a title stand there. An
// entry without "=" is no variable. One behind GLIBC_TUNABLES is a malformed item that ld.so has cut off.
//
// A known limit: execve(2) lets a starter hand over such entries too; then the environment counts as not known.
func overwritten(env []string) bool {
	tunables := false
	for _, entry := range env {
		if !strings.Contains(entry, "=") && !tunables {
			return true
		}
		tunables = strings.HasPrefix(entry, "GLIBC_TUNABLES=")
	}
	return false
}
