package origin

import (
	"strings"
	_ "unsafe" // for go:linkname
)

// Environ is the environment as execve(2) gave it, byte for byte. os.Environ is not: it drops the entries
// that are empty or have no name, and all but the first of those with the same name (syscall: copyenv).
//
//go:linkname Environ syscall.runtime_envs
func Environ() []string

// Lookup is os.LookupEnv without the table of all variables that its first use makes, 15 µs.
func Lookup(name string) (value string, ok bool) {
	for _, entry := range Environ() {
		if value, ok := strings.CutPrefix(entry, name); ok && strings.HasPrefix(value, "=") {
			return value[1:], true
		}
	}
	return "", false
}
