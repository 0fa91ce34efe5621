package arena

// This file searches for arenas in the mappings and the memory of a process.

import (
	"cmp"
	"errors"
	"math/bits"
	"slices"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc/vma"
)

// finder finds the arenas of one process in its mappings and memory. It validates everything that it reads. An arena counts
// only if it is in a closed ring with exactly one main arena, and if that main arena lies in the writable data of a program
// or library. A heap counts only if it is in its arena's chain.
type finder struct {
	mem    reader
	maps   mappings
	word   uint64 // bytes of a pointer in the process
	states map[uint64]member
	roots  map[uint64]state // candidates for main arenas, from the data of files
	fitted map[place]bool   // what the method "fits" returned, so that it runs once for each place
	left   int              // number of headers and states that may still be read
}

// mappings gives access to a process's mappings, either from one snapshot of all mappings (layout) or with an ioctl for
// each look-up (queries).
type mappings interface {
	// next returns the first mapping that ends above addr and grants all of perms. If the argument "file" is true, the
	// method may skip anonymous mappings.
	next(addr uint64, perms perm, file bool) (mapping, bool)
	// bases returns addresses where heaps may begin.
	bases(word uint64) []uint64
	// libc reports whether a mapped file may be glibc, judging by the name.
	libc() bool
	// word returns the size of a pointer of the process in bytes.
	word() uint64
	// mostHeaders returns how many heap headers and malloc_states may be read at most, since forged memory could make the
	// search endless.
	mostHeaders() int
}

// ring is malloc's circular list of arenas in one copy of glibc; a program that calls dlmopen(3) has several copies.
type ring struct {
	heapMax uint64 // bytes: size and alignment of every heap
	form    int    // index of system_mem in the field "tail" of a state; see tailForms
	members []member
}

// member is one arena of a ring with its heaps, newest first as malloc chains them. The main arena has no heaps: it uses
// the brk heap.
type member struct {
	state
	first   heap // the header before the state; zero for the main arena
	heaps   []heap
	topSize uint64 // bytes of the top chunk; 0 if it is missing or unreadable
	settled bool   // the heap sizes add up to system_mem
}

func (m *member) main() bool { return m.first.base == 0 }

// errBroken is the error for arenas that form no ring: malloc's structures were overwritten, or their layout is unknown.
var errBroken = errors.New("the arenas of the process are not linked to a main arena: malloc's data was overwritten, or this arenacap does not know its layout")

// errUnreadable is the error for a mapped libc whose data cannot be read: the number of arenas is then unknown.
var errUnreadable = errors.New("the data of the process's C library cannot be read, so the arenas are not known")

// found is the result of the function "find".
type found struct {
	rings    []*ring
	unlinked int  // structures that look like arenas but are in no ring
	cut      bool // the limit on reads was reached
}

// find returns the rings of the process. It starts from each candidate for an arena, in the data of files (mainArenas)
// or in a heap, and follows the links to the next arenas.
func find(mem reader, maps mappings) (found, error) {
	f := newFinder(mem, maps)
	if err := f.readCandidates(maps.bases(f.word)); err != nil {
		return found{}, err
	}
	starts, err := f.mainArenas()
	if err != nil {
		return found{}, err
	}
	for _, m := range f.states {
		starts = append(starts, m.addr)
	}
	all := found{}
	if all.rings, err = f.rings(starts); err != nil {
		return found{}, err
	}
	f.sort(all.rings)
	known := map[uint64]bool{} // the arenas by the address of their bins, since one real arena may also parse as arenas of other layouts
	for _, r := range all.rings {
		if err := f.chain(r); err != nil {
			return found{}, err
		}
		for i := range r.members {
			known[r.members[i].addr+r.members[i].bins] = true
		}
	}
	for _, m := range f.states {
		if !known[m.addr+m.bins] {
			all.unlinked++
		}
	}
	if len(all.rings) == 0 && all.unlinked > 0 {
		return found{}, errBroken
	}
	if f.left < 0 {
		all.cut, all.unlinked = true, max(all.unlinked, 1)
	}
	return all, nil
}

func newFinder(mem reader, maps mappings) *finder {
	return &finder{mem: mem, maps: maps, word: maps.word(), states: map[uint64]member{}, roots: map[uint64]state{},
		fitted: map[place]bool{}, left: maps.mostHeaders()}
}

// sort puts the ring of the program's own libc first, before the rings of libcs from dlmopen(3). The main arena of the
// program's own libc uses the brk heap. If no main arena uses the brk heap, the libc at the highest address is the
// program's own, because it was loaded first.
func (f *finder) sort(rings []*ring) {
	if len(rings) < 2 {
		return
	}
	inBrk := func(r *ring) int {
		if m, ok := holds(f.maps, r.members[0].top); ok && m.Name == "[heap]" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(rings, func(a, b *ring) int {
		return cmp.Or(cmp.Compare(inBrk(a), inBrk(b)), cmp.Compare(b.members[0].addr, a.members[0].addr))
	})
}

// take reserves reads of n headers and returns how many of them are within the limit: forged memory can hold an endless
// chain.
func (f *finder) take(n int) int {
	allowed := max(min(n, f.left), 0)
	if f.left -= n; f.left < 0 {
		f.left = -1
	}
	return allowed
}

// mostHeaders allows eight reads of each place where a heap can begin, since arenas that change are read again. The largest
// number of reads takes about a second.
func (l layout) mostHeaders() int {
	const each, least, most = 8, 4096, 1 << 19
	places := uint64(0)
	for _, m := range l {
		if m.Anonymous() && m.Writable() {
			places += 1 + m.Size()/leastHeap
		}
	}
	return int(min(least+each*min(places, most), most))
}

// leastHeap is the smallest of heapSizes in bytes: four huge pages of 64 KiB.
const leastHeap = 1 << 18

// heapSizes are the sizes that a heap can have: 64 MiB (1 MiB in 32-bit programs). In glibc 2.35 to 2.41 the tunable
// glibc.malloc.hugetlb makes a heap four huge pages large; the size of a huge page depends on the architecture.
func heapSizes(word uint64) []uint64 {
	sizes := []uint64{usualHeap(word)}
	for s := uint64(leastHeap); s <= 1<<32; s <<= 1 { // the largest heap is four huge pages of 1 GiB
		if s != sizes[0] && (word == 8 || s < 1<<30) {
			sizes = append(sizes, s)
		}
	}
	return sizes
}

// usualHeap is HEAP_MAX_SIZE, 2 × DEFAULT_MMAP_THRESHOLD_MAX (malloc/arena.c).
func usualHeap(word uint64) uint64 {
	if word == 4 {
		return 1 << 20
	}
	return 64 << 20
}

// bases returns the addresses where a heap may begin, judging by the mappings alone. A heap is a block aligned to its size
// that is writable up to some point, and reserved without access from there to its end. The kernel may have merged the
// writable part with memory below, so the start of the mapping is not used. A full heap that was merged with memory above
// is not among the bases; it is found through the ring or the chain.
func (l layout) bases(word uint64) []uint64 {
	var bases []uint64
	sizes := heapSizes(word)
	for i, m := range l {
		if !m.Anonymous() || m.Reserved() {
			continue
		}
		limit := m.End // end of the reserved mappings directly after m; the end of m if there are none
		if i+1 < len(l) && l[i+1].Start == m.End {
			limit = l.runEnd(i+1, reservedAnonymous)
		}
		for _, size := range sizes {
			base := (m.End - 1) &^ (size - 1)
			if base+size > limit || base == 0 || hasBase(bases, base) {
				continue
			}
			if j, ok := l.at(base); ok && l[j].Anonymous() && l[j].Writable() {
				bases = append(bases, base)
			}
		}
	}
	return bases
}

// alignedBases returns for each writable anonymous mapping the highest address in it that is aligned to the usual heap
// size. Lower heaps that the kernel merged into the same mapping, and heaps of other sizes, are found through the ring or
// the chain.
func alignedBases(maps mappings, word uint64) (bases []uint64) {
	size := usualHeap(word)
	for at := size; ; {
		m, ok := maps.next(at, vma.Read|vma.Write, false)
		if !ok {
			return bases
		}
		if base := (m.End - 1) &^ (size - 1); base >= m.Start && m.Anonymous() {
			bases = append(bases, base)
		}
		if at = (m.End + size - 1) &^ (size - 1); at < m.End { // overflow: the end of the address space is reached
			return bases
		}
	}
}

func reservedAnonymous(m mapping) bool { return m.Anonymous() && m.Reserved() }

// hasBase reports whether the list has a base. It searches only the last 16: a base can be added twice only for two heap
// sizes in the same mapping, and the bases of one mapping follow one another.
func hasBase(bases []uint64, base uint64) bool {
	return slices.Contains(bases[max(0, len(bases)-16):], base)
}

// readCandidates reads the memory at each base, and keeps the arenas whose first heap is there.
func (f *finder) readCandidates(bases []uint64) error {
	bases = bases[:f.take(len(bases))]
	at := func(base *uint64) (uint64, int) { return *base, arenaMax }
	return readEach(f.mem, bases, arenaMax, at, func(base *uint64, b []byte) {
		if m, ok := f.parseMember(*base, b); ok {
			f.states[m.addr] = m
		}
	})
}

// parseMember parses the heap header at base and the malloc_state after it.
func (f *finder) parseMember(base uint64, b []byte) (member, bool) {
	if len(b) < headerMax {
		return member{}, false
	}
	h := parseHeap(base, b, f.word)
	if !h.first(f.word) || !h.sane(minPage, 1<<32) {
		return member{}, false
	}
	s, ok := parseState(h.arena, b[h.arena-base:], f.word)
	return member{state: s, first: h}, ok && s.flags&nonContiguous != 0
}

// member returns the arena at addr. It reads the arena unless the search has already read it.
func (f *finder) member(addr uint64) (member, bool, error) {
	if m, ok := f.states[addr]; ok {
		return m, true, nil
	}
	if s, ok := f.roots[addr]; ok {
		return member{state: s}, true, nil
	}
	return f.reread(addr)
}

func (f *finder) reread(addr uint64) (member, bool, error) {
	if f.take(1) == 0 {
		return member{}, false, nil
	}
	var buf [arenaMax]byte
	base := firstHeap(addr, f.word)
	start := base
	if base == 0 {
		start = addr
	}
	spans := [1]span{{addr: start, buf: buf[:]}}
	if err := f.mem.read(spans[:]); err != nil {
		return member{}, false, err
	}
	b := buf[:spans[0].n]
	if base != 0 {
		if m, ok := f.parseMember(base, b); ok {
			return m, true, nil
		}
		// base has no heap header, so addr can only be a main arena. By chance its address fits an arena in a heap.
		// b begins at base: drop the bytes before addr.
		b = b[min(addr-base, uint64(len(b))):]
	}
	s, ok := parseState(addr, b[:min(len(b), stateMax)], f.word)
	_, data := dataOf(f.maps, addr)
	return member{state: s}, ok && data, nil
}

// dataOf returns the mapping of the file whose writable data contains addr. A main arena lies in such data. addr is in the
// returned mapping, or in the file's .bss, which is the anonymous mappings right after it.
func dataOf(maps mappings, addr uint64) (mapping, bool) {
	m, ok := holds(maps, addr)
	if !ok || !m.Writable() || m.Perm&vma.Shared != 0 {
		return mapping{}, false
	}
	for range mostBss {
		if !m.Anonymous() {
			break
		}
		if m, ok = holds(maps, m.Start-1); !ok {
			return mapping{}, false
		}
	}
	return m, m.File()
}

// mostBss is the maximum number of mappings of a .bss. It is one mapping until the program calls mprotect or madvise on
// parts of it.
const mostBss = 16

// holds returns the mapping that contains addr.
func holds(maps mappings, addr uint64) (mapping, bool) {
	m, ok := maps.next(addr, 0, false)
	return m, ok && m.Start <= addr
}

// rings follows the links from each start, visits no arena twice, and returns the rings that it finds.
//
// The process may create arenas meanwhile. malloc inserts a new arena right after the main arena. It first sets the
// link of the new arena, then the link of the main arena (_int_new_arena). So only the link of the main arena changes,
// and the links form a ring whether that link was read before or after the change.
func (f *finder) rings(starts []uint64) (rings []*ring, err error) {
	from := map[uint64]int{} // address of an arena to the index in starts from which the arena was first reached
	for i, addr := range starts {
		var path []member
		for {
			if first, seen := from[addr]; seen {
				if at := slices.IndexFunc(path, func(m member) bool { return m.addr == addr }); first == i && at >= 0 {
					if r := f.ring(path[at:]); r != nil {
						rings = append(rings, r)
					}
				}
				break
			}
			from[addr] = i
			m, ok, err := f.member(addr)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			path, addr = append(path, m), m.next
		}
	}
	return rings, nil
}

// ring makes a ring of arenas of which the last links to the first. It returns nil unless exactly one is a main arena and
// all have the same layout.
func (f *finder) ring(members []member) *ring {
	mains := 0
	for i := range members {
		if members[i].main() {
			mains++
		}
		if members[i].bins != members[0].bins {
			return nil
		}
	}
	if mains != 1 {
		return nil
	}
	i := slices.IndexFunc(members, func(m member) bool { return m.main() })
	r := &ring{members: slices.Concat(members[i:], members[:i])} // the main arena first, then in the order of the links
	r.heapMax = f.heapMax(r)
	return r
}

// heapMax is the maximum size of each heap of a ring. glibc reserves the usual size, or four huge pages under
// glibc.malloc.hugetlb. The header of a heap gives the size of its pages: huge pages, or small pages if no huge
// page was available. A size is possible if the mappings have room for heaps of this size (see the method "fits"). The
// result is the first possible size in this list:
//
//   - the usual size, unless a header gives a huge page and four of them are larger;
//   - four huge pages of the size in the header;
//   - the largest of the other heapSizes, or the usual size if none of them is possible.
func (f *finder) heapMax(r *ring) uint64 {
	usual := usualHeap(f.word)
	var huge uint64
	for i := range r.members {
		if m := &r.members[i]; !m.main() && f.pagesize(m) > 64<<10 {
			huge = 4 * f.pagesize(m)
		}
	}
	if huge <= usual && f.allFit(r, usual) {
		return usual
	}
	if huge != 0 && f.allFit(r, huge) {
		return huge
	}
	best := usual
	for _, size := range heapSizes(f.word)[1:] {
		if f.allFit(r, size) {
			best = size
		}
	}
	return best
}

// pagesize is the page size in the header of an arena's first heap; 0 if the header has no page size, or an invalid one.
func (f *finder) pagesize(m *member) uint64 {
	p := m.first.pagesize
	if hasPage := m.addr-m.first.base == 48 || f.word == 4; !hasPage || bits.OnesCount64(p) != 1 || p > 1<<30 {
		return 0
	}
	return p
}

func (f *finder) allFit(r *ring, size uint64) bool {
	for i := range r.members {
		if m := &r.members[i]; !m.main() && !f.fits(m.first, size) {
			return false
		}
	}
	return true
}

// place is a heap with a maximum size to check.
type place struct {
	heap
	size uint64
}

// fits reports whether the mappings have room for a heap of this maximum size: its whole range is anonymous, and after the
// committed part comes only reserved memory. The committed part may have grown since the header was read.
func (f *finder) fits(h heap, size uint64) bool {
	p := place{h, size}
	fit, known := f.fitted[p]
	if !known {
		fit = h.base%size == 0 && h.committed <= size && p.hasRoom(f.maps)
		f.fitted[p] = fit
	}
	return fit
}

func (p place) hasRoom(maps mappings) bool {
	reserved := false
	for at, end := p.base, p.base+p.size; at < end; {
		m, ok := holds(maps, at)
		if !ok || !m.Anonymous() || reserved && !m.Reserved() {
			return false
		}
		reserved = m.Reserved() && m.End > p.base+p.committed
		at = m.End
	}
	return true
}

// scanMax is how many bytes of the data of files are searched at most for main arenas.
const scanMax = 32 << 20

// mainArenas returns the candidates for a malloc_state in the libc's data. If no mapped file has the name of a libc, the
// libc may be linked into the program; then the writable data of all files is searched, including .bss.
func (f *finder) mainArenas() (found []uint64, err error) {
	left := uint64(scanMax)
	libc := f.maps.libc()
	for at := uint64(0); ; {
		m, ok := f.maps.next(at, vma.Read|vma.Write, true)
		if !ok || left == 0 {
			return found, nil
		}
		if at = m.End; !m.File() || m.Perm&vma.Shared != 0 || libc && !allocator.IsGlibc(m.Name) {
			continue
		}
		end := m.End
		if !libc {
			end = dataEnd(f.maps, m)
		}
		at = max(m.End, end)
		end = min(end, m.Start+left)
		left -= end - m.Start
		states, readable, err := f.scan(m.Start, end)
		if err != nil {
			return nil, err
		}
		if libc && !readable {
			return nil, errUnreadable
		}
		for _, s := range states[:f.take(len(states))] {
			f.roots[s.addr] = s
			found = append(found, s.addr)
		}
	}
}

// dataEnd is the end of a file's writable data, including .bss.
func dataEnd(maps mappings, m mapping) uint64 {
	for {
		above, ok := holds(maps, m.End)
		if !ok || !above.Writable() || !above.File() && !above.Anonymous() {
			return m.End
		}
		m = above
	}
}

// scan searches [start, end) for candidates for a malloc_state. The result "readable" is true if any part of the range
// could be read.
func (f *finder) scan(start, end uint64) (found []state, readable bool, err error) {
	const step = 256 << 10
	buf := make([]byte, min(step+stateMax, end-start))
	for ; start < end; start += step {
		spans := [1]span{{addr: start, buf: buf[:min(uint64(len(buf)), end-start)]}}
		if err := f.mem.read(spans[:]); err != nil {
			return nil, false, err
		}
		b := spans[0].buf[:spans[0].n]
		readable = readable || len(b) > 0
		found = append(found, statesIn(b, start, step, f.word)...)
	}
	return found, readable, nil
}

// statesIn returns the candidates for a malloc_state in b, the memory at start, that begin before the offset "limit".
// It searches for the last bin. That bin is always empty, so both its links point to itself (see lastBinEmpty), and
// after it comes the bitmap binmap. So an empty bin that is followed by another empty bin is not the last one.
func statesIn(b []byte, start, limit, size uint64) (found []state) {
	layouts := binsAt(size)
	empty := func(off uint64) bool {
		self := start + off - 2*size
		return word(b, off, size) == self && word(b, off+size, size) == self
	}
	for off := 3 * size; off+4*size <= uint64(len(b)); off += size {
		if word(b, off, size) != start+off-2*size || !empty(off) || empty(off+2*size) {
			continue
		}
		for _, bins := range layouts {
			at := off - bins - 252*size
			if off < bins+252*size || at >= limit {
				continue
			}
			if s, ok := parseState(start+at, b[at:], size); ok {
				found = append(found, s)
			}
		}
	}
	return found
}
