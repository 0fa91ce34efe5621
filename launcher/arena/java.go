package arena

// This file recognizes the large memory areas of a JVM.

import (
	"path"
	"slices"
	"strings"

	"arenacap/launcher/proc/vma"
)

// nameJava labels the large areas of HotSpot in a process that maps libjvm.so. The mappings have no names, so they are
// recognized by their place and access. A run is anonymous memory without a gap, readable or only reserved.
//
//   - code cache: memory that is writable and executable, and the reservation right after it;
//   - heap: the largest of the runs that start below 32 GiB, as the JVM prefers for compressed pointers, or that have at
//     least 32 GiB. A run right after a *.jsa file does not count. ZGC's heap is a memfd with a name;
//   - class space: the JVM puts it after the class-data archive, a mapping of a *.jsa file. So it is in the largest run that
//     follows such a mapping without a gap. It starts at the first writable memory of that run and has classSpace bytes,
//     the value of the JVM's flag CompressedClassSpaceSize. It may end before the run does, because other reservations of
//     the JVM can follow without a gap.
//
// Other memory keeps its kind, since metaspace, card tables and the collector's bitmaps cannot be identified.
func nameJava(list []region, classSpace uint64) []region {
	if !slices.ContainsFunc(list, func(r region) bool { return r.File() && path.Base(r.Name) == "libjvm.so" }) {
		return list
	}
	const compressed = 32 << 30 // bytes that a 32-bit pointer reaches in units of 8
	nameCode(list)
	named := nameReserves(list, KindJavaHeap)
	var heap, classes []region
	for i := 0; i < len(list); i++ {
		run := plainRun(list[i:])
		if len(run) == 0 {
			continue
		}
		switch archived := i > 0 && list[i-1].End == run[0].Start && strings.HasSuffix(list[i-1].Name, ".jsa"); {
		case archived && extent(run) > extent(classes):
			classes = run
		case !archived && extent(run) > extent(heap) && (run[0].Start < compressed || extent(run) >= compressed):
			heap = run
		}
		i += len(run) - 1
	}
	if !named && heap != nil {
		label(heap, KindJavaHeap)
		nameArchived(list, heap[len(heap)-1].End)
	}
	return nameClasses(list, classes, classSpace)
}

// nameClasses labels the class space in the run, and splits the region in which the class space ends.
func nameClasses(list, run []region, size uint64) []region {
	first := slices.IndexFunc(run, func(r region) bool { return r.Writable() })
	if first < 0 {
		return list
	}
	end := run[first].Start + size
	for i := range list {
		switch r := &list[i]; {
		case r.Start < run[first].Start || !plain(*r):
		case r.End > end:
			rest := *r
			r.End, rest.Start, r.kind = end, end, KindJavaClasses
			return slices.Insert(list, i+1, rest)
		default:
			if r.kind = KindJavaClasses; r.End == end || r.End == run[len(run)-1].End {
				return list
			}
		}
	}
	return list
}

func nameCode(list []region) {
	for i, r := range list {
		if plain(r) && r.Writable() && r.Perm&vma.Exec != 0 {
			list[i].kind = KindJavaCode
		}
	}
	nameReserves(list, KindJavaCode)
}

// nameReserves labels the reservation right after each region of a kind with the same kind, and reports whether there is
// such a region.
func nameReserves(list []region, kind string) (any bool) {
	for i, r := range list {
		if r.kind != kind {
			continue
		}
		any = true
		if i+1 < len(list) && list[i+1].Start == r.End && list[i+1].kind == KindReserved {
			list[i+1].kind = kind
		}
	}
	return any
}

// nameArchived labels the part of the heap above end, the address where the heap's run ends. The JVM maps archived objects
// from *.jsa files into the upper part of the heap, and each such mapping ends a run. So the anonymous memory between these
// mappings and right after them belongs to the heap too. The mappings of the files keep their kind.
func nameArchived(list []region, end uint64) {
	for i, r := range list {
		if r.Start != end {
			continue
		}
		if plain(r) {
			list[i].kind = KindJavaHeap
		} else if !strings.HasSuffix(r.Name, ".jsa") {
			return
		}
		end = r.End
	}
}

func plain(r region) bool { return r.kind == KindReserved || r.kind == KindOtherAnon }

// plainRun is the longest run of plain anonymous memory without a gap at the start of list.
func plainRun(list []region) []region {
	n := 0
	for n < len(list) && plain(list[n]) && (n == 0 || list[n].Start == list[n-1].End) {
		n++
	}
	return list[:n]
}

// extent is the size of a run in bytes.
func extent(run []region) uint64 {
	if len(run) == 0 {
		return 0
	}
	return run[len(run)-1].End - run[0].Start
}

func label(run []region, kind string) {
	for i := range run {
		run[i].kind = kind
	}
}
