package arena

import (
	"path"
	"slices"
	"strings"
)

// nameJava tells the large areas of HotSpot where that is certain enough, in a process that maps libjvm.so.
// They have no names of their own, but places and shapes:
//
//   - code cache: the run of memory that is writable and executable, with its reservation;
//   - class space: the run right behind the class-data archive (*.jsa), where the JVM puts it;
//   - heap: the largest run that starts under 32 GiB, where it goes for compressed pointers, or else the
//     largest one of 32 GiB and more. ZGC's is a memfd and told by that name.
//
// A run is memory without a file and without a gap, readable or only reserved. What fits nothing stays what
// it was: metaspace, card tables and the collector's bitmaps look like any other memory.
func nameJava(list []region) {
	if !slices.ContainsFunc(list, func(r region) bool { return r.file() && path.Base(r.name) == "libjvm.so" }) {
		return
	}
	const compressed = 32 << 30 // what a 32-bit pointer of 8-byte units reaches
	var heap []region
	var heapSize uint64
	for i := 0; i < len(list); i++ {
		run := plainRun(list[i:])
		if len(run) == 0 {
			continue
		}
		size := run[len(run)-1].end - run[0].start
		switch {
		case slices.ContainsFunc(run, func(r region) bool { return r.perm&(permWrite|permExec) == permWrite|permExec }):
			label(run, KindJavaCode)
		case i > 0 && list[i-1].end == run[0].start && strings.HasSuffix(list[i-1].name, ".jsa"):
			label(run, KindJavaClasses)
		case size > heapSize && (run[0].start < compressed || size >= compressed):
			heap, heapSize = run, size
		}
		i += len(run) - 1
	}
	label(heap, KindJavaHeap)
}

// plainRun is the regions at the start of list that are plain anonymous memory and leave no gap.
func plainRun(list []region) []region {
	n := 0
	for n < len(list) && (list[n].kind == KindReserved || list[n].kind == KindOtherAnon) && (n == 0 || list[n].start == list[n-1].end) {
		n++
	}
	return list[:n]
}

func label(run []region, kind string) {
	for i := range run {
		run[i].kind = kind
	}
}
