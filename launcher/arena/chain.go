package arena

// This file reads the heaps of each arena, in malloc's order.

import "slices"

// tries is how many times one search reads an arena at most, until its sizes add up; the method "rings" makes at most
// as many searches. A thread inside malloc leaves the sizes inconsistent for less than a microsecond.
const tries = 3

// chain reads the heaps of every arena of the ring in malloc's order: from the heap with the top chunk along the prev links
// to the first heap. An arena is settled if its heap sizes add up to its system_mem and the heaps fit into the mappings.
func (f *finder) chain(r *ring) error {
	for try := range tries {
		open := f.unsettled(r)
		if try > 0 {
			if err := f.rereadAll(open); err != nil {
				return err
			}
		}
		broken, err := f.follow(r, open)
		if err != nil {
			return err
		}
		if try == 0 {
			r.form = f.form(r)
		}
		for _, m := range open {
			m.settled = !broken[m.addr] && m.sum() == m.tail[r.form] && f.allHeapsFit(r, m)
		}
	}
	return nil
}

// refresh reads one arena, its heaps and its top chunk again.
func (f *finder) refresh(r *ring, m *member) error {
	if err := f.rereadAll([]*member{m}); err != nil {
		return err
	}
	if !m.main() {
		if _, err := f.follow(r, []*member{m}); err != nil {
			return err
		}
	}
	list := []member{*m}
	err := readTops(f.mem, list, f.word)
	*m = list[0]
	return err
}

func (f *finder) unsettled(r *ring) (open []*member) {
	for i := range r.members {
		if m := &r.members[i]; !m.settled && !m.main() {
			open = append(open, m)
		}
	}
	return open
}

// rereadAll reads the members again. A member that is no longer readable stays unchanged.
func (f *finder) rereadAll(open []*member) error {
	for _, m := range open {
		now, ok, err := f.reread(m.addr)
		if err != nil {
			return err
		}
		if ok && now.first.base == m.first.base {
			m.state, m.first = now.state, now.first
		}
	}
	return nil
}

// follow reads all chains in parallel, with one call of readEach for each link of the longest chain. It returns the
// addresses of the arenas whose chain is broken, that is, does not end in their first heap; of such an arena it keeps
// only the first heap.
func (f *finder) follow(r *ring, open []*member) (broken map[uint64]bool, err error) {
	broken = map[uint64]bool{}
	at := make(map[*member]uint64, len(open))
	for _, m := range open {
		m.heaps = nil
		at[m] = m.top &^ (r.heapMax - 1)
	}
	for len(open) > 0 {
		open = slices.DeleteFunc(slices.Clone(open), func(m *member) bool {
			if at[m] == m.first.base {
				m.heaps = append(m.heaps, m.first)
			}
			return at[m] == m.first.base
		})
		headers, err := f.headers(open, at)
		if err != nil {
			return nil, err
		}
		open = slices.DeleteFunc(open, func(m *member) bool {
			h, ok := headers[m]
			if ok && h.arena == m.addr && h.prev != 0 && h.sane(minPage, r.heapMax) && !m.circles(h) {
				m.heaps = append(m.heaps, h)
				at[m] = h.prev
				return false
			}
			m.heaps, broken[m.addr] = []heap{m.first}, true
			return true
		})
	}
	return broken, nil
}

// circles reports whether the chain runs in a cycle (Floyd's algorithm): the next heap h is then, after at most two rounds,
// the same as the heap half way along the chain.
func (m *member) circles(h heap) bool {
	n := len(m.heaps)
	return h.prev == h.base || n > 0 && m.heaps[n/2].base == h.base
}

// headers reads one heap header for each member; the map "at" has the addresses of these headers. The result lacks headers
// that are unreadable or beyond the limit on reads.
func (f *finder) headers(open []*member, at map[*member]uint64) (map[*member]heap, error) {
	open = open[:f.take(len(open))]
	headers := make(map[*member]heap, len(open))
	header := func(m **member) (uint64, int) { return at[*m], headerMax }
	err := readEach(f.mem, open, headerMax, header, func(m **member, b []byte) {
		if len(b) == headerMax {
			headers[*m] = parseHeap(at[*m], b, f.word)
		}
	})
	return headers, err
}

// sum adds up the sizes of the arena's heaps, in bytes.
func (m *member) sum() (sum uint64) {
	for _, h := range m.heaps {
		sum += h.size
	}
	return sum
}

func (f *finder) allHeapsFit(r *ring, m *member) bool {
	return !slices.ContainsFunc(m.heaps, func(h heap) bool { return !f.fits(h, r.heapMax) })
}

// form determines which word of the field "tail" is system_mem: the word that equals the sum of the heap sizes in the
// most arenas. If two words do so in equally many arenas, system_mem is the first of them, since max_system_mem follows
// it and often has the same value. A ring with only a main arena has no heap sizes to compare. Then system_mem is the
// last word with plausible values around it: a max_system_mem that is at least as large, and a thread count that is 0
// or not a multiple of the page size.
func (f *finder) form(r *ring) int {
	forms := r.members[0].tailForms(f.word)
	best, most := forms[0], 0
	for _, form := range forms {
		agree := 0
		for i := range r.members {
			if m := &r.members[i]; !m.main() && m.sum() == m.tail[form] {
				agree++
			}
		}
		main := &r.members[0].tail
		possible := main[form+1] >= main[form] && (form < 2 || main[1] == 0 || main[1]%minPage != 0)
		if agree > most || most == 0 && possible && len(r.members) == 1 {
			best, most = form, agree
		}
	}
	return best
}

// attached returns the number of threads that use the arena, or false if the layout has no such field or its value is
// impossible.
func (m *member) attached(form int) (threads int, known bool) {
	if form < 2 || m.tail[1] > 1<<22 { // Linux has at most 1<<22 PIDs (PID_MAX_LIMIT)
		return 0, false
	}
	return int(m.tail[1]), true
}
