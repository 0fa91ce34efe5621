// This file returns the environment that the kernel gave this process, byte for byte.

package origin

// Environ is the environment of execve(2), unchanged. os.Environ drops empty entries, and of the entries with one name
// all but the first (syscall: copyenv).
func Environ() []string { return environment() }
