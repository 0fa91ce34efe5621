// This file parses /proc/PID/auxv.

package proc

import "encoding/binary"

// AtSecure reports AT_SECURE of /proc/PID/auxv. The file consists of pairs of a type and a value, in words of the process's
// size, 32 or 64 bits, and ends with type 0 (getauxval(3), proc_pid_auxv(5)).
func AtSecure(auxv []byte, bits int) bool {
	const atSecure = 23
	size := 8
	if bits == 32 {
		size = 4
	}
	for ; len(auxv) >= 2*size; auxv = auxv[2*size:] {
		if word(auxv, size) == atSecure {
			return word(auxv[size:], size) != 0
		}
	}
	return false
}

func word(b []byte, size int) uint64 {
	if size == 4 {
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}
