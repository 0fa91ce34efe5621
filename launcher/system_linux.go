// This file has helpers for system calls that several files of this package use.

package launcher

import (
	"arenacap/launcher/proc"
)

// openDescriptors lists the open descriptors of this process. Without /proc it lists all numbers below 4,096.
func openDescriptors() []int {
	fds, err := proc.Here.Numbers("/proc/self/fd")
	if err != nil {
		for fd := range 1 << 12 {
			fds = append(fds, fd)
		}
	}
	return fds
}
