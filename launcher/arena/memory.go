package arena

import "encoding/binary"

// reader reads the memory of a process. It fills each span up to the first unreadable address, which is not an error; an
// error means that the process has ended or may not be read.
type reader interface {
	read(spans []span) error
}

// span is one range to read: len(buf) bytes at addr, of which the first n were read.
type span struct {
	addr uint64
	buf  []byte
	n    int
}

func (s span) whole() bool { return s.n == len(s.buf) }

// word decodes the word of 4 or 8 bytes at off, in the machine's byte order.
func word(b []byte, off, size uint64) uint64 {
	if size == 4 {
		return uint64(binary.NativeEndian.Uint32(b[off:]))
	}
	return binary.NativeEndian.Uint64(b[off:])
}
