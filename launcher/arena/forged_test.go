package arena

// These tests read memory that a process forged to slow its readers down. The reads and look-ups must grow at most linearly
// with the number of forged structures. The real arenas must be found, unless the forgery lets the search fail, and an
// incomplete count must be reported.

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

const forgedAt = 0x10000000000 // below all other mappings of a fake

// counted counts the mappings that are looked up and the spans of memory that are read.
type counted struct {
	*fake
	layout
	lookups, reads int
}

func (c *counted) next(addr uint64, perms perm, file bool) (mapping, bool) {
	c.lookups++
	return c.layout.next(addr, perms, file)
}

func (c *counted) read(spans []span) error {
	c.reads += len(spans)
	return c.fake.read(spans)
}

// addForged adds readable memory, or only a mapping if data is nil. Call it in the order of addresses.
func (f *fake) addForged(at *int, start, size uint64, p perm, data []byte) {
	f.maps = slices.Insert(f.maps, *at, mapping{Start: start, End: start + size, Perm: p})
	if data != nil {
		f.segments = append(f.segments, segment{start, data})
	}
	*at++
}

// forgedState writes a malloc_state of glibc 2.36 to b, at the offset off. The bytes b are the memory that begins at the
// address addr.
func forgedState(b []byte, addr, off, next uint64) {
	v, put := v236, func(at, value uint64) { binary.NativeEndian.PutUint64(b[off+at:], value) }
	put(0, nonContiguous<<32)
	for i := range uint64(127) {
		self := addr + off + v.bins + 2*i*8 - 16
		put(v.bins+2*i*8, self)
		put(v.bins+2*i*8+8, self)
	}
	put(v.next, next)
}

// forgedHeader writes the header of a heap to b, at the offset off.
func forgedHeader(b []byte, off, arena, prev uint64) {
	for i, field := range []uint64{arena, prev, minPage, minPage, minPage} {
		binary.NativeEndian.PutUint64(b[off+uint64(i)*8:], field)
	}
}

// forgedArena is the beginning of a heap at addr: the heap header, and a malloc_state that links to the arena at next.
func forgedArena(addr, next uint64) []byte {
	b := make([]byte, 2304)
	forgedHeader(b, 0, addr+48, 0)
	forgedState(b, addr, 48, next)
	return b
}

// forgeries are functions that add n forged structures to a process with a main arena and two more real arenas.
var forgeries = []struct {
	name     string
	make     func(f *fake, n int)
	unlinked func(n int) int // how many of the n structures the field "unlinked" must count; nil if the function "find" may fail
	unread   bool            // with 6,000 forged structures, the search must stop at its limit on reads
}{
	{"each arena leads to the following", func(f *fake, n int) {
		f.forgeHeaps(n, func(i int) []byte { return forgedArena(heapAt(i), heapAt(i+1)+48) })
	}, all, false},
	{"each leads to the following, the last to malloc's own", func(f *fake, n int) {
		f.forgeHeaps(n, func(i int) []byte {
			next := heapAt(i+1) + 48
			if i == n-1 {
				next = f.states[0]
			}
			return forgedArena(heapAt(i), next)
		})
	}, all, false},
	{"a ring without a main arena", func(f *fake, n int) {
		f.forgeHeaps(n, func(i int) []byte { return forgedArena(heapAt(i), heapAt((i+1)%n)+48) })
	}, all, false},
	{"all lead to one of malloc's", func(f *fake, n int) {
		f.forgeHeaps(n, func(i int) []byte { return forgedArena(heapAt(i), f.states[2]) })
	}, all, false},
	{"states in every page of one mapping", func(f *fake, n int) {
		b, at := make([]byte, n*minPage), 0
		for i := range uint64(n) {
			page := b[i*minPage : i*minPage+2304]
			forgedHeader(page, 0, forgedAt+i*minPage+48, 0)
			forgedState(page, forgedAt+i*minPage, 48, forgedAt+(i+1)*minPage+48)
		}
		f.addForged(&at, forgedAt, uint64(n*minPage), anonRW, b)
		f.addForged(&at, forgedAt+uint64(n*minPage), 64<<20, 0, nil)
	}, nil, true},
	{"main arenas upon a run of mappings that ends in no file", func(f *fake, n int) {
		at := 0
		for i := range uint64(n) {
			addr, p := forgedAt+i*minPage, anonRW
			b := make([]byte, minPage)
			forgedState(b, addr, 512, addr+minPage+512)
			f.addForged(&at, addr, minPage, p|perm(i%2)<<2, b) // every second page is executable, because the kernel merges mappings with equal access
		}
		f.put(f.states[1]+f.next, forgedAt+512) // now the real ring leads into the forged arenas
	}, nil, false},
	{"one chain of heaps", func(f *fake, n int) {
		f.forgeHeaps(n, func(i int) []byte {
			b := make([]byte, 64)
			forgedHeader(b, 0, f.states[1], heapAt(i+1))
			if i == n-1 {
				forgedHeader(b, 0, f.states[1], f.states[1]-48)
			}
			return b
		})
		f.put(f.states[1]+f.top, heapAt(0)+64)
	}, func(int) int { return 0 }, false},
	{"a chain of heaps in a circle", func(f *fake, n int) {
		f.forgeHeaps(n, func(i int) []byte {
			b := make([]byte, 64)
			forgedHeader(b, 0, f.states[1], heapAt((i+1)%n))
			return b
		})
		f.put(f.states[1]+f.top, heapAt(0)+64)
	}, func(int) int { return 0 }, false},
}

func all(n int) int { return n }

func heapAt(i int) uint64 { return forgedAt + uint64(i)*64<<20 }

func (f *fake) forgeHeaps(n int, page func(i int) []byte) {
	at := 0
	for i := range n {
		f.addForged(&at, heapAt(i), minPage, anonRW, page(i))
		f.addForged(&at, heapAt(i)+minPage, 64<<20-minPage, 0, nil)
	}
}

func TestForgedMemory(t *testing.T) {
	for _, tt := range forgeries {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			work := func(n int) int {
				f := newFake(v236, 64<<20, 1, 2)
				tt.make(f, n)
				slices.SortFunc(f.segments, func(a, b segment) int { return int(int64(a.addr - b.addr)) })
				c := &counted{fake: f, layout: f.maps}
				found, err := find(c, c)
				if err != nil && tt.unlinked != nil {
					t.Fatal(err)
				}
				census := found.census(f.maps)
				if tt.unlinked != nil && (census.Arenas != 3 || census.Unlinked != tt.unlinked(n)) || census.Unread != (tt.unread && n > 5000) {
					t.Errorf("with %d forged structures the census is %+v", n, census)
				}
				return c.lookups + c.reads
			}
			few, many := work(1500), work(6000)
			if many > 5*few {
				t.Errorf("1,500 forged structures take %d look-ups and reads, 6,000 take %d; want at most 5 times as many", few, many)
			}
		})
	}
}

// TestForgedStacks puts a stack descriptor into every fourth of many adjacent mappings. findStacks must stop when it
// has found as many stacks as there are threads, plus mostCached, the bound of glibc's stack cache.
func TestForgedStacks(t *testing.T) {
	f, at := newFake(v236, 64<<20, 1), 0
	const n = 3 * mostCached
	b := make([]byte, n*minStack)
	for i := range uint64(n) {
		for j, field := range []uint64{forgedAt + i*minStack, minStack, minPage} {
			binary.NativeEndian.PutUint64(b[(i+1)*minStack-64+uint64(j)*8:], field)
		}
	}
	for i := range uint64(4 * n) {
		f.addForged(&at, forgedAt+i*minPage, minPage, anonRW|perm(i%2)<<2, nil)
	}
	f.segments = append([]segment{{forgedAt, b}}, f.segments...)
	got, err := findStacks(f, f.maps, 8, 5)
	if err != nil || len(got) < 4 || len(got) > 5+mostCached+1 {
		t.Errorf("%d stacks, %v", len(got), err)
	}
}

// BenchmarkForged counts the arenas of a live process with 1,000 arenas and with 0, 8,000 or 65,000 forged headers.
func BenchmarkForged(b *testing.B) {
	bin := compile(b, "testdata/probe.c")
	for _, n := range []int{0, 8000, 65000} {
		p := start(b, []string{"MALLOC_ARENA_MAX=1000"}, bin)
		p.do("threads 999 10")
		p.do("end")
		p.do(fmt.Sprintf("headers %d", n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got, err := Count(p.pid())
				if err != nil || got.Arenas != 1000 || got.Unlinked != n {
					b.Fatalf("%+v, %v", got, err)
				}
			}
		})
	}
}
