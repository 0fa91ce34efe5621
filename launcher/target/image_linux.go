package target

// This file reads the tables of an open ELF file, and searches for texts in it.

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"slices"
)

// These limits, in bytes, protect against damaged or malicious files. They are far above real sizes.
const (
	maxDynamic = 64 << 10 // bytes of the dynamic section, of a segment of notes, and of the start of a file
	maxTable   = 64 << 20 // bytes of one table of symbols, names or hashes
	maxScan    = 1 << 30  // bytes of the part of a file that is searched
)

// image is an open ELF file with its headers.
type image struct {
	file
	path   string
	head   elfHead
	loader string                // path of the loader, from PT_INTERP
	needs  []uint64              // offsets of the names of the needed libraries, from DT_NEEDED
	dyn    map[elf.DynTag]uint64 // the values of the other entries of the dynamic section, by tag
	start  []byte                // the first bytes of the file
}

// openImage opens an ELF file and reads its headers: one read, and one more for each part that is not at the start of
// the file, usually the dynamic section. The caller closes the image.
func (fs fsys) openImage(path string) (image, error) {
	f, err := fs.open(path)
	if err != nil {
		return image{}, err
	}
	im, err := newImage(f, path, make([]byte, headSize))
	if err != nil {
		f.close()
	}
	return im, err
}

// newImage reads the headers, using buf for the first read. The image has the start of the file even if it is not ELF.
func newImage(f file, path string, buf []byte) (image, error) {
	n, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return image{}, err
	}
	im := image{file: f, path: path, start: buf[:n]}
	im.head, err = parseHead(im.start)
	if errors.Is(err, errLongHead) && n == headSize { // linkers put the program headers first, but patchelf may move them
		im.start = make([]byte, maxDynamic)
		n, _ = f.ReadAt(im.start, 0)
		im.start = im.start[:n]
		im.head, err = parseHead(im.start)
	}
	if err != nil {
		return im, err
	}
	if s, ok := im.head.find(elf.PT_INTERP); ok {
		name, err := im.read(s.offset, s.size, pathMax)
		if err != nil {
			return im, err
		}
		im.loader = string(cString(name))
	}
	if s, ok := im.head.find(elf.PT_DYNAMIC); ok {
		b, err := im.read(s.offset, s.size, maxDynamic)
		if err != nil {
			return im, err
		}
		im.needs, im.dyn = im.head.parseDynamic(b)
	}
	return im, nil
}

// read returns the "size" bytes of the file from "offset" on. If the stored start of the file contains all of them,
// they come from there. Otherwise they are read from the file; then a size above the argument "limit" is an error,
// because the size comes from the file, and a damaged file can demand any amount of memory.
func (im image) read(offset, size, limit uint64) ([]byte, error) {
	if b, ok := part(im.start, offset, size); ok {
		return b, nil
	}
	if size > limit || offset > 1<<62 {
		return nil, errBadELF
	}
	b := make([]byte, size)
	if _, err := im.ReadAt(b, int64(offset)); err != nil {
		return nil, errBadELF // truncated file
	}
	return b, nil
}

// notes reports whether Go built the program, and whether it contains the start code of a C library.
func (im image) notes() (golang, libcStart bool) {
	for _, s := range im.head.segments {
		if s.kind != elf.PT_NOTE {
			continue
		}
		b, err := im.read(s.offset, s.size, maxDynamic)
		if err != nil {
			continue
		}
		im.head.notes(b, func(name []byte, kind uint32) {
			golang = golang || string(name) == "Go" && kind == noteGoID
			libcStart = libcStart || string(name) == "GNU" && kind == noteABITag
		})
	}
	return golang, libcStart
}

// needed returns the names of DT_NEEDED, in order. They are usually close to each other, so one read gets all.
func (im image) needed() ([]string, error) {
	if len(im.needs) == 0 {
		return nil, nil
	}
	low, high := slices.Min(im.needs), slices.Max(im.needs)
	strtab, size, ok := im.strings()
	if !ok || high >= size {
		return nil, errBadELF
	}
	b, err := im.read(strtab+low, min(high+256, size)-low, maxTable)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(im.needs))
	for i, n := range im.needs {
		names[i] = string(cString(b[n-low:]))
	}
	return names, nil
}

// strings returns the offset of the string table in the file, and its size.
func (im image) strings() (offset, size uint64, ok bool) {
	offset, ok = im.head.offset(im.dyn[elf.DT_STRTAB])
	size = im.dyn[elf.DT_STRSZ]
	return offset, size, ok && size <= maxTable
}

// name returns one name of the dynamic section; "" if it is absent.
func (im image) name(tag elf.DynTag) string {
	strtab, size, ok := im.strings()
	offset := im.dyn[tag]
	if offset == 0 || !ok || offset >= size {
		return ""
	}
	b, err := im.read(strtab+offset, min(pathMax, size-offset), pathMax)
	if err != nil {
		return ""
	}
	return string(cString(b))
}

// mallocSymbols reports whether the file exports malloc, and whether it imports mallopt.
func (im image) mallocSymbols() (definesMalloc, usesMallopt bool, err error) {
	symtab, ok1 := im.head.offset(im.dyn[elf.DT_SYMTAB])
	strtab, size, ok2 := im.strings()
	count, ok3 := im.symbolCount()
	if !ok1 || !ok2 || !ok3 {
		return false, false, errBadELF
	}
	table, err := im.read(symtab, count*uint64(im.head.symbolSize()), maxTable)
	if err != nil {
		return false, false, err
	}
	names, err := im.read(strtab, size, maxTable)
	if err != nil {
		return false, false, err
	}
	im.head.symbols(table, names, func(name []byte, defined bool) {
		switch string(name) {
		case "malloc":
			definesMalloc = definesMalloc || defined
		case "mallopt":
			usesMallopt = usesMallopt || !defined
		}
	})
	return definesMalloc, usesMallopt, nil
}

// symbolCount returns the number of dynamic symbols. It takes the number from DT_HASH or DT_GNU_HASH, because the
// section headers may be stripped. DT_HASH begins with nbucket and nchain, u32 each; nchain is the number of symbols.
func (im image) symbolCount() (uint64, bool) {
	if at, ok := im.head.offset(im.dyn[elf.DT_HASH]); ok && im.dyn[elf.DT_HASH] != 0 {
		b, err := im.read(at, 8, 8)
		if err != nil {
			return 0, false
		}
		return uint64(im.head.order.Uint32(b[4:])), true
	}
	at, ok := im.head.offset(im.dyn[elf.DT_GNU_HASH])
	if !ok || im.dyn[elf.DT_GNU_HASH] == 0 {
		return 0, false
	}
	return im.gnuSymbolCount(at)
}

// gnuSymbolCount returns the number of dynamic symbols, which is the end of the last chain of a GNU hash table.
// Layout of the table, in u32 except for the words of the Bloom filter, which have the word size of the ELF class:
//
//	nbuckets, symoffset, number of filter words, shift of the filter; the filter words; the first symbol of each
//	bucket (0: none); the hash of each symbol from symoffset on, with bit 0 set at the end of a chain
func (im image) gnuSymbolCount(at uint64) (uint64, bool) {
	b, err := im.read(at, 16, 16)
	if err != nil {
		return 0, false
	}
	u32 := func(i int) uint64 { return uint64(im.head.order.Uint32(b[4*i:])) }
	nbuckets, first, filter := u32(0), u32(1), u32(2)
	at += 16 + filter*uint64(im.head.bits/8)
	buckets, err := im.read(at, 4*nbuckets, maxTable)
	if err != nil {
		return 0, false
	}
	last := im.head.lastBucket(buckets)
	if last < first { // no symbol is defined; the indexes below symoffset belong to undefined symbols
		return first, true
	}
	var chain [1024]byte // 256 hashes; a real chain has a few
	n, _ := im.ReadAt(chain[:], int64(at+4*(nbuckets+last-first)))
	length, ok := im.head.chainEnd(chain[:max(n, 0)])
	return last + length, ok
}

// scan searches the file for texts. The result found[i] has up to 256 bytes that follow the first occurrence of
// texts[i]; it is nil if the text does not occur. The result "whole" is false if the file is longer than maxScan or
// cannot be read.
func (f file) scan(texts ...string) (found [][]byte, whole bool) {
	const overlap = 512
	found = make([][]byte, len(texts))
	whole = f.chunks(overlap, func(chunk []byte, last bool) {
		for i, text := range texts {
			j := bytes.Index(chunk, []byte(text))
			if j < 0 || found[i] != nil || j+len(text)+256 > len(chunk) && !last {
				continue // not here, found before, or too close to the end of the chunk: the next chunk has all of it
			}
			rest := chunk[j+len(text):]
			found[i] = bytes.Clone(rest[:min(256, len(rest))])
		}
	})
	return found, whole
}

// chunks reads the file in chunks. Each chunk begins with a copy of the end of the one before; the argument "overlap"
// is the length of that copy in bytes. The result "whole" is false if the file is longer than maxScan or cannot be
// read.
func (f file) chunks(overlap int, visit func(chunk []byte, last bool)) (whole bool) {
	buf := make([]byte, 256<<10)
	kept := 0 // bytes of the previous chunk, at the start of buf
	for at := int64(0); at < maxScan; {
		n, err := f.ReadAt(buf[kept:], at)
		chunk := buf[:kept+n]
		if visit(chunk, err != nil); err != nil {
			return err == io.EOF
		}
		kept = copy(buf, chunk[max(0, len(chunk)-overlap):])
		at += int64(n)
	}
	return false
}
