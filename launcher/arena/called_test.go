package arena

import (
	"encoding/binary"
	"os"
	"testing"

	"arenacap/launcher/proc/vma"
)

// libraryImage is the memory of a shared library. The symbol malloc is at the offset 0x900. The relocated pointer to
// malloc is at 0x800 and has the value in the parameter "pointer".
func libraryImage(pointer uint64) []byte {
	b := make([]byte, 0x1000)
	put := func(at uint64, size int, values ...uint64) {
		for _, v := range values {
			switch size {
			case 2:
				binary.NativeEndian.PutUint16(b[at:], uint16(v))
			case 4:
				binary.NativeEndian.PutUint32(b[at:], uint32(v))
			default:
				binary.NativeEndian.PutUint64(b[at:], v)
			}
			at += uint64(size)
		}
	}
	hash := uint32(5381)
	for _, c := range []byte("malloc") {
		hash = hash*33 + uint32(c)
	}
	copy(b, "\x7fELF\x02\x01\x01")
	put(32, 8, 64)                                                                       // e_phoff
	put(56, 2, 1)                                                                        // e_phnum
	put(64, 4, 2)                                                                        // PT_DYNAMIC
	put(64+16, 8, 0x200, 0, 0x200)                                                       // p_vaddr, p_paddr, p_filesz
	put(0x200, 8, 0x6ffffef5, 0x400, 6, 0x500, 5, 0x600, 7, 0x700, 8, 48, 0x6ffffff9, 1) // GNU_HASH, SYMTAB, STRTAB, RELA, RELASZ, RELACOUNT
	put(0x400, 4, 1, 1, 1, 0)                                                            // one bucket, symbols from 1 on, one word of filter
	put(0x418, 4, 1, uint64(hash|1))                                                     // the bucket, the chain
	put(0x500+24, 4, 1)                                                                  // st_name
	put(0x500+24+8, 8, 0x900)                                                            // st_value
	copy(b[0x600:], "\x00malloc\x00")
	put(0x700, 8, 0, 8, 0, 0x800, 1<<32|6, 0) // a relative relocation, then the relocation of the pointer to malloc
	put(0x800, 8, pointer)
	return b
}

func TestCalledMalloc(t *testing.T) {
	const base, other = uint64(0x7f0000000000), uint64(0x7f0000100000)
	for name, c := range map[string]struct {
		pointer uint64
		want    string
	}{
		"its own":                  {base + 0x900, "/lib/libc.so.6"},
		"another library's":        {other + 16, "/opt/libown.so"},
		"not bound yet":            {base + 0x20, ""},
		"no pointer":               {0, ""},
		"memory without a file":    {other + 0x5000, ""},
		"memory that is not there": {1, ""},
	} {
		f := &fake{version: v236}
		f.addMapping(base, 0x1000, vma.Read, "/lib/libc.so.6")
		f.segments[0].data = libraryImage(c.pointer)
		f.addMapping(other, 0x1000, vma.Read|vma.Exec, "/opt/libown.so")
		f.addMapping(other+0x5000, 0x1000, anonRW, "")
		if got, err := calledMalloc(f, f.maps, "/lib/libc.so.6"); got != c.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

// FuzzLibrary overwrites words of a library: calledMalloc and hotspotFlag must return, and must not crash.
func FuzzLibrary(f *testing.F) {
	f.Add(uint16(56), uint64(0), uint16(0x408), uint64(1<<40))
	f.Add(uint16(0x218), ^uint64(0), uint16(0x240), uint64(0))
	f.Fuzz(func(t *testing.T, at1 uint16, value1 uint64, at2 uint16, value2 uint64) {
		const base = uint64(0x7f0000000000)
		p := &fake{version: v236}
		p.addMapping(base, 0x1000, vma.Read, "/jvm/libjvm.so")
		p.segments[0].data = libraryImage(base + 0x900)
		p.addMapping(base+0x1000, 0x1000, vma.Read, "/jvm/libjvm.so")
		p.put(base+uint64(at1)%0x1000&^7, value1)
		p.put(base+uint64(at2)%0x1000&^7, value2)
		_, _ = calledMalloc(p, p.maps, "/jvm/libjvm.so")
		_, _ = hotspotFlag(p, p.maps, "CompressedClassSpaceSize")
	})
}

// TestCalledMallocHere reads a live process, whose libc calls its own malloc.
func TestCalledMallocHere(t *testing.T) {
	p := opened(t, procRoot, start(t, nil, compile(t, "testdata/probe.c")).pid())
	maps, err := p.readMaps()
	if err != nil {
		t.Fatal(err)
	}
	libc := libcFile(maps, nil)
	if got, err := calledMalloc(p.mem, maps, libc); got != libc || err != nil || libc == "" {
		t.Errorf("%q, %v; want %q", got, err, libc)
	}
	exe, _ := os.Readlink(p.dir + "/exe") // in the program, which is not the libc, calledMalloc finds no malloc
	if got, err := calledMalloc(p.mem, maps, exe); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
