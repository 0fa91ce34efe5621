package origin

import _ "unsafe" // for go:linkname

// Environ is the environment as execve(2) gave it, byte for byte. os.Environ is not: it drops the entries
// that are empty or have no name, and all but the first of those with the same name (syscall: copyenv).
//
//go:linkname Environ syscall.runtime_envs
func Environ() []string
