// Package arena looks into a live process from outside: glibc's arenas, and where its virtual size is.
//
// It needs no debugger, no symbols and no help of the process, and never stops it. Mappings come from
// /proc/PID/maps, for a census by the ioctl PROCMAP_QUERY where the kernel has it (6.11); memory from
// process_vm_readv(2) or /proc/PID/mem, in reads that are bounded; what is resident from /proc/PID/pagemap by
// the ioctl PAGEMAP_SCAN (6.7), before that from smaps, which takes five to ten times as long. An arena is
// believed only as a member of malloc's own ring, a heap only as a link of malloc's own chain: the counts are
// those of malloc_info(3).
//
// What it costs the process: nothing but page-table entries for pages that are read and were never touched
// (the zero page, which is no resident memory).
//
// Reading takes the right to trace the process: root, or its own user where it is dumpable and Yama allows it.
//
// Known limits. A main arena whose brk heap could not grow has mappings that nothing tells from others: they are
// "other anonymous", and a walk calls them unknown. So are the stacks of threads that have no guard, and those
// that a program allocated itself. Free chunks in fastbins and thread caches count as in use, as they do for the
// arena. Of a static libc only the earliest release that it can be may be known. A process that maps files of a file
// system in user space (FUSE) decides itself how long a read of them takes.
package arena

import (
	"slices"
	"time"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc"
)

// Census is the short account of a process's arenas.
type Census struct {
	Arenas    int    // main arenas included, as in MALLOC_ARENA_MAX and malloc_info(3)
	Heaps     int    // of the other arenas
	Reserved  uint64 // bytes of address space that the heaps take
	Committed uint64 // bytes of them that have been made readable and writable

	// Unlinked is how many structures look like arenas and are none of malloc's: 0 but for copies of memory, or
	// where something overwrote malloc's structures. Then there may be more arenas, at most so many.
	Unlinked int
	Unread   bool // there are more of them than an honest process has, and not all were read: Unlinked is the least
}

// Process is a live process as it was found.
type Process struct {
	PID     int
	Name    string // as ps shows it, at most 15 bytes, any bytes
	Threads int
	Bits    int // 64 or 32

	Virtual  uint64 // VmSize in bytes, and always the sum of Parts
	Resident uint64 // bytes in memory, huge pages included: the sum of Parts
	Exact    bool   // the mappings were read in a moment when nothing changed

	Libc        string // "glibc", "musl"; "" is neither found
	LibcVersion string // "2.36"; "" is not known
	LibcAtLeast string // the earliest release that it can be
	Allocator   string // whose malloc is called: "glibc", "musl", "go", "jemalloc", "tcmalloc", …; "" is not known
	MallocIn    string // the file that it is in, where that is not the libc and its name says nothing

	Arenas   []Arena // the main arena first; several main arenas after dlmopen(3)
	Unlinked int     // see Census
	Unread   bool    // see Census
	Parts    []Part  // largest first

	started time.Duration // since boot; tells a later process with the same PID
}

// Census is the short account of what was found.
func (p *Process) Census() Census {
	c := Census{Arenas: len(p.Arenas), Unlinked: p.Unlinked, Unread: p.Unread}
	for _, a := range p.Arenas {
		if !a.Main {
			c.Heaps += len(a.Heaps)
			c.Reserved += a.Reserved
			c.Committed += a.Committed
		}
	}
	return c
}

// Huge is how many bytes of the arenas, thread stacks and main heap are in huge pages.
func (p *Process) Huge() (bytes uint64) {
	for _, part := range p.Parts {
		switch part.Kind {
		case KindArenas, KindThreadStacks, KindMainHeap:
			bytes += part.Huge
		}
	}
	return bytes
}

// Arena is one arena. The main arena has no heaps: it lives in the brk heap, and where that cannot grow in
// single mappings that nothing tells from others.
type Arena struct {
	Addr  uint64 // of its malloc_state; 0 for a main arena that nothing has used yet
	Main  bool
	Libc  int    // the copy of the C library that it belongs to: 0 the program's own, others of dlmopen(3)
	Heaps []Heap // the first one first

	Reserved  uint64 // bytes of address space: heaps × their largest size; for the main arena the brk heap
	Committed uint64 // bytes that have been made readable and writable
	Resident  uint64 // bytes in memory
	Huge      uint64 // bytes of them in huge pages
	SystemMem uint64 // bytes that the arena itself counts as obtained: system in malloc_info(3)
	Top       uint64 // bytes of the top chunk, which is free and not part of any bin

	Threads      int  // threads that allocate from it
	ThreadsKnown bool // glibc counts them since 2.23
	Settled      bool // what was read adds up; false where the process allocated at that very moment

	Chunks *Chunks // what Walk found; nil before
}

// Heap is one reservation of an arena, aligned to its own size.
type Heap struct {
	Addr      uint64
	Reserved  uint64
	Committed uint64
	Size      uint64 // bytes that the arena uses
	Resident  uint64
	Huge      uint64
}

// Part is a share of the virtual size.
type Part struct {
	Kind     string // one of the Kind constants
	Name     string // of the file or the named memory; "" for the other kinds
	Count    int    // arenas, stacks, or else mappings
	Virtual  uint64 // bytes
	Resident uint64 // bytes
	Huge     uint64 // bytes of them in huge pages
}

// Kinds of parts.
const (
	KindMainHeap     = "main heap"     // the brk heap
	KindArenas       = "arenas"        // the heaps of all arenas but the main ones
	KindThreadStacks = "thread stacks" // with their guards; stacks that are kept for the next thread included
	kindStack        = "stack"         // of the main thread
	KindFile         = "file"
	kindShared       = "shared memory" // memfd, System V, /dev/shm, shared and anonymous
	kindNamed        = "named memory"  // anonymous, named with prctl(PR_SET_VMA_ANON_NAME)
	kindHugePages    = "huge pages"    // MAP_HUGETLB
	KindReserved     = "reserved"      // anonymous and without access
	KindJavaHeap     = "java heap"
	KindJavaCode     = "java code cache"
	KindJavaClasses  = "java class space"
	kindKernel       = "kernel" // vdso, vvar and the like
	KindOtherAnon    = "other anonymous"
	kindOtherSpecial = "other"
)

// census counts what was found. A libc that nothing has asked for memory yet shows no arena and has one.
func (f found) census(maps mappings) Census {
	c := Census{Unlinked: f.unlinked, Unread: f.cut}
	for _, r := range f.rings {
		c.Arenas += len(r.members)
		for i := range r.members {
			for _, h := range r.members[i].heaps {
				c.Heaps++
				c.Reserved += r.heapMax
				c.Committed += h.committed
			}
		}
	}
	if c.Arenas == 0 && maps.libc() {
		c.Arenas = 1
	}
	return c
}

// certain is the census where nothing speaks against it: all that looks like an arena is in a ring, and every heap
// adds up. ok is false where more has to be known of the mappings.
func certain(mem reader, maps mappings) (c Census, ok bool) {
	f, err := find(mem, maps)
	if err != nil || f.unlinked != 0 || f.cut || len(f.rings) == 0 || !allSettled(f.rings) {
		return Census{}, false
	}
	return f.census(maps), true
}

// libc reports a glibc that is there to run, not a file that a program happens to read.
func (l layout) libc() bool {
	return slices.ContainsFunc(l, func(m mapping) bool { return m.Perm&proc.PermExec != 0 && m.File() && allocator.IsGlibc(m.Name) })
}

func allSettled(rings []*ring) bool {
	for _, r := range rings {
		for i := range r.members {
			if m := &r.members[i]; !m.main() && !m.settled {
				return false
			}
		}
	}
	return true
}
