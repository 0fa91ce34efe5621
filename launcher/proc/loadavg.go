// This file parses /proc/loadavg.

package proc

import "bytes"

// ParseLoadavg returns the PID that the kernel assigned last (proc_loadavg(5)), the fifth field; threads take PIDs
// too:
//
//	0.20 0.18 0.12 1/80 11206
func ParseLoadavg(text []byte) (last int, ok bool) {
	fields := bytes.Fields(text)
	if len(fields) != 5 {
		return 0, false
	}
	n, ok := number(fields[4], 31)
	return int(n), ok
}
