package arena

import (
	"cmp"
	"maps"
	"slices"
)

// This file finds the stacks of all threads except the main thread, whose stack the kernel names "[stack]". The C
// library puts a thread descriptor (struct pthread) at the top of each stack that it allocates. Consecutive words of
// the descriptor are the start of the stack's memory, its size and, in glibc, the size of its guard. The stacks of
// ended threads that glibc caches have the descriptor too. The fields are:
//
//	glibc: stackblock, stackblock_size, guardsize (nptl/descr.h)
//	musl:  map_base, map_size, stack, stack_size, guard_size (src/internal/pthread_impl.h)
//
// The guard is inaccessible memory (PROT_NONE) at the bottom of the stack. With glibc 2.42 on Linux 6.13 it may be a
// mark in the page table (MADV_GUARD_INSTALL); then the stacks of many threads share one mapping. A Java thread has no
// glibc guard, since the JVM makes its own inside the stack.

// stackPeek is how many bytes at the top of a stack are searched: struct pthread has 2,304 bytes on x86-64, and on other
// machines thread-local variables may lie above it.
const stackPeek = 8 << 10

// maxUnguarded is how many candidates without a guard below them are searched at most.
const maxUnguarded = 1024

// stack is the memory of a stack from start to end. Its guard begins at the address "start" and has "guard" bytes.
type stack struct{ start, end, guard uint64 }

// findStacks finds the stacks of threads in maps, the mappings without the heaps. The argument "threads" is the number
// of threads.
func findStacks(mem reader, maps layout, word uint64, threads int) ([]stack, error) {
	bottoms := runBottoms(maps)
	guarded, others := stackTops(maps, bottoms)
	found, missed, err := peek(mem, guarded, word)
	if err != nil {
		return nil, err
	}
	// A stack may consist of several mappings, or be merged with the memory above it.
	for _, guess := range guesses(found) {
		more, _, err := peek(mem, guess(missed), word)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	next := stacksBelow(found, maps, bottoms)
	if len(found) < threads-1 {
		next = append(next, others...)
	}
	for most := threads + mostCached; len(next) > 0 && len(found) < most; {
		more, _, err := peek(mem, next, word)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
		next = stacksBelow(more, maps, bottoms)
	}
	slices.SortFunc(found, func(a, b stack) int { return cmp.Compare(a.start, b.start) })
	return disjoint(found), nil
}

// mostCached bounds the cached stacks: by default glibc caches 40 MiB, or 2,560 stacks of 16 KiB (nptl/allocatestack.c,
// stack_cache_maxsize); a tunable may allow more.
const mostCached = 4096

// disjoint drops stacks that overlap an earlier one: two searches may find the same stack.
func disjoint(sorted []stack) (kept []stack) {
	var end uint64
	for _, s := range sorted {
		if s.start >= end {
			kept, end = append(kept, s), s.end
		}
	}
	return kept
}

// guesses returns functions that compute other possible tops for stacks at whose supposed top no thread descriptor (struct
// pthread) was found: the end of the usable memory that follows without a gap, and the tops for the most frequent stack
// sizes of this process.
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
				if size.guard == 0 { // a Java thread: the PROT_NONE memory below t.bottom is part of its stack
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

// stackTop is a possible stack: a guard between the addresses "guard" and "bottom", usable memory from there to "top",
// and more usable memory up to "limit". Without a guard below, "guard" equals "bottom".
type stackTop struct{ guard, bottom, top, limit uint64 }

// usable reports whether a mapping can be part of a stack.
func usable(m mapping) bool { return m.Anonymous() && m.Writable() }

// runBottoms gives for each mapping the start of the run of adjacent usable mappings that contains it.
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

// stackTops returns the candidates for stacks, in two lists: the usable mappings right above a guard, and the largest of the
// other usable mappings.
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

// minUsable is the smallest size of the usable part of a glibc thread's stack: struct pthread and MINIMAL_REST_STACK (2,048
// bytes) together need more than one page (nptl/allocatestack.c). So single pages after a reservation, of which a program
// may have tens of thousands, are not searched.
const minUsable = 2 * minPage

// minStack is PTHREAD_STACK_MIN in bytes, the smallest size that pthread_attr_setstacksize(3) accepts.
const minStack = 16 << 10

// stacksBelow returns possible stacks right below each found stack that has no guard mapping, since stacks without
// guard mappings are adjacent.
func stacksBelow(found []stack, maps layout, bottoms []uint64) (tops []stackTop) {
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

// peek reads the top of each candidate for a stack and searches it for the C library's descriptor of the thread (struct
// pthread).
func peek(mem reader, tops []stackTop, word uint64) (found []stack, missed []stackTop, err error) {
	at := func(t *stackTop) (uint64, int) {
		n := min(stackPeek, t.top-t.bottom)
		return t.top - n, int(n)
	}
	err = readEach(mem, tops, stackPeek, at, func(t *stackTop, b []byte) {
		addr, _ := at(t)
		if s, ok := t.descriptor(addr, b, word); ok {
			found = append(found, s)
		} else {
			missed = append(missed, *t)
		}
	})
	return found, missed, err
}

// descriptor searches b, the memory at addr, for the words of a thread descriptor that describe this stack.
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
		// In musl's struct pthread the third word of this group, stack, is the address of the top of the usable stack, and the
		// fourth word, stack_size, is the size of the usable stack. The size of the guard is computed from the mappings.
		if top := s.guard; s.start < t.bottom && top > t.bottom && top <= s.end && word(b, off+3*size, size) <= length {
			s.guard = t.bottom - s.start
			return s, true
		}
	}
	return stack{}, false
}

// agrees reports whether the guard in a glibc descriptor agrees with the mappings.
func (t stackTop) agrees(s stack) bool {
	switch {
	case t.guard == t.bottom: // no mapping is the guard, so the guard must be a mark in the page table
		return s.guard != 0 && s.start >= t.bottom
	case s.guard == 0: // a Java thread: the PROT_NONE memory below t.bottom is the JVM's guard, inside the stack
		return s.start < t.bottom
	}
	return s.start+s.guard == t.bottom || s.start >= t.bottom
}

// commonSizes returns at most four stack sizes, the most frequent first, each as a stack that starts at 0. The sizes
// are those of the found stacks, and glibc's usual default: 8 MiB with a guard of one page.
func commonSizes(found []stack) []stack {
	count := map[stack]int{{end: 8 << 20, guard: minPage}: 0}
	for _, s := range found {
		count[stack{end: s.end - s.start, guard: s.guard}]++
	}
	sizes := slices.SortedFunc(maps.Keys(count), func(a, b stack) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.end, b.end))
	})
	return sizes[:min(4, len(sizes))]
}
