// What no single part of a launch owns: calls to the system that several make in the same way.

package launcher

import (
	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
)

// uninterrupted makes a system call again where a signal interrupted it.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// openDescriptors are those of this process, or all numbers that it may use where there is no /proc.
func openDescriptors() []int {
	fds, err := proc.Here.Numbers("/proc/self/fd")
	if err != nil {
		for fd := range 1 << 12 {
			fds = append(fds, fd)
		}
	}
	return fds
}
