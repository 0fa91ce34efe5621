// /proc/PID/environ.

package proc

import "strings"

// ParseEnviron reads the strings of an environment, each ended by a NUL (proc_pid_environ(5)). It is the memory that
// execve filled, so it shows what the program was started with, but for what ld.so up to 2.38 (see environ.Rejoin) or the
// program itself writes into it; then the last NUL may be missing.
func ParseEnviron(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}
