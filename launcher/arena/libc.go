package arena

import (
	"bytes"
	"path"
	"strings"

	"arenacap/launcher/proc"
)

// allocators are the libraries that replace malloc, by the start of their file's name.
var allocators = [...][2]string{
	{"libjemalloc", "jemalloc"}, {"libtcmalloc", "tcmalloc"}, {"libmimalloc", "mimalloc"}, {"libsnmalloc", "snmalloc"},
	{"libhoard", "hoard"}, {"librpmalloc", "rpmalloc"}, {"libscudo", "scudo"}, {"libclang_rt.scudo", "scudo"},
	{"libhardened_malloc", "hardened_malloc"}, {"libtbbmalloc_proxy", "tbbmalloc"}, {"libumem", "umem"},
	{"libasan", "asan"}, {"libclang_rt.asan", "asan"}, {"libtsan", "tsan"}, {"libclang_rt.tsan", "tsan"},
}

// marks are texts that only an allocator's own code holds, for one that is linked into the program.
var marks = [...][2]string{
	{"<jemalloc>: ", "jemalloc"}, {"mimalloc: error: ", "mimalloc"}, {"TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES", "tcmalloc"},
	{"tcmalloc/tcmalloc.cc", "tcmalloc"}, {"Scudo ERROR: ", "scudo"},
}

// goMark opens what a Go linker writes about a program (debug/buildinfo).
const goMark = "\xff Go buildinf:"

// markedAllocator is the allocator whose text stands in the program's own constants, or "go". read gives a piece
// of the program's file; at most markMax bytes are read.
func markedAllocator(maps layout, exe string, read func(b []byte, offset uint64) int) string {
	const markMax, step, overlap = 64 << 20, 256 << 10, 64
	buf := make([]byte, step+overlap)
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
				if bytes.Contains(b, []byte(mark[0])) {
					return mark[1]
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
		for _, a := range allocators {
			if strings.HasPrefix(path.Base(m.Name), a[0]) {
				return a[1]
			}
		}
	}
	return ""
}

// muslFile reports whether a mapped file is musl, whose loader is its libc: ld-musl-x86_64.so.1, which some
// distributions make a link to libc.so. No other libc on Linux maps a file of that name but Android's.
func muslFile(name string) bool {
	base := path.Base(strings.TrimSuffix(name, " (deleted)"))
	return strings.HasPrefix(base, "ld-musl-") || strings.HasPrefix(base, "libc.musl-") ||
		base == "libc.so" && !strings.Contains(name, "/bionic/")
}

// libcVersion reads glibc's version from the banner in the memory of the mapped file, which is right also where
// the file was replaced by an upgrade since. At most libcMax bytes are read.
//
//	GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.
func libcVersion(mem reader, maps layout) (string, error) {
	const libcMax = 4 << 20
	left := uint64(libcMax)
	for _, code := range []perm{0, proc.PermExec} { // the banner is in the read-only data; old linkers put that beside the code
		for _, m := range maps {
			if !m.File() || !libcFile(m.Name) || m.Perm != proc.PermRead|code {
				continue
			}
			end := min(m.End, m.Start+left)
			left -= end - m.Start
			if v, err := findBanner(mem, m.Start, end); v != "" || err != nil {
				return v, err
			}
		}
	}
	return "", nil
}

func findBanner(mem reader, start, end uint64) (string, error) {
	const step, overlap = 128 << 10, 512
	buf := make([]byte, min(step+overlap, end-start))
	for ; start < end; start += step {
		spans := [1]span{{addr: start, buf: buf[:min(uint64(len(buf)), end-start)]}}
		if err := mem.read(spans[:]); err != nil {
			return "", err
		}
		if v := bannerVersion(spans[0].buf[:spans[0].n]); v != "" {
			return v, nil
		}
	}
	return "", nil
}

// bannerVersion is the number behind "release version": "2.36", "2.44.9000" in a development tree.
func bannerVersion(b []byte) string {
	for {
		i := bytes.Index(b, []byte("GNU C Library "))
		if i < 0 {
			return ""
		}
		b = b[i:]
		line, _, _ := bytes.Cut(b, []byte("\n"))
		if _, v, ok := bytes.Cut(line[:min(len(line), 256)], []byte(" release version ")); ok {
			n := 0
			for n < len(v) && (v[n] == '.' || v[n] >= '0' && v[n] <= '9') {
				n++
			}
			if v := strings.Trim(string(v[:n]), "."); v != "" {
				return v
			}
		}
		b = b[1:]
	}
}
