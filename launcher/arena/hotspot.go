package arena

// This file reads flags of a HotSpot JVM, as HotSpot's serviceability agent does: libjvm.so exports tables of its structures
// (src/hotspot/share/runtime/vmStructs.hpp), which give the address of JVMFlag::flags. It works for 64-bit JVMs since JDK
// 11.

import (
	"bytes"
	"path"
	"slices"
)

// These are the sizes of structures and the offsets of fields, in bytes. mostName is the number of bytes that are read
// of a name.
const (
	vmStruct        = 48 // size of an entry: typeName, fieldName, typeString, isStatic (int), offset, address
	vmStructField   = 8
	vmStructOffset  = 32
	vmStructAddress = 40
	vmType          = 40 // size of an entry: typeName, superclassName, three ints, size
	vmTypeSize      = 32
	mostName        = 48
)

// hotspotFlag is the value of a flag of 8 bytes; ok is false if the flag is not found.
func hotspotFlag(mem reader, maps layout, name string) (value uint64, ok bool) {
	i := slices.IndexFunc(maps, func(m mapping) bool { return m.Offset == 0 && path.Base(m.Name) == "libjvm.so" })
	if i < 0 || maps.word() != 8 {
		return 0, false
	}
	l := openLibrary(mem, maps[i].Start, 8)
	fields, size := l.jvmFlag()
	flags, count := l.at(word(fields["flags"], vmStructAddress, 8), 8), l.at(word(fields["numFlags"], vmStructAddress, 8), 8)
	nameAt, addrAt := word(fields["_name"], vmStructOffset, 8), word(fields["_addr"], vmStructOffset, 8)
	if l.err != nil || size < 16 || size > 256 || max(nameAt, addrAt) > size-8 || count > mostTable/256 {
		return 0, false
	}
	all := l.bytes(flags, count*size)
	flag := slices.Index(l.texts(all, size, nameAt), name)
	if flag < 0 {
		return 0, false
	}
	value = l.at(word(all, uint64(flag)*size+addrAt, 8), 8)
	return value, l.err == nil
}

// jvmFlag returns the table entries of JVMFlag's fields, by name, and sizeof(JVMFlag). The entry of a missing field is all
// zeros.
func (l *library) jvmFlag() (fields map[string][]byte, size uint64) {
	const name = "JVMFlag"
	none := make([]byte, vmStruct)
	fields = map[string][]byte{"flags": none, "numFlags": none, "_name": none, "_addr": none}
	table := l.table("gHotSpotVMStructs", vmStruct)
	types, own := l.texts(table, vmStruct, 0), l.texts(table, vmStruct, vmStructField)
	for i, t := range types {
		if _, wanted := fields[own[i]]; t == name && wanted {
			fields[own[i]] = table[i*vmStruct:]
		}
	}
	table = l.table("gHotSpotVMTypes", vmType)
	if i := slices.Index(l.texts(table, vmType, 0), name); i >= 0 {
		size = word(table, uint64(i)*vmType+vmTypeSize, 8)
	}
	return fields, size
}

// table reads the table that the symbol with this name points to. Each entry has entrySize bytes. The last entry starts with
// a null pointer and is left out.
func (l *library) table(name string, entrySize uint64) (table []byte) {
	const step = 64 // entries
	s, ok := l.symbol(name)
	if !ok {
		return nil
	}
	for at := l.at(s.addr, 8); l.err == nil && len(table) < mostTable; at += step * entrySize {
		for part := range slices.Chunk(l.bytes(at, step*entrySize), int(entrySize)) {
			if word(part, 0, 8) == 0 {
				return table
			}
			table = append(table, part...)
		}
	}
	return nil
}

// texts returns one C string for each entry of the table. Each entry has a pointer to its string at this offset.
func (l *library) texts(table []byte, entry, offset uint64) []string {
	entries := slices.Collect(slices.Chunk(table, int(entry)))
	list, i := make([]string, len(entries)), 0
	if l.err != nil {
		return list
	}
	at := func(e *[]byte) (uint64, int) { return word(*e, offset, 8), mostName }
	l.err = readEach(l.mem, entries, mostName, at, func(_ *[]byte, b []byte) {
		if text, _, ok := bytes.Cut(b, []byte{0}); ok {
			list[i] = string(text)
		}
		i++
	})
	return list
}
