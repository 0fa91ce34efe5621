package arena

import (
	"errors"
	"runtime"
	"unsafe"
)

// scanArg is struct pm_scan_arg, the argument of the ioctl PAGEMAP_SCAN on /proc/PID/pagemap (Linux 6.7;
// include/uapi/linux/fs.h, fs/proc/task_mmu.c): the pages from start to end with the categories of mask, but
// without those of inverted, as runs in vec.
type scanArg struct {
	size, flags           uint64
	start, end, walkEnd   uint64
	vec, vecLen, maxPages uint64
	inverted, mask, anyOf uint64
	returned              uint64
}

// pageRun is struct page_region.
type pageRun struct{ start, end, categories uint64 }

const (
	// _IOWR('f', 16, struct pm_scan_arg), as most architectures make it; elsewhere it is unknown: ENOTTY.
	ioctlPagemapScan = 3<<30 | unsafe.Sizeof(scanArg{})<<16 | 'f'<<8 | 16

	pageIsPresent = 1 << 3
	pageIsZero    = 1 << 5 // the zero page, which smaps does not count either
	pageIsHuge    = 1 << 6 // mapped by an entry of its page's middle directory, or MAP_HUGETLB
)

// errNoProgress is for a kernel that tells the same pages again and again.
var errNoProgress = errors.New("the page tables cannot be walked")

// scan gives the runs of pages from start to end that are in memory, in ascending order. It takes a fifth to a tenth
// of the time of smaps, which also finds out what else is known of each page. The error is that of a kernel
// that has no such call, or of a 32-bit arenacap that asks for addresses it cannot have itself.
func (p *pagemap) scan(start, end uint64, each func(start, end uint64, huge bool)) error {
	if err := p.open(); err != nil {
		return err
	}
	runs := make([]pageRun, 4096)
	for last := start; start < end; {
		arg := scanArg{
			size: uint64(unsafe.Sizeof(scanArg{})), start: start, end: end,
			vec: uint64(uintptr(unsafe.Pointer(&runs[0]))), vecLen: uint64(len(runs)),
			inverted: pageIsZero, mask: pageIsPresent | pageIsZero, returned: pageIsPresent | pageIsHuge,
		}
		n, err := ioctl(p.file, ioctlPagemapScan, unsafe.Pointer(&arg))
		runtime.KeepAlive(runs)
		if err != nil {
			return err
		}
		for _, r := range runs[:n] {
			if r.start = max(r.start, last); r.start < r.end {
				each(r.start, r.end, r.categories&pageIsHuge != 0)
				last = r.end
			}
		}
		// Linux 6.18 tells too low an end of a walk that was done in several turns: fewer runs than there is
		// room for are the end, and no run comes twice.
		if n < len(runs) {
			return nil
		}
		next := max(arg.walkEnd, last)
		if next <= start {
			return errNoProgress
		}
		start = next
	}
	return nil
}
