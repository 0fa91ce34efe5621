// This file parses /proc/PID/environ.

package proc

import "strings"

// ParseEnviron parses the NUL-terminated strings of an environment (proc_pid_environ(5)). The file shows the memory that
// execve(2) filled: the environment at the start, unless ld.so up to 2.38 (see environ.Rejoin) or the program has
// written to that memory. Then the last NUL may be missing.
func ParseEnviron(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}
