// The environment, byte for byte.

package origin

// Environ is the environment as execve(2) gave it. os.Environ is not: it drops the entries that are empty or have no name,
// and all but the first of those with the same name (syscall: copyenv).
func Environ() []string { return environment() }
