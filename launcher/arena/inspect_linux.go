package arena

import (
	"os"
	"path/filepath"
	"sort"
)

// Inspect gives everything that is known of a live process. The errors are those of Count.
func Inspect(pid int) (*Process, error) { return inspect(procRoot, pid) }

func inspect(root string, pid int) (*Process, error) {
	p, err := open(root, pid)
	if err != nil {
		return nil, err
	}
	defer p.close()
	found, err := p.inspect()
	return found, p.explain(err)
}

func (p *process) inspect() (*Process, error) {
	maps, exact, err := p.settledMaps(nil)
	if err != nil {
		return nil, err
	}
	rings, maps, err := p.rings(maps, true)
	if err != nil {
		return nil, err
	}
	found := &Process{
		PID: p.pid, Name: p.stat.name, Threads: p.stat.threads, Bits: int(maps.word()) * 8,
		Virtual: maps.virtual(), Exact: exact, started: p.stat.started,
	}
	if err := p.nameLibc(found, maps, len(rings) > 0); err != nil {
		return nil, err
	}
	if found.Arenas, err = arenas(p.mem, rings, maps); err != nil {
		return nil, err
	}
	return found, p.attribute(found, maps)
}

func (p *process) nameLibc(found *Process, maps layout, arenas bool) (err error) {
	found.Allocator = mappedAllocator(maps)
	for _, m := range maps {
		if muslFile(m.name) {
			found.Libc = "musl"
		}
	}
	if arenas || hasLibc(maps) {
		found.Libc = "glibc"
		if found.LibcVersion, err = libcVersion(p.mem, maps); err != nil {
			return err
		}
	}
	if found.Allocator == "" {
		found.Allocator = found.Libc
	}
	return nil
}

// attribute divides the virtual size among the parts and the resident size with it: one pass over smaps.
func (p *process) attribute(found *Process, maps layout) error {
	owners := heapOwners(found.Arenas)
	taken := takenBy(owners)
	stacks, err := findStacks(p.mem, maps, taken, found.Threads)
	if err != nil {
		return err
	}
	counts := map[string]int{KindArenas: len(found.Arenas) - found.mains()}
	for _, s := range stacks {
		if !taken(s.start) && !taken(s.end-1) {
			owners = append(owners, owner{start: s.start, end: s.end, kind: KindThreadStacks})
			counts[KindThreadStacks]++
		}
	}
	list := regions(maps, owners)
	nameJava(list)
	if err := p.addResident(list); err != nil {
		return err
	}
	for _, r := range list {
		found.Resident += r.resident
		if r.heap != nil {
			r.heap.Resident += r.resident
		}
	}
	found.Parts = parts(list, counts)
	found.addMain(list)
	return nil
}

// takenBy reports whether an address lies in one of the owners.
func takenBy(owners []owner) func(uint64) bool {
	sort.Slice(owners, func(i, j int) bool { return owners[i].start < owners[j].start })
	heaps := append([]owner(nil), owners...)
	return func(addr uint64) bool {
		i := sort.Search(len(heaps), func(i int) bool { return heaps[i].end > addr })
		return i < len(heaps) && heaps[i].start <= addr
	}
}

func (p *process) addResident(list []region) error {
	smaps, err := os.Open(filepath.Join(p.dir, "smaps"))
	if err != nil {
		return err
	}
	defer smaps.Close()
	pages := p.pagemap()
	defer pages.close()
	return parseSmaps(smaps, func(start, end, resident uint64) { spread(list, start, end, resident, pages.present) })
}

// present is the bytes of [start, end) that are in memory; ok is false where that may not be known.
func (p *pagemap) present(start, end uint64) (bytes uint64, ok bool) {
	var list [512]pageState
	for start < end {
		part := list[:min(uint64(len(list)), (end-start)/p.page)]
		if len(part) == 0 || !p.pages(start, part) {
			return bytes, len(part) == 0
		}
		for _, s := range part {
			if s == pagePresent {
				bytes += p.page
			}
		}
		start += uint64(len(part)) * p.page
	}
	return bytes, true
}
