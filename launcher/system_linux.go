// This file lists the open descriptors of this process, for the detached watch and for supervision.

package launcher

import (
	"arenacap/launcher/proc"
)

// openDescriptors lists the open descriptors. Without /proc it lists all numbers below 4,096.
func openDescriptors() []int {
	fds, err := proc.Here.Numbers("/proc/self/fd")
	if err != nil {
		for fd := range 1 << 12 {
			fds = append(fds, fd)
		}
	}
	return fds
}
