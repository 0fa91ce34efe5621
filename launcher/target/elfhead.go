package target

import (
	"encoding/binary"
	"errors"
)

// headSize is how much of a program one read takes: the ELF header, the program headers and, with the usual
// linkers, the interpreter's name and the notes behind them.
const headSize = 4096

// What is needed of <elf.h>.
const (
	etExec = 2
	etDyn  = 3

	em386     = 3
	emARM     = 40
	emX8664   = 62
	emAArch64 = 183

	ptLoad    = 1
	ptDynamic = 2
	ptInterp  = 3
	ptNote    = 4
)

// maxProgramHeaders is as many as fit the 64 KiB that Linux accepts (fs/binfmt_elf.c, load_elf_phdrs).
const maxProgramHeaders = 65536 / 56

// elfHead is the ELF header and the program headers.
type elfHead struct {
	bits     int // 32 or 64
	order    binary.ByteOrder
	kind     uint16 // e_type
	machine  uint16 // e_machine
	segments []segment
}

// segment is one program header. Offsets and sizes are in bytes.
type segment struct {
	kind          uint32
	offset, vaddr uint64
	size          uint64 // in the file
}

var (
	errNoELF    = errors.New("no ELF file")
	errBadELF   = errors.New("a damaged ELF file")
	errLongHead = errors.New("an ELF file whose program headers lie far from its start")
)

// parseHead reads the start of an ELF file (man 5 elf). The parts, all integers in the byte order of byte 5:
//
//	e_ident[16]: 0x7f 'E' 'L' 'F', class (1: 32 bits, 2: 64), byte order (1: little, 2: big), …
//	e_type u16, e_machine u16, e_version u32, e_entry, e_phoff, e_shoff (u32 or u64 by class),
//	e_flags u32, e_ehsize u16, e_phentsize u16, e_phnum u16, …
//	e_phnum program headers at e_phoff, of e_phentsize bytes each
func parseHead(b []byte) (elfHead, error) {
	if len(b) < 16 || string(b[:4]) != "\x7fELF" {
		return elfHead{}, errNoELF
	}
	h := elfHead{bits: 32 * int(b[4])}
	if b[4] != 1 && b[4] != 2 || b[5] != 1 && b[5] != 2 {
		return elfHead{}, errBadELF
	}
	h.order = binary.LittleEndian
	if b[5] == 2 {
		h.order = binary.BigEndian
	}
	headerSize, entrySize, phoffAt, phnumAt := 52, 32, 28, 44
	if h.bits == 64 {
		headerSize, entrySize, phoffAt, phnumAt = 64, 56, 32, 56
	}
	if len(b) < headerSize {
		return elfHead{}, errBadELF
	}
	h.kind, h.machine = h.order.Uint16(b[16:]), h.order.Uint16(b[18:])
	phoff, count := h.word(b[phoffAt:]), int(h.order.Uint16(b[phnumAt:]))
	if int(h.order.Uint16(b[phnumAt-2:])) != entrySize && count > 0 || count > maxProgramHeaders {
		return elfHead{}, errBadELF
	}
	if phoff > uint64(len(b)) || uint64(count*entrySize) > uint64(len(b))-phoff {
		return elfHead{}, errLongHead
	}
	h.segments = make([]segment, 0, count)
	for i := range count {
		h.segments = append(h.segments, h.segment(b[int(phoff)+i*entrySize:]))
	}
	return h, nil
}

// segment reads one program header:
//
//	64 bits: p_type u32, p_flags u32, p_offset, p_vaddr, p_paddr, p_filesz, … u64
//	32 bits: p_type, p_offset, p_vaddr, p_paddr, p_filesz, … u32
func (h elfHead) segment(b []byte) segment {
	if h.bits == 64 {
		return segment{h.order.Uint32(b), h.word(b[8:]), h.word(b[16:]), h.word(b[32:])}
	}
	return segment{h.order.Uint32(b), h.word(b[4:]), h.word(b[8:]), h.word(b[16:])}
}

// word reads an integer of the file's class.
func (h elfHead) word(b []byte) uint64 {
	if h.bits == 64 {
		return h.order.Uint64(b)
	}
	return uint64(h.order.Uint32(b))
}

// find is the first segment of a kind.
func (h elfHead) find(kind uint32) (segment, bool) {
	for _, s := range h.segments {
		if s.kind == kind {
			return s, true
		}
	}
	return segment{}, false
}

// interpreter is the loader's path, where the head holds it.
func (h elfHead) interpreter(head []byte) (string, bool) {
	s, ok := h.find(ptInterp)
	if !ok {
		return "", false
	}
	b, ok := part(head, s.offset, s.size)
	return string(cString(b)), ok
}

// part is size bytes of b from offset.
func part(b []byte, offset, size uint64) ([]byte, bool) {
	if offset > uint64(len(b)) || size > uint64(len(b))-offset {
		return nil, false
	}
	return b[offset : offset+size], true
}
