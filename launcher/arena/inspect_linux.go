package arena

// This file inspects a live process: everything except the chunks of its arenas.

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc"
	"arenacap/launcher/proc/vma"
)

// Inspect reads the arenas of a live process and the parts of its virtual size. Inspect returns the same errors as Count.
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
	var exact bool
	f, maps, err := p.rings(func() (l layout, err error) {
		l, exact, err = p.settledMaps()
		return l, err
	})
	if err != nil {
		return nil, err
	}
	found := &Process{
		PID: p.pid, Name: p.stat.Name, Threads: p.stat.Threads, Bits: int(maps.word()) * 8, Virtual: maps.virtual(),
		Exact: exact, Unlinked: f.unlinked, Unread: f.cut, started: p.stat.Started,
	}
	if found.Arenas, err = arenas(p.mem, f.rings, maps); err != nil {
		return nil, err
	}
	if err := p.nameLibc(found, maps, f.rings); err != nil {
		return nil, err
	}
	if err := p.attribute(found, maps); err != nil {
		return nil, err
	}
	return found, p.checkAlive()
}

func (p *process) nameLibc(found *Process, maps layout, rings []*ring) (err error) {
	if slices.ContainsFunc(maps, func(m mapping) bool { return allocator.IsMusl(m.Name) }) {
		found.Libc = "musl"
	}
	if len(found.Arenas) > 0 {
		found.Libc = "glibc"
		found.LibcVersion, found.LibcAtLeast, err = libcVersion(p.mem, maps, rings)
		if err != nil {
			return err
		}
	}
	return p.nameMalloc(found, maps, libcFile(maps, rings))
}

// nameMalloc determines the allocator from the malloc that the libc calls. If the program or the libc defines this
// malloc, nameMalloc also searches the program's file. If the process has no libc, it searches the mapped libraries and
// that file.
func (p *process) nameMalloc(found *Process, maps layout, libc string) error {
	exe, _ := os.Readlink(filepath.Join(p.dir, "exe"))
	switch {
	case underValgrind(maps):
		found.Allocator = "valgrind"
		return nil
	case found.Libc == "":
		found.Allocator = cmp.Or(mappedAllocator(maps), p.linkedAllocator(found, maps, exe))
		return nil
	case libc == exe && libc != "": // the libc is linked into the program
		found.Allocator = cmp.Or(p.linkedAllocator(found, maps, exe), found.Libc)
		return nil
	}
	called, err := calledMalloc(p.mem, maps, libc)
	switch name, known := allocator.OfLibrary(called); {
	case err != nil || called == "":
	case called == libc:
		found.Allocator = cmp.Or(p.linkedAllocator(found, maps, exe), found.Libc)
	case known:
		found.Allocator = name
	case called == exe:
		found.Allocator, found.MallocIn = p.marked(maps, exe), exe
	default:
		found.MallocIn = called
	}
	return err
}

// linkedAllocator returns the name of the allocator that is linked into the program. It searches the program's file for the
// marker texts of allocators. It opens the file as /proc/PID/exe, which is the running file even after an upgrade replaced
// the program on disk. The result is "" if there is no such allocator, or if the file is unreadable. It is also "" if
// glibc's arenas have more memory than a program takes at its start: then the program uses glibc's malloc.
func (p *process) linkedAllocator(found *Process, maps layout, exe string) string {
	const startup = 1 << 20 // bytes
	var system uint64
	for _, a := range found.Arenas {
		system += a.SystemMem
	}
	if system > startup {
		return ""
	}
	linked := p.marked(maps, exe)
	if linked == "go" && found.Libc != "" { // the C parts of a Go program use the libc's malloc
		return ""
	}
	return linked
}

// marked is the allocator whose marker text is in the program's file.
func (p *process) marked(maps layout, exe string) string {
	file, err := proc.Here.Open(filepath.Join(p.dir, "exe"))
	if err != nil {
		return ""
	}
	defer file.Close()
	return markedAllocator(maps, exe, func(b []byte, offset uint64) int {
		n, _ := file.ReadAt(b, int64(offset))
		return n
	})
}

// attribute divides the virtual and resident size among the parts.
func (p *process) attribute(found *Process, maps layout) error {
	owners := heapOwners(found.Arenas)
	stacks, err := findStacks(p.mem, without(maps, owners), maps.word(), found.Threads)
	if err != nil {
		return err
	}
	counts := map[string]int{KindArenas: len(found.Arenas) - found.mains(), KindThreadStacks: len(stacks)}
	for _, s := range stacks {
		owners = append(owners, owner{start: s.start, end: s.end, kind: KindThreadStacks})
	}
	list := regions(maps, owners)
	classSpace, ok := hotspotFlag(p.mem, maps, "CompressedClassSpaceSize")
	if !ok {
		classSpace = 1 << 30 // the JVM's default
	}
	list = nameJava(list, classSpace)
	if err := p.addResident(list); err != nil {
		return err
	}
	for _, r := range list {
		found.Resident += r.resident
		if r.heap != nil {
			r.heap.Resident += r.resident
			r.heap.Huge += r.huge
		}
	}
	found.Parts = parts(list, counts)
	found.addMain(list)
	return nil
}

// addResident fills in the resident bytes of each region: with PAGEMAP_SCAN, or from smaps if that fails.
func (p *process) addResident(list []region) error {
	pages := p.pagemap()
	defer pages.close()
	if len(list) == 0 || pages.scan(list[0].Start, list[len(list)-1].End, credit(list)) == nil {
		return nil
	}
	for i := range list { // discard the results of the failed scan
		list[i].resident, list[i].huge = 0, 0
	}
	return p.addSmaps(list, pages)
}

func (p *process) addSmaps(list []region, pages *pagemap) error {
	smaps, err := proc.Here.Open(filepath.Join(p.dir, "smaps"))
	if err != nil {
		return err
	}
	defer smaps.Close()
	return vma.ParseSmaps(smaps, func(s vma.Smap) { spread(list, s, pages.present) })
}
