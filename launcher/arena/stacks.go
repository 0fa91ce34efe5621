package arena

import (
	"cmp"
	"slices"
)

// Stacks of threads other than the main one are memory like any other; the kernel does not name them. What
// tells them is the thread's descriptor that glibc puts at the top of each stack it allocates (struct
// pthread): there stand, one word after the other, where the stack's memory begins, how large it is, and how
// much of it is guard. The same words stand in stacks that are kept for the next thread.
//
//	glibc: stackblock, stackblock_size, guardsize (nptl/descr.h)
//	musl:  map_base, map_size, stack, stack_size, guard_size (src/internal/pthread_impl.h)
//
// The guard is memory without access below the stack. From glibc 2.42 on Linux 6.13 it may be a mark in the
// page table (MADV_GUARD_INSTALL), and then the stacks of many threads are one mapping; a Java thread has no
// guard of glibc's, as the JVM makes its own within the stack.

// stackPeek is how many bytes at the top of a stack are searched: struct pthread has 2,304 bytes on x86-64, and
// thread-local variables may lie above it on other machines.
const stackPeek = 8 << 10

// maxUnguarded bounds the search in memory that has no guard below, in candidates.
const maxUnguarded = 1024

// stack is one that was found: where its memory begins, guard included, and ends.
type stack struct{ start, end, guard uint64 }

// findStacks finds the stacks of threads in mappings that are nothing else already. threads is how many
// threads there are.
func findStacks(mem reader, maps layout, word uint64, threads int) ([]stack, error) {
	bottoms := runBottoms(maps)
	guarded, others := stackTops(maps, bottoms)
	found, missed, err := peek(mem, guarded, word)
	if err != nil {
		return nil, err
	}
	// A stack may be of several mappings, or have grown together with what lies above.
	for _, guess := range guesses(found) {
		more, _, err := peek(mem, guess(missed), word)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	next := below(found, maps, bottoms)
	if len(found) < threads-1 {
		next = append(next, others...)
	}
	for most := threads + mostCached; len(next) > 0 && len(found) < most; {
		more, _, err := peek(mem, next, word)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
		next = below(more, maps, bottoms)
	}
	slices.SortFunc(found, func(a, b stack) int { return cmp.Compare(a.start, b.start) })
	return disjoint(found), nil
}

// mostCached bounds the stacks beside those of the threads: 40 MiB that are kept for the next one, of 16 KiB each
// (nptl/allocatestack.c, stack_cache_maxsize), and more where a tunable says so.
const mostCached = 4096

// disjoint drops stacks that overlap one before; what two searches found stands twice.
func disjoint(sorted []stack) (kept []stack) {
	var end uint64
	for _, s := range sorted {
		if s.start >= end {
			kept, end = append(kept, s), s.end
		}
	}
	return kept
}

// guesses are other places where the top of a stack may be: at the end of all memory that follows without a gap,
// and where it would be if the stack had one of the sizes that are usual here.
func guesses(found []stack) (list []func([]stackTop) []stackTop) {
	list = append(list, func(missed []stackTop) (tops []stackTop) {
		for _, t := range missed {
			if t.top < t.limit {
				t.top = t.limit
				tops = append(tops, t)
			}
		}
		return tops
	})
	for _, size := range commonSizes(found) {
		list = append(list, func(missed []stackTop) (tops []stackTop) {
			for _, t := range missed {
				begin := t.bottom - size.guard
				if size.guard == 0 { // a Java thread's: the memory without access is part of it
					begin = t.guard
				}
				if end := begin + size.end; end > t.bottom && end < t.limit {
					t.top = end
					tops = append(tops, t)
				}
			}
			return tops
		})
	}
	return list
}

// stackTop is where a stack may end: a guard from guard to bottom, usable memory from bottom to top, and more of it
// up to limit. Without a guard below, guard is bottom.
type stackTop struct{ guard, bottom, top, limit uint64 }

// usable is what a stack can consist of.
func usable(m mapping) bool { return m.Anonymous() && m.Writable() }

// runBottoms is for each usable mapping where the run without a gap begins that it is in.
func runBottoms(maps layout) []uint64 {
	bottoms := make([]uint64, len(maps))
	for i, m := range maps {
		bottoms[i] = m.Start
		if i > 0 && usable(m) && usable(maps[i-1]) && maps[i-1].End == m.Start {
			bottoms[i] = bottoms[i-1]
		}
	}
	return bottoms
}

// stackTops are the ends of the usable mappings: those right above a guard, and of all others the largest.
func stackTops(maps layout, bottoms []uint64) (guarded, others []stackTop) {
	for i, m := range maps {
		if !usable(m) {
			continue
		}
		t := stackTop{guard: bottoms[i], bottom: bottoms[i], top: m.End, limit: m.End}
		if bottoms[i] == m.Start && i > 0 && maps[i-1].End == m.Start && reservedAnonymous(maps[i-1]) {
			t.guard, t.limit = maps[i-1].Start, maps.runEnd(i, usable)
			if t.limit-t.bottom >= minUsable {
				guarded = append(guarded, t)
			}
		} else if t.top-t.bottom >= minStack {
			others = append(others, t)
		}
	}
	slices.SortStableFunc(others, func(a, b stackTop) int { return cmp.Compare(b.top-b.bottom, a.top-a.bottom) })
	return guarded, others[:min(len(others), maxUnguarded)]
}

// minUsable is what a thread of glibc has beside its guard at least: struct pthread and MINIMAL_REST_STACK, 2,048
// bytes, are more than a page (nptl/allocatestack.c). A program with tens of thousands of single pages behind
// reservations has none of them searched.
const minUsable = 2 * minPage

// minStack is PTHREAD_STACK_MIN, the least that pthread_attr_setstacksize(3) takes.
const minStack = 16 << 10

// below are the tops right under stacks whose guard is no mapping: these lie one upon the other.
func below(found []stack, maps layout, bottoms []uint64) (tops []stackTop) {
	for _, s := range found {
		if i, ok := maps.at(s.start); !ok || !usable(maps[i]) {
			continue
		}
		i, ok := maps.at(s.start - 1)
		if !ok || !usable(maps[i]) {
			continue
		}
		tops = append(tops, stackTop{guard: bottoms[i], bottom: bottoms[i], top: s.start, limit: s.start})
	}
	return tops
}

// peek reads the top of each candidate and looks for the descriptor.
func peek(mem reader, tops []stackTop, word uint64) (found []stack, missed []stackTop, err error) {
	buf := make([]byte, min(64, len(tops))*stackPeek)
	for part := range slices.Chunk(tops, 64) {
		spans := make([]span, len(part))
		for i, t := range part {
			n := min(stackPeek, t.top-t.bottom)
			spans[i] = span{addr: t.top - n, buf: buf[i*stackPeek : i*stackPeek+int(n)]}
		}
		if err := mem.read(spans); err != nil {
			return nil, nil, err
		}
		for i, t := range part {
			if s, ok := t.descriptor(spans[i].addr, spans[i].buf[:spans[i].n], word); ok {
				found = append(found, s)
			} else {
				missed = append(missed, t)
			}
		}
	}
	return found, missed, nil
}

// descriptor looks for the words that describe this very stack.
func (t stackTop) descriptor(addr uint64, b []byte, size uint64) (stack, bool) {
	for off := uint64(0); off+4*size <= uint64(len(b)); off += size {
		s := stack{start: word(b, off, size), guard: word(b, off+2*size, size)}
		length := word(b, off+size, size)
		s.end = s.start + length
		if s.start < t.guard || s.start%minPage != 0 || length%minPage != 0 || length < minStack ||
			s.end > t.top || s.end <= addr+off {
			continue
		}
		if glibc := s.guard%minPage == 0 && s.guard < length; glibc && t.agrees(s) {
			return s, true
		}
		// musl: the third word is the top of the usable stack, the fourth its size
		if top := s.guard; s.start < t.bottom && top > t.bottom && top <= s.end && word(b, off+3*size, size) <= length {
			s.guard = t.bottom - s.start
			return s, true
		}
	}
	return stack{}, false
}

// agrees compares the guard of a descriptor of glibc's with the mappings.
func (t stackTop) agrees(s stack) bool {
	switch {
	case t.guard == t.bottom: // no guard in the mappings: it must be a mark in the page table
		return s.guard != 0 && s.start >= t.bottom
	case s.guard == 0: // a Java thread: what lies without access at the bottom is the JVM's
		return s.start < t.bottom
	}
	return s.start+s.guard == t.bottom || s.start >= t.bottom
}

// commonSizes are the sizes of the stacks that were found, as stacks that begin at 0: the most frequent first,
// and glibc's usual one.
func commonSizes(found []stack) []stack {
	count := map[stack]int{{end: 8 << 20, guard: minPage}: 0}
	for _, s := range found {
		count[stack{end: s.end - s.start, guard: s.guard}]++
	}
	sizes := make([]stack, 0, len(count))
	for s := range count {
		sizes = append(sizes, s)
	}
	slices.SortFunc(sizes, func(a, b stack) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.end, b.end)) })
	return sizes[:min(4, len(sizes))]
}
