// Package arena inspects a live process from outside: glibc's arenas, and the parts of its virtual size.
//
// It uses no debugger and no symbols, and never stops the process. It reads memory with process_vm_readv(2) or from
// /proc/PID/mem, in bounded amounts. It reads the mappings from /proc/PID/maps; Count, which needs only few of them,
// first asks for single mappings with the ioctl PROCMAP_QUERY (Linux 6.11). It finds resident pages with the ioctl
// PAGEMAP_SCAN on /proc/PID/pagemap (Linux 6.7), and on older kernels in /proc/PID/smaps, which takes five to ten times
// as long.
//
// Words used here: a census is the number of arenas and heaps, and the size of the heaps (Count). A ring is malloc's
// circular list of arenas; each copy of glibc in a process has its own ring. A chain is the list of one arena's heaps. A
// walk visits all chunks of the arenas (Walk). An arena counts only if it is in a ring, and a heap only if it is in its
// arena's chain, so the counts are those of malloc_info(3).
//
// The only cost to the process is page-table entries: reading an anonymous page that was never touched maps the zero
// page there, which does not count as resident. A page of a file that is read, such as one of the libc, does count
// afterwards.
//
// The caller needs ptrace access: root, or the process's own user if the process is dumpable and Yama allows it.
//
// Known limits. If the brk heap cannot grow, malloc takes separate mappings for the main arena. They cannot be recognized:
// they are reported as "other anonymous", and a walk counts their bytes as unknown. Stacks without a guard and stacks that
// a program allocated itself are "other anonymous" as well. Free chunks in fastbins and thread caches count as in use, as
// they do in the arena itself. The version of a statically linked glibc may be known only as the earliest possible release.
// Reading memory that a FUSE file system backs takes as long as that file system takes.
package arena

import (
	"slices"
	"time"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc/vma"
)

// Census summarizes a process's arenas.
type Census struct {
	Arenas    int    // number of arenas, main arenas included, as in MALLOC_ARENA_MAX and malloc_info(3)
	Heaps     int    // number of heaps of all arenas; main arenas have none
	Reserved  uint64 // bytes of address space that the heaps take
	Committed uint64 // bytes of the heaps that have been made readable and writable

	// Unlinked counts structures that look like arenas but are not in malloc's list. It is 0 unless the memory holds copies of
	// arenas, or malloc's structures were overwritten. If they were overwritten, the process may have up to Unlinked more
	// arenas than Arenas says.
	Unlinked int
	Unread   bool // the limit on reads was reached, so Unlinked is a lower bound
}

// Process is the state of a live process when it was read.
type Process struct {
	PID     int
	Name    string // name as ps shows it: at most 15 bytes, which need not be printable
	Threads int
	Bits    int // word size of the process, 64 or 32

	Virtual  uint64 // bytes, the sum of Parts; equal to VmSize if Exact
	Resident uint64 // bytes in memory, huge pages included: the sum of Parts
	Exact    bool   // the mappings did not change while they were read

	Libc        string // kind of the C library, "glibc" or "musl"; "" for neither
	LibcVersion string // version such as "2.36"; "" if unknown
	LibcAtLeast string // the earliest release that the libc can be
	Allocator   string // name of the allocator: "glibc", "musl", "go", "jemalloc", "tcmalloc", …; "" if unknown
	MallocIn    string // the file that defines malloc, if it is neither the libc nor the library of a known allocator

	Arenas   []Arena // the arenas, the main one first; there are several main arenas after dlmopen(3)
	Unlinked int     // see Census
	Unread   bool    // see Census
	Parts    []Part  // the parts of the virtual size, largest first

	started time.Duration // start time since boot; differs from that of a later process with the same PID
}

// Census summarizes the process's arenas.
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

// Huge is the bytes of the arenas, thread stacks and main heap that are in huge pages.
func (p *Process) Huge() (bytes uint64) {
	for _, part := range p.Parts {
		switch part.Kind {
		case KindArenas, KindThreadStacks, KindMainHeap:
			bytes += part.Huge
		}
	}
	return bytes
}

// Arena is one arena. The main arena has no heaps: it uses the brk heap, and if that cannot grow, separate mappings that
// cannot be identified.
type Arena struct {
	Addr  uint64 // address of its malloc_state; 0 for the main arena of a libc whose malloc was never called
	Main  bool
	Libc  int    // the copy of the C library that the arena belongs to: 0 is the program's own, others come from dlmopen(3)
	Heaps []Heap // the heaps, oldest first

	Reserved  uint64 // bytes of address space: heaps × their largest size; for the main arena the brk heap
	Committed uint64 // bytes that have been made readable and writable
	Resident  uint64 // bytes in memory
	Huge      uint64 // bytes of Resident in huge pages
	SystemMem uint64 // bytes obtained from the system, by the arena's own count: system in malloc_info(3)
	Top       uint64 // bytes of the top chunk: the free chunk at the end, which is not in a bin

	Threads      int  // number of threads that allocate from the arena
	ThreadsKnown bool // glibc counts them since 2.23
	Settled      bool // the sizes are consistent; false if the process allocated memory while it was read

	Chunks *Chunks // filled in by Walk, nil before
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

// Part is one part of the virtual size.
type Part struct {
	Kind     string // one of the Kind constants
	Name     string // the kernel's name, for files, shared memory, named memory and "other"; "" for the remaining kinds
	Count    int    // number of stacks, or of arenas without the main ones; for other kinds, of mappings and their pieces
	Virtual  uint64 // bytes
	Data     uint64 // bytes of private writable mappings and stacks: what the field data of /proc/PID/statm counts
	Resident uint64 // bytes
	Huge     uint64 // bytes of Resident in huge pages
}

// These are the kinds of parts.
const (
	KindMainHeap     = "main heap"     // the heap that brk(2) extends
	KindArenas       = "arenas"        // the heaps of all arenas; main arenas have none
	KindThreadStacks = "thread stacks" // guards included, and stacks of ended threads that glibc caches for new ones
	kindStack        = "stack"         // the stack of the main thread
	KindFile         = "file"
	kindShared       = "shared memory" // memfd, System V, /dev/shm, or anonymous with MAP_SHARED
	kindNamed        = "named memory"  // anonymous, named with prctl(PR_SET_VMA_ANON_NAME)
	kindHugePages    = "huge pages"    // mapped with MAP_HUGETLB
	KindReserved     = "reserved"      // anonymous and inaccessible (PROT_NONE)
	KindJavaHeap     = "java heap"
	KindJavaCode     = "java code cache"
	KindJavaClasses  = "java class space"
	kindKernel       = "kernel" // vdso, vvar and the like
	KindOtherAnon    = "other anonymous"
	kindOtherSpecial = "other"
)

// census counts the arenas. A libc whose malloc was never called counts as one arena, although the memory does not show it
// yet.
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

// certain takes the census. ok is true only if the census is certain: every structure that looks like an arena is in a
// ring, and the heap sizes of each arena add up to the arena's own count of its memory.
func certain(mem reader, maps mappings) (c Census, ok bool) {
	f, err := find(mem, maps)
	if err != nil || f.unlinked != 0 || f.cut || len(f.rings) == 0 || !allSettled(f.rings) {
		return Census{}, false
	}
	return f.census(maps), true
}

// libc reports whether a glibc is mapped as executable code. A glibc file that the program only reads does not count.
func (l layout) libc() bool {
	return slices.ContainsFunc(l, func(m mapping) bool { return m.Perm&vma.Exec != 0 && m.File() && allocator.IsGlibc(m.Name) })
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
