package arena

// This file has the layout of glibc's heap_info and malloc_state (malloc/arena.c, malloc/malloc.c). Distributions
// change the layout within a version (RHEL 7's 2.17-292 has the fields of 2.23), so it is detected from the memory and
// not from the version.

// These are the largest sizes of the structures, in bytes.
const (
	headerMax = 48                   // sizeof(heap_info), the largest: LP64 since 2.35
	stateMax  = 2200                 // sizeof(malloc_state), the largest: LP64 2.27 to 2.42
	arenaMax  = headerMax + stateMax // bytes of both structures, at the start of an arena's first heap
)

// heap is a heap_info: words ar_ptr, prev, size, mprotect_size and, since 2.35, pagesize, at an address that is
// a multiple of the largest size of a heap.
type heap struct {
	base      uint64
	arena     uint64 // address of the malloc_state that it belongs to
	prev      uint64 // base of the arena's heap before this one; 0 in the first
	size      uint64 // number of bytes that the arena uses
	committed uint64 // mprotect_size: bytes that are readable and writable
	pagesize  uint64 // the heap grows in multiples of this many bytes; meaningless before 2.35
}

func parseHeap(base uint64, b []byte, size uint64) heap {
	at := func(i uint64) uint64 { return word(b, i*size, size) }
	return heap{base: base, arena: at(0), prev: at(1), size: at(2), committed: at(3), pagesize: at(4)}
}

// sane reports whether the sizes in the header are plausible for a heap of at most maxSize bytes.
func (h heap) sane(page, maxSize uint64) bool {
	return h.size > 0 && h.size <= h.committed && h.committed <= maxSize &&
		h.size%page == 0 && h.committed%page == 0 && h.base%page == 0 && h.prev%page == 0
}

// first reports whether the heap is its arena's first, with the arena's state right after the header: at offset 32 (up to
// 2.34) or 48 in 64-bit programs, 16 (up to 2.25) or 24 in 32-bit ones.
func (h heap) first(size uint64) bool {
	return h.prev == 0 && firstHeap(h.arena, size) == h.base
}

// firstHeap returns the address of the heap that would have its malloc_state at addr, or 0 if a malloc_state in a heap
// cannot have that address.
func firstHeap(addr, size uint64) uint64 {
	switch off := addr & (minPage - 1); {
	case size == 8 && (off == 32 || off == 48), size == 4 && (off == 16 || off == 24):
		return addr - off
	}
	return 0
}

// minPage is the smallest page size of any machine that Linux runs on, in bytes.
const minPage = 4096

// state is a malloc_state. Its fields, by their order in memory:
//
//	int mutex, flags; [int have_fastchunks;] [fastbinsY[10 or 11];] top, last_remainder, bins[254],
//	unsigned binmap[4], next, [next_free,] [attached_threads,] system_mem, max_system_mem
//
// The field next_free exists since glibc 2.10 (in its early releases only with PER_THREAD), attached_threads since 2.23
// and its backports, and have_fastchunks since 2.27 and updates of 2.26; 2.43 removed have_fastchunks and the fastbins.
// The offset of bins shows which of these layouts a state has, but not whether it has next_free and attached_threads.
type state struct {
	addr  uint64
	flags uint64
	bins  uint64    // offset of bins, which identifies the layout
	top   uint64    // address of the top chunk
	next  uint64    // the next arena of the ring
	tail  [4]uint64 // the words after next
}

// binsAt returns the possible offsets of bins, in bytes:
//
//	64-bit  32-bit
//	   112      64  later commits of the 2.26 branch, and 2.27 to 2.42
//	     -      60  2.26.0: its 32-bit layout has an eleventh fastbin, and no have_fastchunks yet
//	   104      56  2.10 to 2.25; in 64-bit programs to 2.26.0
//	    24      16  2.43 and later
//
// The largest offset must be tried first. parseState recognizes a layout by its last bin, which is empty and links to its
// own address. Every empty bin does so, and the place where a layout with a smaller offset has its last bin may be another
// empty bin of a layout with a larger offset.
func binsAt(size uint64) []uint64 {
	if size == 4 {
		return binsAt32[:]
	}
	return binsAt64[:]
}

var (
	binsAt32 = [...]uint64{64, 60, 56, 16}
	binsAt64 = [...]uint64{112, 104, 24}
)

// Flags of malloc_state: bit 0 is FASTCHUNKS up to 2.26, bit 1 NONCONTIGUOUS, bit 2 CORRUPT in 2.22 to 2.26.
const (
	nonContiguous = 2
	allFlags      = 7
)

// parseState reads the state at addr; b has stateMax bytes, or fewer where memory ends.
func parseState(addr uint64, b []byte, size uint64) (state, bool) {
	for _, bins := range binsAt(size) {
		if lastBinEmpty(addr, b, bins, size) {
			if s, ok := stateWith(addr, b, bins, size); ok {
				return s, true
			}
		}
	}
	return state{}, false
}

// lastBinEmpty is the first test of parseState: both links of bin 127 point to itself, since that bin is never used
// (largebin_index gives at most 126). The function statesIn makes this test itself, at every word of a program's data.
func lastBinEmpty(addr uint64, b []byte, bins, size uint64) bool {
	off := bins + 252*size
	if uint64(len(b)) < bins+254*size+16+5*size {
		return false
	}
	self := addr + off - 2*size
	return word(b, off, size) == self && word(b, off+size, size) == self
}

func stateWith(addr uint64, b []byte, bins, size uint64) (state, bool) {
	for i := range uint64(127) {
		off := bins + 2*i*size
		self := addr + off - 2*size
		for _, link := range [2]uint64{word(b, off, size), word(b, off+size, size)} {
			if link != self && (link == 0 || link%(2*size) != 0) {
				return state{}, false
			}
		}
	}
	mutex, flags := word(b, 0, 4), word(b, 4, 4)
	if mutex > 2 || flags > allFlags { // the lock: 0 free, 1 held, 2 held with waiters (lowlevellock.h)
		return state{}, false
	}
	s := state{addr: addr, flags: flags, bins: bins, top: word(b, bins-2*size, size)}
	next := bins + 254*size + 16
	s.next = word(b, next, size)
	for i := range s.tail {
		s.tail[i] = word(b, next+uint64(i+1)*size, size)
	}
	return s, true
}

// since is the minor version of glibc that introduced the layout, or 0 for the layouts before 2.27 and the updates of
// 2.26.
func (s state) since() int {
	switch s.bins {
	case 24, 16: // the value in 64-bit programs, and the value in 32-bit programs
		return 43
	case 112, 64:
		return 26
	}
	return 0
}

// tailForms returns the possible indices of system_mem in the field "tail": 0 if system_mem comes first, 1 if next_free
// precedes it, 2 if next_free and attached_threads precede it. Only in the oldest layout is more than one index
// possible.
func (s state) tailForms(size uint64) []int {
	if s.bins == 104 && size == 8 || s.bins == 56 && size == 4 {
		return []int{0, 1, 2}
	}
	return []int{2}
}

// unused reports whether the arena has never served a chunk: top then points to the state's own first bin, which overlays
// last_remainder and top (initial_top in malloc.c).
func (s state) unused(size uint64) bool { return s.top == s.addr+s.bins-2*size }

// sizeofState returns sizeof(malloc_state) for a layout in which system_mem is tail[form]. size is the size of a pointer.
func (s state) sizeofState(form int, size uint64) uint64 {
	return s.bins + 254*size + 16 + uint64(form+3)*size
}
