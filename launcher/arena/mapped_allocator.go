package arena

// This file finds the allocator of a process by its mapped files.

import (
	"bytes"

	"arenacap/launcher/allocator"
	"arenacap/launcher/proc/vma"
)

// goMark starts the build information in a Go program (debug/buildinfo).
const goMark = "\xff Go buildinf:"

// markedAllocator searches the mapped parts of the program's file for the marker text of an allocator, or of Go ("go").
// The function "read" reads from that file; at most markMax bytes are searched.
func markedAllocator(maps layout, exe string, read func(b []byte, offset uint64) int) string {
	const markMax, step, overlap = 64 << 20, 256 << 10, 64
	buf, marks := make([]byte, step+overlap), allocator.Marks()
	left := uint64(markMax)
	golang := ""
	for _, m := range maps {
		if m.Name != exe || m.Perm&vma.Read == 0 {
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

// mappedAllocator is the allocator of the first mapped library that replaces malloc.
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
