package arena

// This file walks over the chunks of the arenas.

import "context"

// Chunks is the result of a walk over the chunks of one arena. All fields except the counts and Moved are bytes; InUse,
// Free, Top, Overhead and Unknown add up to the memory that the arena had when it was walked.
//
// InUse is what the arena counts as in use. That includes freed chunks in a thread's cache (tcache, since 2.26) and in
// fastbins (up to 2.42).
type Chunks struct {
	InUse     uint64
	Free      uint64 // bytes of the free chunks in bins, excluding the top chunk
	Top       uint64 // bytes of the free chunk at the end, which serves requests that no bin can serve
	Overhead  uint64 // bytes of malloc's own structures
	Unknown   uint64 // bytes that were not walked: inconsistent chunks, or arena memory whose address is not known
	Largest   uint64 // bytes of the largest free chunk, the top chunk included
	Trimmable uint64 // bytes that malloc_trim(0) would return: resident whole pages of free chunks and of the brk heap's top

	Count     int // number of chunks, excluding the top chunk
	FreeCount int
	Breaks    int  // number of places where the chunks stayed inconsistent after repeated reads
	Moved     bool // the arena changed during the walk, so the figures mix several moments
}

// Sure is the share of the arena's memory that was walked, from 0 to 1.
func (c Chunks) Sure() float64 {
	all := c.InUse + c.Free + c.Top + c.Overhead + c.Unknown
	if all == 0 {
		return 1
	}
	return 1 - float64(c.Unknown)/float64(all)
}

// Fragmentation is the share of the free memory outside the largest free chunk, from 0 to 1.
func (c Chunks) Fragmentation() float64 {
	free := c.Free + c.Top
	if free == 0 {
		return 0
	}
	return 1 - float64(c.Largest)/float64(free)
}

// These flags are in the low bits of a chunk's size (malloc/malloc.c).
const (
	prevInUse  = 1
	isMmapped  = 2
	chunkFlags = 7
)

// presence gives the state of a process's pages.
type presence interface {
	// pages fills in the state of each page from start on. It returns false if the states cannot be read.
	pages(start uint64, list []pageState) bool
}

type pageState uint8

const (
	pageAbsent pageState = iota
	pageSwapped
	pagePresent
)

// walker walks the chunks of arenas. Chunks follow each other without gaps. Each starts with a word that holds the size of
// the previous chunk if that is free, and a word with its own size and flags; a flag says whether the previous chunk is
// free. Memory is read in windows of at most windowMax bytes. Pages that are neither resident nor swapped out are not read,
// since a read would map them.
type walker struct {
	ctx      context.Context
	mem      reader
	presence presence
	word     uint64
	page     uint64             // bytes
	walked   func(bytes uint64) // progress callback: bytes of the arena that are done; may be nil

	done  uint64 // bytes of the arena's stretches that were walked before the current one
	from  uint64 // start of the current stretch
	start uint64 // start of the window
	buf   []byte
	state []pageState

	seen      []pageState // cache of page states
	seenStart uint64      // address of the first page in the cache
}

// The window is the number of bytes that are read at once. It is windowMin after a jump over a large chunk, and doubles with
// each read up to windowMax or to the next jump.
const (
	windowMin = 16 << 10
	windowMax = 1 << 20
)

// retries is how many times the walk of a stretch goes back to the last good chunk after it met inconsistent chunks, since
// a thread may have been changing them.
const retries = 16

// stretch is a contiguous part of an arena: chunks from the address "start" to "end". The field "top" is the address of
// the top chunk if the stretch contains the top chunk; otherwise top equals end, and the last chunks of the stretch are
// fenceposts.
type stretch struct {
	start, end, top uint64
	align           uint64 // alignment of chunks, in bytes
	trimTop         bool   // malloc_trim shortens the top chunk: in the brk heap only (systrim)
}

type chunk struct{ addr, size uint64 }

// walk adds the chunks of the stretch to c. It returns errors of reading memory and of ctx.
func (w *walker) walk(c *Chunks, s stretch) error {
	w.buf, w.from = w.buf[:0], s.start
	defer func() { w.done += s.end - s.start }()
	left := retries
	var last chunk // the previous chunk; a flag of the current chunk says whether the previous chunk is free
	for at := s.start; ; {
		prev, head, err := w.header(at, s.end)
		if err != nil {
			return err
		}
		size, free := head&^chunkFlags, head&prevInUse == 0
		fence := s.fence(at, size, w.word)
		if !fence && !s.fits(at, head, w.word) || free && last.size != 0 && prev != last.size {
			if left--; left >= 0 {
				if w.buf = w.buf[:0]; last.size != 0 {
					at, last = last.addr, chunk{}
				}
				continue
			}
			w.count(c, last, false)
			c.Breaks++
			c.Unknown += s.end - at
			return nil
		}
		w.count(c, last, free)
		switch {
		case fence:
			c.Overhead += s.end - at
			return nil
		case at == s.top:
			w.countTop(c, s, size)
			return nil
		}
		last = chunk{at, size}
		at += size
	}
}

// fits reports whether head, the word with the size and the flags of the chunk at addr, is plausible.
func (s stretch) fits(addr, head, word uint64) bool {
	size := head &^ chunkFlags
	if addr == s.top {
		return size == s.end-addr // no test of the alignment: with 4-byte words the top chunk's size is not a multiple of 16
	}
	return head&isMmapped == 0 && size%s.align == 0 && size >= 4*word && addr < s.top && size <= s.top-addr
}

// fence reports whether the chunk at addr is a fencepost. sysmalloc puts two fenceposts at the end of a heap when the
// arena continues in a new heap. The size of the first is two words, the size of the second is 0.
func (s stretch) fence(addr, size, word uint64) bool {
	return s.top == s.end && size <= 2*word && s.end-addr <= 8*word
}

// count adds the chunk "last" to c, unless that chunk is empty (size 0).
func (w *walker) count(c *Chunks, last chunk, free bool) {
	if last.size == 0 {
		return
	}
	c.Count++
	if !free {
		c.InUse += last.size
		return
	}
	c.FreeCount++
	c.Free += last.size
	c.Largest = max(c.Largest, last.size)
	// mtrim releases the whole pages after the header and links (sizeof(struct malloc_chunk), six words)
	start := (last.addr + 6*w.word + w.page - 1) &^ (w.page - 1)
	if end := (last.addr + last.size) &^ (w.page - 1); start < end {
		c.Trimmable += w.resident(start, end)
	}
}

func (w *walker) countTop(c *Chunks, s stretch, size uint64) {
	c.Top = size
	c.Largest = max(c.Largest, size)
	if keep := 4*w.word + 1; s.trimTop && size > keep { // systrim keeps MINSIZE, which is four words, and one byte
		c.Trimmable += w.resident(s.end-(size-keep)&^(w.page-1), s.end)
	}
}

// header returns the first two words of the chunk at addr, or zeros if they cannot be read.
func (w *walker) header(addr, end uint64) (prev, head uint64, err error) {
	if end-addr < 2*w.word || addr > end {
		return 0, 0, nil
	}
	if off := addr - w.start; addr < w.start || off+2*w.word > uint64(len(w.buf)) {
		if err := w.load(addr, end); err != nil {
			return 0, 0, err
		}
	}
	off := addr - w.start
	return word(w.buf, off, w.word), word(w.buf, off+w.word, w.word), nil
}

// load reads the window that starts at the page of addr.
func (w *walker) load(addr, end uint64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	size := uint64(windowMin)
	if addr-w.start <= uint64(len(w.buf))+windowMin && len(w.buf) > 0 {
		size = min(2*uint64(len(w.buf)), windowMax)
	}
	if w.walked != nil {
		w.walked(w.done + addr - w.from)
	}
	start := addr &^ (w.page - 1)
	size = min(max(size, 2*w.page), end-start)
	if uint64(cap(w.buf)) < size {
		w.buf = make([]byte, size)
	}
	w.start, w.buf = start, w.buf[:size]
	clear(w.buf)
	return w.mem.read(w.held())
}

// held lists the runs of pages in the window that are resident or swapped out.
func (w *walker) held() (spans []span) {
	pages := int((uint64(len(w.buf)) + w.page - 1) / w.page)
	if cap(w.state) < pages {
		w.state = make([]pageState, pages)
	}
	w.state = w.state[:pages]
	if !w.presence.pages(w.start, w.state) {
		return []span{{addr: w.start, buf: w.buf}}
	}
	for i := 0; i < pages; {
		j := i
		for j < pages && w.state[j] != pageAbsent {
			j++
		}
		if j > i {
			from, to := uint64(i)*w.page, min(uint64(j)*w.page, uint64(len(w.buf)))
			spans = append(spans, span{addr: w.start + from, buf: w.buf[from:to]})
		}
		i = j + 1
	}
	return spans
}

// resident counts the bytes of [start, end) in memory; pages of unknown state count as resident.
func (w *walker) resident(start, end uint64) (sum uint64) {
	const ahead = 4096 // number of pages whose state one call of the method "pages" reads
	for start &^= w.page - 1; start < end; start += w.page {
		i := (start - w.seenStart) / w.page
		if start < w.seenStart || i >= uint64(len(w.seen)) {
			if w.seen == nil {
				w.seen = make([]pageState, ahead)
			}
			w.seenStart, i = start, 0
			if !w.presence.pages(start, w.seen) {
				w.seen = nil
				return sum + end - start
			}
		}
		if w.seen[i] == pagePresent {
			sum += w.page
		}
	}
	return sum
}

// stretches lists the parts of the arena that hold chunks. The rest of the arena, in bytes, is the result "overhead"
// (malloc's structures) or "unknown" (memory whose address is not known).
func (m *member) stretches(r *ring, maps layout, word uint64) (list []stretch, overhead, unknown uint64) {
	align := 2 * word
	if word == 4 && m.bins != 56 {
		align = 16 // i386 aligns chunks to 16 bytes since 2.26; bins at offset 56 means 2.25 or earlier (see binsAt)
	}
	if m.main() {
		return m.mainStretch(r, maps, word, align)
	}
	header := m.addr - m.first.base
	for _, h := range m.heaps {
		s := stretch{start: h.base + header, end: h.base + h.size, top: h.base + h.size, align: align}
		if h.base == m.first.base {
			s.start = m.addr + m.sizeofState(r.form, word)
		}
		s.start = chunkAt(s.start, align, word)
		if m.top >= s.start && m.top < s.end {
			s.top = m.top
		}
		overhead += s.start - h.base
		list = append(list, s)
	}
	return list, overhead, 0
}

// chunkAt is the first address from addr on at which a chunk can begin. The address that malloc returns is two words after
// the beginning of the chunk, and that address is aligned.
func chunkAt(addr, align, word uint64) uint64 {
	return (addr+2*word+align-1)&^(align-1) - 2*word
}

// mainStretch returns the brk heap as a stretch: the main arena's memory ends with the top chunk and has system_mem bytes.
// If brk could not grow, the arena has further mappings, which cannot be found from outside; then all of its bytes are
// unknown.
func (m *member) mainStretch(r *ring, maps layout, word, align uint64) (list []stretch, overhead, unknown uint64) {
	system := m.tail[r.form]
	if m.unused(word) || system == 0 {
		return nil, 0, 0
	}
	i, ok := maps.at(m.top)
	if !ok || maps[i].Name != "[heap]" || m.flags&nonContiguous != 0 || m.topSize > system || m.top+m.topSize < system {
		return nil, 0, system
	}
	end := m.top + m.topSize
	inHeap := func(m mapping) bool { return m.Name == "[heap]" }
	if !maps.covers(end-system, end, inHeap) {
		return nil, 0, system
	}
	start := chunkAt(end-system, align, word)
	return []stretch{{start: start, end: end, top: m.top, align: align, trimTop: true}}, start - (end - system), 0
}

// deep is one walk over all arenas of a process.
type deep struct {
	find   *finder
	walker *walker
	maps   layout
	chunks map[uint64]*Chunks // the chunks of each arena, by the arena's address
}

func (d *deep) all(rings []*ring, progress func(done, total uint64)) error {
	var done, total uint64
	for _, r := range rings {
		for i := range r.members {
			total += r.members[i].tail[r.form]
		}
	}
	for _, r := range rings {
		for i := range r.members {
			m := &r.members[i]
			d.walker.walked = func(bytes uint64) {
				if progress != nil {
					progress(min(done+bytes, total), total)
				}
			}
			if err := d.arena(r, m); err != nil {
				return err
			}
			done += m.tail[r.form]
		}
	}
	if progress != nil {
		progress(total, total)
	}
	return nil
}

// arena walks one arena. It reads the arena again first, so that the top matches the chunks.
func (d *deep) arena(r *ring, m *member) error {
	if err := d.find.refresh(r, m); err != nil {
		return err
	}
	c := &Chunks{}
	d.chunks[m.addr] = c
	list, overhead, unknown := m.stretches(r, d.maps, d.find.word)
	c.Overhead, c.Unknown = overhead, unknown
	d.walker.done = 0
	for _, s := range list {
		if err := d.walker.walk(c, s); err != nil {
			return err
		}
	}
	after := *m
	if err := d.find.refresh(r, &after); err != nil {
		return err
	}
	c.Moved = after.top != m.top || after.topSize != m.topSize || after.tail[r.form] != m.tail[r.form]
	return nil
}
