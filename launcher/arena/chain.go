package arena

import "slices"

// tries is how often an arena is read before it is taken as it is: a thread that is inside malloc leaves an
// arena for less than a microsecond in a state that does not add up.
const tries = 3

// chain reads the heaps of every arena of the ring as malloc follows them: from the heap that holds the top
// chunk through prev to the first one. An arena is settled when its heaps add up to its own system_mem and
// have room in the mappings.
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

// refresh reads one arena again, as it is now.
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

// rereadAll brings the members up to date. One that cannot be read any more stays as it was.
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

// follow walks all chains side by side, so that arenas with several heaps cost one call for each link of the
// longest chain. It gives the arenas whose chain does not end in their first heap: those have their first heap
// alone, as it is certain.
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

// circles reports a chain that runs in a circle, at the latest after twice its length: the heap it has come
// to is the one of half the way (Floyd's two walkers, of which the slow one needs no walking here).
func (m *member) circles(h heap) bool {
	n := len(m.heaps)
	return h.prev == h.base || n > 0 && m.heaps[n/2].base == h.base
}

// headers reads the heap headers that the members have come to, those that can be read and may be.
func (f *finder) headers(open []*member, at map[*member]uint64) (map[*member]heap, error) {
	open = open[:f.take(len(open))]
	headers := make(map[*member]heap, len(open))
	buf := make([]byte, min(batch, len(open))*headerMax)
	for part := range slices.Chunk(open, batch) {
		spans := make([]span, len(part))
		for i, m := range part {
			spans[i] = span{addr: at[m], buf: buf[i*headerMax : (i+1)*headerMax]}
		}
		if err := f.mem.read(spans); err != nil {
			return nil, err
		}
		for i, s := range spans {
			if s.whole() {
				headers[part[i]] = parseHeap(s.addr, s.buf, f.word)
			}
		}
	}
	return headers, nil
}

// sum is the bytes that the arena's heaps have in use.
func (m *member) sum() (sum uint64) {
	for _, h := range m.heaps {
		sum += h.size
	}
	return sum
}

func (f *finder) allHeapsFit(r *ring, m *member) bool {
	for _, h := range m.heaps {
		if !f.fits(h, r.heapMax) {
			return false
		}
	}
	return true
}

// form finds where system_mem stands: the place that agrees with the heaps of most arenas, the first of those
// that agree with as many (max_system_mem behind it is mostly as large). Where there is only the main arena, it
// is the last place with values that are possible: a maximum that is no less, and a number of threads that is
// no multiple of a page.
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

// attached is the number of threads that use the arena, where the layout has it.
func (m *member) attached(form int) (threads int, known bool) {
	if form < 2 || m.tail[1] > 1<<22 { // more threads than Linux has PIDs
		return 0, false
	}
	return int(m.tail[1]), true
}
