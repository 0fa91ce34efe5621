package arena

// This file divides the virtual and the resident size into parts.

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"arenacap/launcher/proc/vma"
)

// region is a range of the address space that belongs to one part: a mapping, or a piece of one if a heap, a stack or
// the Java class space takes only a piece.
type region struct {
	mapping
	kind     string
	label    string // the part's name
	resident uint64
	huge     uint64 // bytes of the resident part in huge pages
	heap     *Heap  // the heap that contains it, or nil
}

// data reports whether the kernel counts the region in the field "data" of /proc/PID/statm (Linux: mm/mmap.c, vm_stat_account).
func (r region) data() bool { return r.Perm&(vma.Write|vma.Shared) == vma.Write }

// owner is a range that was identified by its contents: a heap or a stack.
type owner struct {
	start, end uint64
	kind       string
	heap       *Heap
}

// regions splits the mappings at the owners and classifies every piece. The regions add up to VmSize.
func regions(maps layout, owners []owner) []region {
	slices.SortFunc(owners, func(a, b owner) int { return cmp.Compare(a.start, b.start) })
	list := make([]region, 0, len(maps)+len(owners))
	for _, m := range maps {
		if m.Vsyscall() {
			continue
		}
		for m.Start < m.End {
			for len(owners) > 0 && owners[0].end <= m.Start {
				owners = owners[1:]
			}
			piece := region{mapping: m}
			switch {
			case len(owners) == 0 || owners[0].start >= m.End:
				piece.kind, piece.label = classify(m)
			case owners[0].start > m.Start:
				piece.End = owners[0].start
				piece.kind, piece.label = classify(m)
			default:
				piece.End = min(m.End, owners[0].end)
				piece.kind, piece.heap = owners[0].kind, owners[0].heap
			}
			list = append(list, piece)
			m.Start = piece.End
		}
	}
	return list
}

// without returns the mappings without the address ranges of those owners that are heaps.
func without(maps layout, owners []owner) layout {
	var left layout
	for _, r := range regions(maps, owners) {
		if r.heap == nil {
			left = append(left, r.mapping)
		}
	}
	return left
}

// classify determines the kind of a mapping from its name and access (proc_pid_maps(5)).
func classify(m mapping) (kind, name string) {
	switch n := m.Name; {
	case n == "" && m.Inode == 0 && m.Reserved():
		return KindReserved, ""
	case n == "" && m.Inode == 0:
		return KindOtherAnon, ""
	case n == "[heap]":
		return KindMainHeap, ""
	case n == "[stack]":
		return kindStack, ""
	case strings.HasPrefix(n, "[stack:"), // Linux 3.4 to 4.4
		strings.HasPrefix(n, "[anon: glibc: pthread stack"), n == "[anon: glibc: unused stack]": // glibc.mem.decorate_maps
		return KindThreadStacks, ""
	case strings.HasPrefix(n, "[anon:"):
		return kindNamed, inBrackets(n)
	case strings.HasPrefix(n, "[anon_shmem:"):
		return kindShared, inBrackets(n)
	case strings.HasPrefix(n, "["):
		return kindKernel, ""
	case m.HugePages():
		return kindHugePages, ""
	case strings.HasPrefix(n, "/memfd:java_heap"): // ZGC maps its heap several times from a memfd
		return KindJavaHeap, ""
	case strings.HasPrefix(n, "/memfd:"), strings.HasPrefix(n, "/SYSV"), strings.HasPrefix(n, "/dev/shm/"), strings.HasPrefix(n, "/dev/zero"):
		return kindShared, n
	case strings.HasPrefix(n, "/"):
		return KindFile, n
	}
	return kindOtherSpecial, m.Name
}

// inBrackets returns the NAME of "[anon:NAME]".
func inBrackets(s string) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(s, "]"), ":")
	return strings.TrimSpace(name)
}

// credit returns a function that adds runs of resident pages, in ascending order, to the regions that contain them.
func credit(list []region) func(start, end uint64, huge bool) {
	return func(start, end uint64, huge bool) {
		for len(list) > 0 && list[0].End <= start {
			list = list[1:]
		}
		for i := 0; i < len(list) && list[i].Start < end; i++ {
			bytes := min(end, list[i].End) - max(start, list[i].Start)
			list[i].resident += bytes
			if huge {
				list[i].huge += bytes
			}
		}
	}
}

// spread divides the resident bytes of one mapping of smaps among the regions in it. If there are several regions, each
// one that is not reserved gets the bytes that the function "present" finds resident in pagemap. The largest region
// gets the bytes of smaps that are then left. Pagemap does not show which pages are huge, so the regions with the most
// resident memory get the huge bytes of smaps first.
func spread(list []region, s vma.Smap, present func(start, end uint64) (uint64, bool)) {
	i := sort.Search(len(list), func(i int) bool { return list[i].End > s.Start })
	j := i + sort.Search(len(list)-i, func(k int) bool { return list[i+k].Start >= s.End })
	if s.Resident == 0 || i == j {
		return
	}
	largest, left := i, s.Resident
	for k := i; k < j; k++ {
		if list[k].Size() > list[largest].Size() {
			largest = k
		}
		if j-i > 1 && !list[k].Reserved() {
			if n, ok := present(max(s.Start, list[k].Start), min(s.End, list[k].End)); ok {
				n = min(n, left)
				list[k].resident += n
				left -= n
			}
		}
	}
	list[largest].resident += left
	for huge := s.Huge; huge > 0; {
		most := i
		for k := i; k < j; k++ {
			if list[k].resident-list[k].huge > list[most].resident-list[most].huge {
				most = k
			}
		}
		n := min(huge, list[most].resident-list[most].huge)
		if n == 0 {
			return
		}
		list[most].huge += n
		huge -= n
	}
}

// parts adds up the regions by kind and name.
func parts(list []region, counts map[string]int) []Part {
	type key struct{ kind, name string }
	index := map[key]int{}
	var sums []Part
	for i, r := range list {
		k := key{r.kind, r.label}
		at, ok := index[k]
		if !ok {
			at = len(sums)
			index[k] = at
			sums = append(sums, Part{Kind: r.kind, Name: r.label})
		}
		sums[at].Virtual += r.Size()
		if r.data() {
			sums[at].Data += r.Size()
		}
		sums[at].Resident += list[i].resident
		sums[at].Huge += list[i].huge
		sums[at].Count++
	}
	for i := range sums {
		if n, ok := counts[sums[i].Kind]; ok {
			sums[i].Count = n
		}
	}
	slices.SortFunc(sums, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Virtual, a.Virtual), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return sums
}
