package target

// This file parses ELF files by their program headers, as the loader does. debug/elf is used for its constants only:
// it also reads the section headers, and rejects files with stripped, damaged or very many section headers, which the
// loader accepts.

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"math"
)

// headSize is the size of the first read in bytes. Common linkers put the ELF header, the program headers, the name of the
// interpreter and the notes into it.
const headSize = 4096

// These are types of notes. The comment at each type names the owner, a string in the note. debug/elf does not define the
// types.
const (
	noteABITag = 1 // the owner of this note is "GNU": glibc's crt1.o has it, so the program was linked with a C library
	noteGoID   = 4 // the owner of this note is "Go"
)

// maxProgramHeaders follows from the 64 KiB of program headers that Linux accepts (fs/binfmt_elf.c, load_elf_phdrs);
// one has 56 bytes in a 64-bit file.
const maxProgramHeaders = 65536 / 56

// elfHead is the ELF header and the program headers.
type elfHead struct {
	bits     int // class of the file, 32 or 64
	order    binary.ByteOrder
	machine  elf.Machine
	segments []segment
}

// segment is one program header. Offsets and sizes are in bytes.
type segment struct {
	kind          elf.ProgType
	offset, vaddr uint64
	size          uint64 // size in the file
	memory        uint64 // size in the process
}

var (
	errNoELF    = errors.New("not an ELF file")
	errBadELF   = errors.New("a damaged ELF file")
	errLongHead = errors.New("an ELF file whose program headers are cut off or lie far from its start")
)

// parseHead parses the start of an ELF file (man 5 elf). Byte 5 sets the byte order of all integers:
//
//	e_ident[16]: 0x7f 'E' 'L' 'F', class (1: 32 bits, 2: 64), byte order (1: little, 2: big), …
//	e_type u16, e_machine u16, e_version u32, e_entry, e_phoff, e_shoff (u32 or u64 by class),
//	e_flags u32, e_ehsize u16, e_phentsize u16, e_phnum u16, …
//	e_phnum program headers at e_phoff, of e_phentsize bytes each
func parseHead(b []byte) (elfHead, error) {
	if len(b) < 16 || string(b[:4]) != "\x7fELF" {
		return elfHead{}, errNoELF
	}
	h := elfHead{bits: 32 * int(b[4]), order: binary.LittleEndian}
	if b[4] != 1 && b[4] != 2 || b[5] != 1 && b[5] != 2 {
		return elfHead{}, errBadELF
	}
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
	h.machine = elf.Machine(h.order.Uint16(b[18:]))
	phoff, count := h.word(b[phoffAt:]), int(h.order.Uint16(b[phnumAt:]))
	if count > 0 && int(h.order.Uint16(b[phnumAt-2:])) != entrySize || count > maxProgramHeaders {
		return elfHead{}, errBadELF
	}
	headers, ok := part(b, phoff, uint64(count*entrySize))
	if !ok {
		return elfHead{}, errLongHead
	}
	h.segments = make([]segment, count)
	for i := range h.segments {
		h.segments[i] = h.segment(headers[i*entrySize:])
	}
	return h, nil
}

// segment reads one program header:
//
//	64 bits: p_type u32, p_flags u32, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, … u64
//	32 bits: p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, … u32
func (h elfHead) segment(b []byte) segment {
	if h.bits == 64 {
		return segment{elf.ProgType(h.order.Uint32(b)), h.word(b[8:]), h.word(b[16:]), h.word(b[32:]), h.word(b[40:])}
	}
	return segment{elf.ProgType(h.order.Uint32(b)), h.word(b[4:]), h.word(b[8:]), h.word(b[16:]), h.word(b[20:])}
}

// word reads an integer of the file's class.
func (h elfHead) word(b []byte) uint64 {
	if h.bits == 64 {
		return h.order.Uint64(b)
	}
	return uint64(h.order.Uint32(b))
}

// find returns the first segment of a kind.
func (h elfHead) find(kind elf.ProgType) (segment, bool) {
	for _, s := range h.segments {
		if s.kind == kind {
			return s, true
		}
	}
	return segment{}, false
}

// span is the address space from the first to the last loaded byte, gaps included, in whole pages of 4 KiB.
func (h elfHead) span() uint64 {
	const page = 4096
	low, high := uint64(math.MaxUint64), uint64(0)
	for _, s := range h.segments {
		if s.kind == elf.PT_LOAD {
			low, high = min(low, s.vaddr&^(page-1)), max(high, s.vaddr+s.memory)
		}
	}
	if high < low {
		return 0
	}
	return (high - low + page - 1) &^ (page - 1)
}

// offset converts a virtual address to a file offset.
func (h elfHead) offset(vaddr uint64) (uint64, bool) {
	for _, s := range h.segments {
		if s.kind == elf.PT_LOAD && vaddr >= s.vaddr && vaddr-s.vaddr < s.size {
			return s.offset + (vaddr - s.vaddr), true
		}
	}
	return 0, false
}

// parseDynamic reads the dynamic section: pairs of words, d_tag and d_val, up to DT_NULL or the end. The first result has
// the values of the DT_NEEDED entries in their order, the second has the values of all other entries. A value that stands
// for a name is an offset into the string table; addresses are virtual.
func (h elfHead) parseDynamic(b []byte) (needs []uint64, others map[elf.DynTag]uint64) {
	size, others := h.bits/8, map[elf.DynTag]uint64{}
	for ; len(b) >= 2*size; b = b[2*size:] {
		switch tag, value := elf.DynTag(h.word(b)), h.word(b[size:]); tag {
		case elf.DT_NULL:
			return needs, others
		case elf.DT_NEEDED:
			needs = append(needs, value)
		default:
			others[tag] = value
		}
	}
	return needs, others
}

// notes walks the notes of a PT_NOTE segment: n_namesz, n_descsz, n_type (u32 each), then the name and the
// description, each padded to 4 bytes.
func (h elfHead) notes(b []byte, visit func(name []byte, kind uint32)) {
	for len(b) >= 12 {
		nameSize, descSize := uint64(h.order.Uint32(b)), uint64(h.order.Uint32(b[4:]))
		name, ok := part(b, 12, nameSize)
		if !ok {
			return
		}
		visit(cString(name), h.order.Uint32(b[8:]))
		next := 12 + (nameSize+3)&^3 + (descSize+3)&^3
		if next >= uint64(len(b)) {
			return
		}
		b = b[next:]
	}
}

// lastBucket returns the largest bucket of a GNU hash table. A bucket is the index of the first symbol of a chain, so
// the largest one begins the last chain.
func (h elfHead) lastBucket(buckets []byte) (last uint64) {
	for ; len(buckets) >= 4; buckets = buckets[4:] {
		last = max(last, uint64(h.order.Uint32(buckets)))
	}
	return last
}

// chainEnd returns the number of hashes in a chain. Bit 0 marks the last hash, which is included in the number.
func (h elfHead) chainEnd(chain []byte) (n uint64, ok bool) {
	for ; len(chain) >= 4; chain = chain[4:] {
		n++
		if h.order.Uint32(chain)&1 != 0 {
			return n, true
		}
	}
	return n, false
}

// symbols visits each global or weak dynamic symbol. Layout of a symbol, by class:
//
//	64 bits: st_name u32, st_info u8, st_other u8, st_shndx u16, st_value u64, st_size u64
//	32 bits: st_name u32, st_value u32, st_size u32, st_info u8, st_other u8, st_shndx u16
func (h elfHead) symbols(table, names []byte, visit func(name []byte, defined bool)) {
	size, info, section := h.symbolSize(), 4, 6
	if h.bits == 32 {
		info, section = 12, 14
	}
	for ; len(table) >= size; table = table[size:] {
		name := uint64(h.order.Uint32(table))
		if local := table[info]>>4 == 0; local || name >= uint64(len(names)) {
			continue
		}
		visit(cString(names[name:]), h.order.Uint16(table[section:]) != 0)
	}
}

func (h elfHead) symbolSize() int {
	if h.bits == 32 {
		return 16
	}
	return 24
}

// part returns the "size" bytes of b from "offset" on, or false if b is shorter.
func part(b []byte, offset, size uint64) ([]byte, bool) {
	if offset > uint64(len(b)) || size > uint64(len(b))-offset {
		return nil, false
	}
	return b[offset : offset+size], true
}

// cString returns the bytes before the first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
