package arena

// This file reads from /proc/PID/pagemap which pages are in memory and which in swap.

import (
	"encoding/binary"
	"os"
	"path/filepath"

	"arenacap/launcher/proc"
)

// pagemap reads /proc/PID/pagemap, which has 64 bits for each page of the address space: bit 63 is set for a page in
// memory, bit 62 for a page in swap (Documentation/admin-guide/mm/pagemap.rst). The file is opened on first use, and is
// missing on kernels without CONFIG_PROC_PAGE_MONITOR.
type pagemap struct {
	path string
	page uint64 // bytes
	file *os.File
	err  error
	buf  []byte
}

func (p *process) pagemap() *pagemap {
	return &pagemap{path: filepath.Join(p.dir, "pagemap"), page: uint64(os.Getpagesize())}
}

func (p *pagemap) close() { _ = p.file.Close() } // the file may be nil, and then Close only returns an error

func (p *pagemap) open() error {
	if p.file == nil && p.err == nil {
		p.file, p.err = proc.Here.Open(p.path)
	}
	return p.err
}

func (p *pagemap) pages(start uint64, list []pageState) bool {
	if p.open() != nil {
		return false
	}
	if cap(p.buf) < 8*len(list) {
		p.buf = make([]byte, 8*len(list))
	}
	buf := p.buf[:8*len(list)]
	n, err := p.file.ReadAt(buf, int64(start/p.page*8))
	if n < 8 && err != nil {
		return false
	}
	clear(list)
	for i := range list[:n/8] {
		switch binary.NativeEndian.Uint64(buf[8*i:]) >> 62 {
		case 1:
			list[i] = pageSwapped
		case 2, 3:
			list[i] = pagePresent
		}
	}
	return true
}

// present counts the bytes of [start, end) in memory; ok is false if pagemap cannot be read.
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
