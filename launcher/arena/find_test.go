package arena

import (
	"context"
	"errors"
	"testing"

	"arenacap/launcher/proc/vma"
)

// fakeQueries looks up single mappings of a fake, as the type "queries" does for a process, and assumes that there is a
// libc.
type fakeQueries struct{ layout }

func (a fakeQueries) bases(word uint64) []uint64 { return alignedBases(a, word) }
func (a fakeQueries) libc() bool                 { return true }

// all runs the code that reads arenas and stacks: the census by queries and from all mappings, the arenas, the walk,
// the stacks.
func (f *fake) all(t *testing.T) (Census, []Arena, error) {
	t.Helper()
	c, list, err := f.whole(t)
	if quick, ok := certain(f, fakeQueries{f.maps}); ok && (err != nil || quick != c) {
		t.Fatalf("queries are certain of %+v; the whole mappings give %+v, %v", quick, c, err)
	}
	return c, list, err
}

func (f *fake) whole(t *testing.T) (Census, []Arena, error) {
	t.Helper()
	found, err := find(f, f.maps)
	if err != nil {
		return Census{}, nil, err
	}
	list, err := arenas(f, found.rings, f.maps)
	if err != nil {
		return Census{}, nil, err
	}
	d := &deep{
		find:   newFinder(f, f.maps),
		maps:   f.maps,
		walker: &walker{ctx: context.Background(), mem: f, presence: f, word: f.maps.word(), page: minPage},
		chunks: map[uint64]*Chunks{},
	}
	if err := d.all(found.rings, nil); err != nil {
		return Census{}, nil, err
	}
	if _, err := findStacks(f, without(f.maps, heapOwners(list)), f.maps.word(), 10); err != nil {
		return Census{}, nil, err
	}
	return found.census(f.maps), list, nil
}

func TestFindInEveryLayout(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			heapMax := usualHeap(v.word)
			f := newFake(v, heapMax, 1, 3, 1)
			got, list, err := f.all(t)
			want := Census{Arenas: 4, Heaps: 5, Reserved: 5 * heapMax, Committed: 5 * fakeUsed}
			if err != nil || got != want {
				t.Fatalf("%+v, %v; want %+v", got, err, want)
			}
			for i, a := range list[1:] {
				if want := uint64(len(a.Heaps) * fakeUsed); a.SystemMem != want || a.Top != 64<<10 || !a.Settled {
					t.Errorf("arena %d: %+v, want %d bytes and a top chunk of 64 KiB", i+1, a, want)
				}
				if a.ThreadsKnown != (v.attached != 0) || a.ThreadsKnown && a.Threads != 1 {
					t.Errorf("arena %d: %d threads, known %v", i+1, a.Threads, a.ThreadsKnown)
				}
			}
		})
	}
}

var v236 = versions[4]

func TestFindByShape(t *testing.T) {
	const heap = 64 << 20
	tests := []struct {
		name string
		make func() *fake
		want Census
	}{
		{"main arena only", func() *fake { return newFake(v236, heap) }, Census{Arenas: 1}},
		{"no libc at all", func() *fake {
			return &fake{version: v236, maps: layout{{Start: 0x7f0000000000, End: 0x7f0000001000, Perm: anonRW}}}
		}, Census{}},
		{"libc whose malloc was never called", func() *fake {
			f := newFake(v236, heap)
			clear(f.segments[len(f.segments)-1].data)
			return f
		}, Census{Arenas: 1}},
		{"heaps of four huge pages", func() *fake { return newFake(v236, 8<<20, 1, 2) },
			Census{Arenas: 3, Heaps: 3, Reserved: 24 << 20, Committed: 3 * fakeUsed}},
		{"writable part grown together with memory below", func() *fake {
			f := newFake(v236, heap, 1, 1)
			f.insert(0x7f0000000000-0x200000, 0x200000, anonRW, "")
			f.merge()
			return f
		}, Census{Arenas: 3, Heaps: 2, Reserved: 2 * heap, Committed: 2 * fakeUsed}},
		{"reserved part grown together with memory above", func() *fake {
			f := newFake(v236, heap, 1)
			f.insert(0x7f0000000000+heap, heap, 0, "")
			f.merge()
			return f
		}, Census{Arenas: 2, Heaps: 1, Reserved: heap, Committed: fakeUsed}},
		{"full heap grown together with the next", func() *fake {
			f := newFake(v236, heap, 2)
			base := uint64(0x7f0000000000)
			f.maps[0].End, f.maps[1].Start, f.maps[1].Perm = base+heap-minPage, base+heap-minPage, anonRW
			f.put(base+3*8, heap)
			f.put(base+2*8, heap)
			f.put(f.states[1]+f.system, heap+fakeUsed)
			f.merge()
			return f
		}, Census{Arenas: 2, Heaps: 2, Reserved: 2 * heap, Committed: heap + fakeUsed}},
		{"pages of the heap made read-only by the program", func() *fake {
			f := newFake(v236, heap, 1)
			f.maps[0].End = f.maps[0].Start + 0x5000
			f.insert(0x7f0000005000, 0x1000, vma.Read, "")
			f.insert(0x7f0000006000, fakeUsed-0x6000, anonRW, "")
			return f
		}, Census{Arenas: 2, Heaps: 1, Reserved: heap, Committed: fakeUsed}},
		{"copy of a whole arena", func() *fake {
			f := newFake(v236, heap, 1, 1)
			copied := f.insert(0x7f1000000000, fakeUsed, anonRW, "")
			f.insert(0x7f1000000000+fakeUsed, heap-fakeUsed, 0, "")
			copy(copied, f.segments[0].data)
			const moved = 0x7f1000000000 - 0x7f0000000000
			for off := uint64(0); off < fakeUsed; off += 8 {
				if w := word(copied, off, 8); w-0x7f0000000000 < heap {
					f.put(0x7f1000000000+off, w+moved)
				}
			}
			return f
		}, Census{Arenas: 3, Heaps: 2, Reserved: 2 * heap, Committed: 2 * fakeUsed, Unlinked: 1}},
		{"libc of another name", func() *fake {
			f := newFake(v236, heap, 1)
			for i := range f.maps {
				if f.maps[i].Name != "" {
					f.maps[i].Name = "/opt/libsomething.so"
				}
			}
			return f
		}, Census{Arenas: 2, Heaps: 1, Reserved: heap, Committed: fakeUsed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := tt.make().all(t)
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// TestFindRejects damages one field at a time: a lost arena must be reported, and no arena may count twice.
func TestFindRejects(t *testing.T) {
	tests := []struct {
		name   string
		damage func(f *fake, addr uint64) // addr is the address of the second arena after the main arena
	}{
		{"link to nowhere", func(f *fake, a uint64) { f.put(a+f.next, 0x1234560) }},
		{"link past the next", func(f *fake, a uint64) { f.put(a+f.next, f.states[0]) }},
		{"ring that skips the main arena", func(f *fake, a uint64) { f.put(a+f.next, f.states[1]) }},
		{"zero link", func(f *fake, a uint64) { f.put(a+f.next, 0) }},
		{"bin without links", func(f *fake, a uint64) { f.put(a+f.bins+8*20, 0) }},
		{"header of another arena", func(f *fake, a uint64) { f.put(a-f.header, f.states[1]) }},
		{"contiguous", func(f *fake, a uint64) { f.put(a, 0) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(v236, 64<<20, 1, 2, 1)
			tt.damage(f, f.states[2])
			got, _, err := f.all(t)
			if err == nil && got.Unlinked == 0 || got.Arenas >= 4 {
				t.Errorf("%+v, %v; want an error, or a census with Unlinked set", got, err)
			}
		})
	}
}

func TestMemoryThatCannotBeRead(t *testing.T) {
	f := newFake(v236, 64<<20, 1)
	f.segments = nil
	if _, _, err := f.all(t); !errors.Is(err, errUnreadable) {
		t.Errorf("%v, want %v", err, errUnreadable)
	}
}

// FuzzDamagedMemory overwrites one word of a process's memory, then a second one. The census must not crash or count
// too many arenas. With one damaged word it may count too few only with an error or with Unlinked set.
func FuzzDamagedMemory(f *testing.F) {
	f.Add(uint8(4), uint64(0x30+2160), uint64(0), uint64(0), uint64(0))
	f.Add(uint8(5), uint64(8), uint64(0x7f0008000000), uint64(0x38), uint64(0x7f0004000000))
	f.Add(uint8(10), uint64(64<<10|4), uint64(17), uint64(3), uint64(1<<63))
	f.Fuzz(func(t *testing.T, v uint8, at1, value1, at2, value2 uint64) {
		process := newFake(versions[int(v)%len(versions)], usualHeap(versions[int(v)%len(versions)].word), 1, 2, 1)
		damage := func(at, value uint64) {
			s := process.segments[at>>32%uint64(len(process.segments))]
			size := uint64(len(s.data))
			if at&1 != 0 { // damage only the start of the segment, where the structures are
				size = 0x1800
			}
			if off := at & 0xffffffff % size &^ (process.word - 1); at != 0 {
				process.put(s.addr+off, value)
			}
		}
		damage(at1, value1)
		got, _, err := process.all(t)
		if err == nil && (got.Arenas > 4 || got.Arenas < 4 && got.Unlinked == 0) {
			t.Fatalf("one word damaged: %+v", got)
		}
		damage(at2, value2)
		got, list, err := process.all(t)
		if err == nil && got.Arenas > 4 {
			t.Fatalf("two words damaged: %+v %+v", got, list)
		}
	})
}
