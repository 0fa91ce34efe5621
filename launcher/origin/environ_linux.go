// This file returns the environment that the kernel gave this process, byte for byte.

package origin

// Environ is the environment of execve(2), unchanged. os.Environ drops entries that are empty or have no name, and
// duplicates (syscall: copyenv).
func Environ() []string { return environment() }
