package arena

// Which malloc a process calls. Its libc itself calls malloc, through a pointer that the loader has set when it
// loaded the libc: to the definition that comes first in the order of look-up, which is everybody's. A library that is
// only mapped (dlopen(3)) is not found so, and a malloc in the program is.

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"path"
	"slices"

	"arenacap/launcher/proc"
)

// errNoELF is for memory that is not laid out as that of a shared library.
var errNoELF = errors.New("no shared library")

// library is a shared library in the memory of a process, read as the loader reads it.
type library struct {
	mem     reader
	word    uint64 // bytes of a pointer
	bias    uint64 // what the addresses in the file are moved by
	dynamic map[elf.DynTag]uint64
	err     error // the first
}

// bytes reads n bytes at addr; after an error zeros.
func (l *library) bytes(addr, n uint64) []byte {
	b := make([]byte, n)
	if l.err != nil || n == 0 {
		return b
	}
	spans := [1]span{{addr: addr, buf: b}}
	if l.err = l.mem.read(spans[:]); l.err == nil && !spans[0].whole() {
		l.err = errNoELF
	}
	return b
}

// at is an integer of so many bytes at addr.
func (l *library) at(addr, size uint64) uint64 { return word(l.bytes(addr, size), 0, size) }

// mostTable bounds the tables of a library that are read, in bytes.
const mostTable = 4 << 20

// openLibrary reads the program headers and the dynamic section of the library that begins at base.
func openLibrary(mem reader, base, size uint64) *library {
	l := &library{mem: mem, word: size, bias: base, dynamic: map[elf.DynTag]uint64{}}
	phoff, count, entry, offset, vaddr, filesz := uint64(32), uint64(56), uint64(56), uint64(8), uint64(16), uint64(32)
	if size == 4 {
		phoff, count, entry, offset, vaddr, filesz = 28, 44, 32, 4, 8, 16
	}
	head := l.bytes(base, 64)
	if string(head[:4]) != elf.ELFMAG {
		l.err = errors.Join(l.err, errNoELF)
		return l
	}
	headers := l.bytes(base+word(head, phoff, size), entry*uint64(binary.NativeEndian.Uint16(head[count:])))
	for ; len(headers) > 0; headers = headers[entry:] { // what is loaded stands before what is dynamic
		switch kind := elf.ProgType(word(headers, 0, 4)); {
		case kind == elf.PT_LOAD && word(headers, offset, size) == 0:
			l.bias = base - word(headers, vaddr, size)
		case kind == elf.PT_DYNAMIC:
			l.readDynamic(l.bias+word(headers, vaddr, size), min(word(headers, filesz, size), mostTable))
		}
	}
	return l
}

// readDynamic reads pairs of a tag and a value.
func (l *library) readDynamic(addr, size uint64) {
	b := l.bytes(addr, size)
	for ; uint64(len(b)) >= 2*l.word; b = b[2*l.word:] {
		tag, value := elf.DynTag(word(b, 0, l.word)), word(b, l.word, l.word)
		if tag == elf.DT_NULL {
			return
		}
		l.dynamic[tag] = value
	}
}

// address is a value of the dynamic section that is one: the loader has added the bias, where it may write there.
func (l *library) address(tag elf.DynTag) uint64 {
	v := l.dynamic[tag]
	if v != 0 && v < l.bias {
		v += l.bias
	}
	return v
}

// symbol is a name in the table of a library. A program that takes the address of a function has a symbol of it that
// is not defined and has the address of a stub: then the function has this address everywhere.
type symbol struct {
	number, addr uint64
	defined      bool
}

// symbol finds a name by the library's GNU hash table.
// The table, all u32 but the filter: nbuckets, symoffset, filter words, filter shift; the filter; nbuckets first
// symbols; for each symbol from symoffset on its hash, with bit 0 set at a chain's end.
func (l *library) symbol(name string) (s symbol, ok bool) {
	table, symbols, names := l.address(elf.DT_GNU_HASH), l.address(elf.DT_SYMTAB), l.address(elf.DT_STRTAB)
	if table == 0 || symbols == 0 || names == 0 {
		return s, false
	}
	hash := uint32(5381)
	for _, c := range []byte(name) {
		hash = hash*33 + uint32(c)
	}
	head := l.bytes(table, 16)
	buckets, first, filter := word(head, 0, 4), word(head, 4, 4), word(head, 8, 4)
	if buckets == 0 {
		return s, false
	}
	at := table + 16 + filter*l.word
	s.number = l.at(at+4*(uint64(hash)%buckets), 4)
	entry, value, section := uint64(24), uint64(8), 6
	if l.word == 4 {
		entry, value, section = 16, 4, 14
	}
	for range 1024 { // longer than a chain is
		if s.number < first || l.err != nil {
			break
		}
		h := uint32(l.at(at+4*buckets+4*(s.number-first), 4))
		if h|1 == hash|1 {
			b := l.bytes(symbols+s.number*entry, entry)
			if string(l.bytes(names+word(b, 0, 4), uint64(len(name))+1)) == name+"\x00" {
				s.addr, s.defined = l.bias+word(b, value, l.word), binary.NativeEndian.Uint16(b[section:]) != 0
				return s, true
			}
		}
		if h&1 != 0 {
			break
		}
		s.number++
	}
	return s, false
}

// pointer is what the loader has set the library's own pointer to a symbol to; 0 is none. It is data in the libc of
// Debian 11 and later (R_…_GLOB_DAT), and was a slot of calls before, which is set at the first one. The pointers that only
// move with the library, of which there are many, stand first and are skipped.
func (l *library) pointer(number uint64) uint64 {
	table, size, entry, count := elf.DT_RELA, elf.DT_RELASZ, 3*l.word, elf.DT_RELACOUNT
	if l.dynamic[elf.DT_RELA] == 0 {
		table, size, entry, count = elf.DT_REL, elf.DT_RELSZ, 2*l.word, elf.DT_RELCOUNT
	}
	skip := min(l.dynamic[count]*entry, l.dynamic[size])
	return cmp.Or(l.pointerIn(l.address(table)+skip, l.dynamic[size]-skip, entry, number),
		l.pointerIn(l.address(elf.DT_JMPREL), l.dynamic[elf.DT_PLTRELSZ], entry, number))
}

// pointerIn looks for it in one table of relocations.
func (l *library) pointerIn(table, size, entry, number uint64) uint64 {
	shift := 32
	if l.word == 4 {
		shift = 8
	}
	b := l.bytes(table, min(size, mostTable))
	for ; uint64(len(b)) >= entry; b = b[entry:] {
		if word(b, l.word, l.word)>>shift == number {
			return l.at(l.bias+word(b, 0, l.word), l.word)
		}
	}
	return 0
}

// calledMalloc is the file whose malloc the libc in that file calls; "" where that cannot be told. The error is the
// reader's.
func calledMalloc(mem reader, maps layout, libc string) (string, error) {
	file := libc
	for range 3 { // the libc, a program's stub, and what that leads to
		i := slices.IndexFunc(maps, func(m mapping) bool { return m.Name == file && m.Offset == 0 && m.Perm&proc.PermRead != 0 })
		if i < 0 {
			break
		}
		l := openLibrary(mem, maps[i].Start, maps.word())
		s, ok := l.symbol("malloc")
		if file != libc && (!ok || s.defined) { // a program need not say which of its functions it is
			return file, nil
		}
		target := l.pointer(s.number)
		at, held := maps.at(target)
		switch {
		case l.err != nil && !errors.Is(l.err, errNoELF):
			return "", l.err
		case l.err != nil || !ok || !held || !maps[at].File():
			return "", nil
		case maps[at].Name == libc && (target == s.addr || file != libc):
			return libc, nil
		case maps[at].Name == file: // not set yet: it leads to what will set it
			return "", nil
		}
		file = maps[at].Name
	}
	return "", nil
}

// underValgrind reports valgrind's own malloc: it runs instead of the one that the pointers lead to. The tools that
// bring one preload a library of their own beside vgpreload_core.
func underValgrind(maps layout) bool {
	for _, m := range maps {
		if ok, _ := path.Match("vgpreload_*", path.Base(m.Name)); ok {
			if core, _ := path.Match("vgpreload_core*", path.Base(m.Name)); !core {
				return true
			}
		}
	}
	return false
}
