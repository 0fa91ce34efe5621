package arena

import "slices"

// arenas turns what was found into what is shown, and reads the top chunk of each arena.
func arenas(mem reader, rings []*ring, maps layout) ([]Arena, error) {
	var list []Arena
	size := maps.word()
	for _, r := range rings {
		tops, err := topChunks(mem, r, size)
		if err != nil {
			return nil, err
		}
		for i := range r.members {
			list = append(list, r.members[i].show(r, tops[i], size))
		}
	}
	if len(list) == 0 && hasLibc(maps) {
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

func (m *member) show(r *ring, top uint64, size uint64) Arena {
	a := Arena{Addr: m.addr, Main: m.main(), SystemMem: m.tail[r.form], Settled: m.settled}
	a.Threads, a.ThreadsKnown = m.attached(r.form)
	for _, h := range slices.Backward(m.heaps) {
		a.Heaps = append(a.Heaps, Heap{Addr: h.base, Reserved: r.heapMax, Committed: h.committed, Size: h.size})
		a.Reserved += r.heapMax
		a.Committed += h.committed
	}
	if m.main() {
		a.Top, a.Settled = top, top <= a.SystemMem
		return a
	}
	if last := m.heaps[0]; m.top+top == last.base+last.size {
		a.Top = top
	} else {
		a.Settled = false
	}
	return a
}

// topChunks are the sizes of the arenas' top chunks in bytes, 0 where there is none or it cannot be read. The
// size is the second word of a chunk; its low three bits are flags (malloc/malloc.c).
func topChunks(mem reader, r *ring, size uint64) ([]uint64, error) {
	tops := make([]uint64, len(r.members))
	buf := make([]byte, batch*8)
	for n := 0; n < len(tops); n += batch {
		part := r.members[n:min(n+batch, len(tops))]
		spans := make([]span, len(part))
		for i := range part {
			spans[i] = span{addr: part[i].top + size, buf: buf[uint64(i)*size : uint64(i+1)*size]}
		}
		if err := mem.read(spans); err != nil {
			return nil, err
		}
		for i, s := range spans {
			if s.whole() && !part[i].unused(size) {
				tops[n+i] = word(s.buf, 0, size) &^ 7
			}
		}
	}
	return tops, nil
}

// heapOwners are the heaps of all arenas. The heaps stay those of the arenas: their resident size is filled in
// through the owners.
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

func (p *Process) nonMain() (n int) {
	for _, a := range p.Arenas {
		if !a.Main {
			n++
		}
	}
	return n
}

// addMain fills in what belongs to arenas as a whole. The brk heap is the first main arena's, where malloc
// uses it at all.
func (p *Process) addMain(list []region) {
	for i := range p.Arenas {
		for _, h := range p.Arenas[i].Heaps {
			p.Arenas[i].Resident += h.Resident
		}
	}
	if len(p.Arenas) == 0 || p.Arenas[0].SystemMem == 0 {
		return
	}
	main := &p.Arenas[0]
	for _, r := range list {
		if r.kind == KindMainHeap {
			main.Reserved += r.size()
			main.Committed += r.size()
			main.Resident += r.resident
		}
	}
}
