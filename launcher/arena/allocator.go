package arena

// Which malloc a process calls, as far as its mapped files show.

import (
	"bytes"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc"
)

// goMark opens what a Go linker writes about a program (debug/buildinfo).
const goMark = "\xff Go buildinf:"

// markedAllocator is the allocator whose text stands in the program's own constants, or "go". read gives a piece
// of the program's file; at most markMax bytes are read.
func markedAllocator(maps layout, exe string, read func(b []byte, offset uint64) int) string {
	const markMax, step, overlap = 64 << 20, 256 << 10, 64
	buf, marks := make([]byte, step+overlap), allocator.Marks()
	left := uint64(markMax)
	golang := ""
	for _, m := range maps {
		if m.Name != exe || m.Perm&proc.PermRead == 0 {
			continue
		}
		size := min(m.Size(), left)
		left -= size
		for at := uint64(0); at < size; at += step {
			b := buf[:min(step+overlap, m.Size()-at)]
			b = b[:read(b, m.Offset+at)]
			for _, mark := range marks {
				if bytes.Contains(b, []byte(mark.Text)) {
					return mark.Name
				}
			}
			if bytes.Contains(b, []byte(goMark)) {
				golang = "go"
			}
		}
	}
	return golang
}

// mappedAllocator is the library among the mapped files that replaces malloc.
func mappedAllocator(maps layout) string {
	last := ""
	for _, m := range maps {
		if !m.File() || m.Name == last {
			continue
		}
		last = m.Name
		if name, ok := allocator.OfLibrary(m.Name); ok {
			return name
		}
	}
	return ""
}
