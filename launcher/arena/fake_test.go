package arena

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"arenacap/launcher/proc/vma"
)

// fake is the memory of an imaginary process with the structures of any version of glibc.
type fake struct {
	version
	maps     layout
	segments []segment // the segments of memory, in the order of their addresses
	states   []uint64  // addresses of the arenas, the main one first
}

type segment struct {
	addr uint64
	data []byte
}

// version is a layout of malloc_state: the offsets of its fields. They come from glibc's sources; those from 2.27 on were
// also checked against live processes. The offsets attached and nextFree are 0 if the field does not exist.
type version struct {
	name                            string
	word                            uint64
	top, bins, next                 uint64
	nextFree, attached, system, end uint64
	header                          uint64 // sizeof(heap_info)
}

var versions = []version{
	{"2.10 without PER_THREAD", 8, 88, 104, 2152, 0, 0, 2160, 2176, 32},
	{"2.12 and RHEL 6", 8, 88, 104, 2152, 2160, 0, 2168, 2184, 32},
	{"2.23 and RHEL 7", 8, 88, 104, 2152, 2160, 2168, 2176, 2192, 32},
	{"2.27 to 2.34", 8, 96, 112, 2160, 2168, 2176, 2184, 2200, 32},
	{"2.35 to 2.42", 8, 96, 112, 2160, 2168, 2176, 2184, 2200, 48},
	{"2.43", 8, 8, 24, 2072, 2080, 2088, 2096, 2112, 48},
	{"i386 2.10 without PER_THREAD", 4, 48, 56, 1088, 0, 0, 1092, 1100, 16},
	{"i386 2.12", 4, 48, 56, 1088, 1092, 0, 1096, 1104, 16},
	{"i386 2.23", 4, 48, 56, 1088, 1092, 1096, 1100, 1108, 16},
	{"i386 2.26.0", 4, 52, 60, 1092, 1096, 1100, 1104, 1112, 24},
	{"i386 2.27 to 2.42", 4, 56, 64, 1096, 1100, 1104, 1108, 1116, 24},
	{"i386 2.43", 4, 8, 16, 1048, 1052, 1056, 1060, 1068, 24},
}

const (
	anonRW   = vma.Read | vma.Write
	fakeUsed = 132 << 10 // bytes of a heap in use
)

func (f *fake) put(addr, value uint64) {
	for _, s := range f.segments {
		if addr >= s.addr && addr+f.word <= s.addr+uint64(len(s.data)) {
			if f.word == 4 {
				binary.NativeEndian.PutUint32(s.data[addr-s.addr:], uint32(value))
			} else {
				binary.NativeEndian.PutUint64(s.data[addr-s.addr:], value)
			}
			return
		}
	}
	panic("no memory there")
}

func (f *fake) read(spans []span) error {
	for i := range spans {
		p := &spans[i]
		p.n = 0
		for p.n < len(p.buf) {
			addr := p.addr + uint64(p.n)
			j := sort.Search(len(f.segments), func(j int) bool {
				return f.segments[j].addr+uint64(len(f.segments[j].data)) > addr
			})
			if j == len(f.segments) || f.segments[j].addr > addr {
				break
			}
			p.n += copy(p.buf[p.n:], f.segments[j].data[addr-f.segments[j].addr:])
		}
	}
	return nil
}

func (f *fake) pages(uint64, []pageState) bool { return false }

// addMapping adds a mapping. If p includes reading, the mapping also gets memory, filled with zeros.
func (f *fake) addMapping(start, size uint64, p perm, name string) {
	m := mapping{Start: start, End: start + size, Perm: p, Name: name}
	if name != "" && name[0] == '/' {
		m.Inode = 7
	}
	f.maps = append(f.maps, m)
	if p&vma.Read != 0 {
		f.segments = append(f.segments, segment{start, make([]byte, size)})
	}
}

// newFake makes a process with a main arena and one more arena for each element of heaps. The element is the number of
// heaps of that arena. heapMax is the size of a heap.
func newFake(v version, heapMax uint64, heaps ...int) *fake {
	f := &fake{version: v}
	libc, base := uint64(0x7fff00000000), uint64(0x7f0000000000)
	if v.word == 4 {
		libc, base = 0xf7f00000, 0xc0000000
	}
	var bases [][]uint64
	for _, n := range heaps {
		var own []uint64
		for range n {
			f.addMapping(base, fakeUsed, anonRW, "")
			f.addMapping(base+fakeUsed, heapMax-fakeUsed, 0, "")
			own = append(own, base)
			base += heapMax
		}
		bases = append(bases, own)
	}
	f.addMapping(libc-0x10000, 0x10000, vma.Read|vma.Exec, "/lib/libc.so.6")
	f.addMapping(libc, 0x3000, anonRW, "/lib/libc.so.6")
	f.states = []uint64{libc + 0xc80}
	for _, own := range bases {
		f.states = append(f.states, own[0]+v.header)
	}
	for i, addr := range f.states {
		next := f.states[(i+1)%len(f.states)]
		var own []uint64
		if i > 0 {
			own = bases[i-1]
		}
		f.arena(addr, next, own)
	}
	return f
}

// arena writes a malloc_state, and for each heap its header. The last heap ends in a top chunk of 64 KiB.
func (f *fake) arena(addr, next uint64, heaps []uint64) {
	for i := range uint64(127) {
		self := addr + f.bins + 2*i*f.word - 2*f.word
		f.put(self+2*f.word, self)
		f.put(self+3*f.word, self)
	}
	f.put(addr+f.next, next)
	if f.attached != 0 {
		f.put(addr+f.attached, 1)
	}
	if len(heaps) == 0 { // a main arena that has not been used yet
		f.put(addr+f.top, addr+f.bins-2*f.word)
		return
	}
	system := uint64(len(heaps) * fakeUsed)
	f.put(addr+f.system, system)
	f.put(addr+f.system+f.word, system)
	if f.word == 8 {
		f.put(addr, nonContiguous<<32) // mutex and flags are two ints in one word
	} else {
		f.put(addr+4, nonContiguous)
	}
	var prev uint64
	for _, h := range heaps {
		for i, field := range []uint64{addr, prev, fakeUsed, fakeUsed} {
			f.put(h+uint64(i)*f.word, field)
		}
		if f.header == 48 || f.header == 24 {
			f.put(h+4*f.word, minPage)
		}
		prev = h
	}
	const topSize = 64 << 10
	top := prev + fakeUsed - topSize
	f.put(addr+f.top, top)
	f.put(top+f.word, topSize|prevInUse)
}

// merge joins adjacent anonymous mappings with equal access, as the kernel does.
func (f *fake) merge() {
	var merged layout
	for _, m := range f.maps {
		if n := len(merged); n > 0 && merged[n-1].End == m.Start && merged[n-1].Perm == m.Perm && m.Anonymous() && merged[n-1].Anonymous() {
			merged[n-1].End = m.End
			continue
		}
		merged = append(merged, m)
	}
	f.maps = merged
}

// insert adds a mapping in the order of addresses, and returns its memory if it is readable.
func (f *fake) insert(start, size uint64, p perm, name string) []byte {
	f.addMapping(start, size, p, name)
	slices.SortFunc(f.maps, func(a, b mapping) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortFunc(f.segments, func(a, b segment) int { return cmp.Compare(a.addr, b.addr) })
	for _, s := range f.segments {
		if s.addr == start {
			return s.data
		}
	}
	return nil
}
