package arena

// This file reads ranges and words of the memory of a process, many in one call.

import (
	"encoding/binary"
	"slices"
)

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

// batch is how many ranges are read in one call at most, below the limit of 1,024 pieces (IOV_MAX). batchBytes is how many
// bytes are read in one call at most.
const (
	batch      = 256
	batchBytes = 640 << 10
)

// readEach reads memory for each item. The callback "at" returns the address and the number of bytes, which is at most
// limit. After the read, readEach calls the callback "each" with the item and the bytes that could be read.
func readEach[T any](mem reader, items []T, limit int, at func(*T) (addr uint64, n int), each func(*T, []byte)) error {
	size := min(batch, batchBytes/limit)
	buf := make([]byte, min(size, len(items))*limit)
	for part := range slices.Chunk(items, size) {
		spans := make([]span, len(part))
		for i := range part {
			addr, n := at(&part[i])
			spans[i] = span{addr: addr, buf: buf[i*limit:][:n]}
		}
		if err := mem.read(spans); err != nil {
			return err
		}
		for i, s := range spans {
			each(&part[i], s.buf[:s.n])
		}
	}
	return nil
}

// word decodes the word of 4 or 8 bytes at the offset off, in the machine's byte order.
func word(b []byte, off, size uint64) uint64 {
	if size == 4 {
		return uint64(binary.NativeEndian.Uint32(b[off:]))
	}
	return binary.NativeEndian.Uint64(b[off:])
}
