// The environment, byte for byte.

package origin

import "strings"

// Environ is the environment as execve(2) gave it. os.Environ is not: it drops the entries that are empty or have no name,
// and all but the first of those with the same name (syscall: copyenv).
func Environ() []string { return environment() }

// Lookup is os.LookupEnv without the table of all variables that its first use makes, 15 µs.
func Lookup(name string) (value string, ok bool) {
	for _, entry := range Environ() {
		if value, ok := strings.CutPrefix(entry, name); ok && strings.HasPrefix(value, "=") {
			return value[1:], true
		}
	}
	return "", false
}
