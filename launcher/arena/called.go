package arena

// This file determines which file defines the malloc that a process calls. The libc itself calls malloc through a relocated
// pointer. The loader sets this pointer to the first definition of malloc in symbol look-up order, which is the one that the
// whole process uses. So the pointer also shows a malloc that the program defines. It does not show the malloc of a library
// that was mapped later with dlopen(3), which nothing calls.

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"path"
	"slices"

	"arenacap/launcher/proc/vma"
)

// errNoELF is the error for memory that is not a loaded ELF file.
var errNoELF = errors.New("not an ELF file")

// library is an ELF file in the memory of a process.
type library struct {
	mem     reader
	word    uint64 // bytes of a pointer
	bias    uint64 // load bias: address in memory minus address in the file
	dynamic map[elf.DynTag]uint64
	err     error // the first error
}

// bytes reads n bytes at addr; after an error it returns zeros.
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

// at reads an integer of size bytes at addr.
func (l *library) at(addr, size uint64) uint64 { return word(l.bytes(addr, size), 0, size) }

// mostTable is how many bytes of one table of a library are read at most.
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
	for ; len(headers) > 0; headers = headers[entry:] { // PT_LOAD, which gives the bias, comes before PT_DYNAMIC
		switch kind := elf.ProgType(word(headers, 0, 4)); {
		case kind == elf.PT_LOAD && word(headers, offset, size) == 0:
			l.bias = base - word(headers, vaddr, size)
		case kind == elf.PT_DYNAMIC:
			l.readDynamic(l.bias+word(headers, vaddr, size), min(word(headers, filesz, size), mostTable))
		}
	}
	return l
}

// readDynamic reads the dynamic section: pairs of a tag and a value.
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

// address returns a value of the dynamic section as an address in memory. The loader has already added the load bias to the
// value, except if the section is read-only.
func (l *library) address(tag elf.DynTag) uint64 {
	v := l.dynamic[tag]
	if v != 0 && v < l.bias {
		v += l.bias
	}
	return v
}

// symbol is an entry of the symbol table. A program that takes the address of a function may have an undefined symbol for the
// function, with the address of a PLT stub. The address of the stub is then the function's address in the whole process.
type symbol struct {
	number, addr uint64
	defined      bool
}

// symbol looks up a name in the library's GNU hash table. The table, in 32-bit values: nbuckets, symoffset, number of
// filter words, filter shift; the filter, in words; the first symbol of each bucket; the hash of each symbol from symoffset
// on, with bit 0 set at the end of a chain.
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
	for range 1024 { // limits the length of a forged chain
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

// pointer returns the value of the library's relocated pointer to a symbol, or 0. In the libc of Debian 11 and later this
// is a data pointer (R_…_GLOB_DAT). In older ones it is a PLT slot, which the loader sets at the first call. The many
// relative relocations come first in the table and are skipped.
func (l *library) pointer(number uint64) uint64 {
	table, size, entry, count := elf.DT_RELA, elf.DT_RELASZ, 3*l.word, elf.DT_RELACOUNT
	if l.dynamic[elf.DT_RELA] == 0 {
		table, size, entry, count = elf.DT_REL, elf.DT_RELSZ, 2*l.word, elf.DT_RELCOUNT
	}
	skip := min(l.dynamic[count]*entry, l.dynamic[size])
	return cmp.Or(l.pointerIn(l.address(table)+skip, l.dynamic[size]-skip, entry, number),
		l.pointerIn(l.address(elf.DT_JMPREL), l.dynamic[elf.DT_PLTRELSZ], entry, number))
}

// pointerIn searches one relocation table for the pointer to a symbol, and returns the pointer's value, or 0.
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

// calledMalloc returns the path of the file that defines the malloc that the libc calls; "" if unknown. libc is the path of
// the libc. An error means that mem could not be read.
func calledMalloc(mem reader, maps layout, libc string) (string, error) {
	file := libc
	for range 3 { // at most three files: the libc, a program with a PLT stub, and the target of the stub
		i := slices.IndexFunc(maps, func(m mapping) bool { return m.Name == file && m.Offset == 0 && m.Perm&vma.Read != 0 })
		if i < 0 {
			break
		}
		l := openLibrary(mem, maps[i].Start, maps.word())
		s, ok := l.symbol("malloc")
		if file != libc && (!ok || s.defined) { // !ok: the program defines malloc but does not export it
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
		case maps[at].Name == file: // the PLT slot is not set yet and leads back to the resolver
			return "", nil
		}
		file = maps[at].Name
	}
	return "", nil
}

// underValgrind reports whether valgrind replaces malloc. The program's pointer to malloc does not show this, since valgrind
// redirects the calls while it runs the code. A valgrind tool that replaces malloc preloads a library vgpreload_TOOL in
// addition to vgpreload_core.
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
