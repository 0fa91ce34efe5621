package arena

import "encoding/binary"

// reader reads the memory of a process. Each span is filled as far as its memory can be read; the error is
// for a process that is gone or closed to us, not for an address that is not there.
type reader interface {
	read(spans []span) error
}

// span is one stretch to read: len(buf) bytes at addr, of which the first n came.
type span struct {
	addr uint64
	buf  []byte
	n    int
}

func (s span) whole() bool { return s.n == len(s.buf) }

// word is the word of 4 or 8 bytes at off. Programs run in the byte order of the machine.
func word(b []byte, off, size uint64) uint64 {
	if size == 4 {
		return uint64(binary.NativeEndian.Uint32(b[off:]))
	}
	return binary.NativeEndian.Uint64(b[off:])
}
