package arena

// This file converts the arenas that the function "find" returns to the exported type Arena.

import "slices"

// arenas converts rings, glibc's circular lists of arenas, to exported Arenas, and reads the top chunk of each arena.
func arenas(mem reader, rings []*ring, maps layout) ([]Arena, error) {
	var list []Arena
	size := maps.word()
	for libc, r := range rings {
		if err := readTops(mem, r.members, size); err != nil {
			return nil, err
		}
		for i := range r.members {
			a := r.members[i].show(r)
			a.Libc = libc
			list = append(list, a)
		}
	}
	if len(list) == 0 && maps.libc() {
		list = []Arena{{Main: true, Settled: true}}
	}
	slices.SortStableFunc(list, func(a, b Arena) int {
		switch {
		case a.Main == b.Main:
			return 0
		case a.Main:
			return -1
		}
		return 1
	})
	return list, nil
}

func (m *member) show(r *ring) Arena {
	a := Arena{Addr: m.addr, Main: m.main(), SystemMem: m.tail[r.form], Top: m.topSize, Settled: m.settled}
	a.Threads, a.ThreadsKnown = m.attached(r.form)
	for _, h := range slices.Backward(m.heaps) {
		a.Heaps = append(a.Heaps, Heap{Addr: h.base, Reserved: r.heapMax, Committed: h.committed, Size: h.size})
		a.Reserved += r.heapMax
		a.Committed += h.committed
	}
	if m.main() {
		a.Settled = m.topSize <= a.SystemMem
	} else if last := m.heaps[0]; m.top+m.topSize != last.base+last.size {
		a.Top, a.Settled = 0, false
	}
	return a
}

// readTops reads the size of each arena's top chunk. The size is the second word of a chunk, and the low three bits of that
// word are flags (malloc/malloc.c).
func readTops(mem reader, members []member, size uint64) error {
	at := func(m *member) (uint64, int) { return m.top + size, int(size) }
	return readEach(mem, members, int(size), at, func(m *member, b []byte) {
		if m.topSize = 0; len(b) == int(size) && !m.unused(size) {
			m.topSize = word(b, 0, size) &^ chunkFlags
		}
	})
}

// heapOwners lists the heaps of all arenas as owners of memory. Each owner points to its heap, so that the method
// "attribute" can write the heap's resident size.
func heapOwners(arenas []Arena) []owner {
	var owners []owner
	for i := range arenas {
		for j := range arenas[i].Heaps {
			h := &arenas[i].Heaps[j]
			owners = append(owners, owner{start: h.Addr, end: h.Addr + h.Reserved, kind: KindArenas, heap: h})
		}
	}
	return owners
}

// mains counts the main arenas. Each copy of glibc in the process has one.
func (p *Process) mains() (n int) {
	for _, a := range p.Arenas {
		if a.Main {
			n++
		}
	}
	return n
}

// addMain fills in the resident sizes of all arenas. It adds the brk heap to the first main arena, unless that arena is
// unused.
func (p *Process) addMain(list []region) {
	for i := range p.Arenas {
		for _, h := range p.Arenas[i].Heaps {
			p.Arenas[i].Resident += h.Resident
			p.Arenas[i].Huge += h.Huge
		}
	}
	if len(p.Arenas) == 0 || p.Arenas[0].SystemMem == 0 {
		return
	}
	main := &p.Arenas[0]
	for _, r := range list {
		if r.kind == KindMainHeap {
			main.Reserved += r.Size()
			main.Committed += r.Size()
			main.Resident += r.resident
			main.Huge += r.huge
		}
	}
}
