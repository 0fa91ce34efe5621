// Package allocator recognizes malloc implementations. This file is the table of malloc replacements: how to recognize each
// by a file's name or a program's constants, and which setting limits its memory, since a cap on glibc's arenas has no
// effect on it. To add an allocator, add a row.
//
// libc.go and static.go recognize C libraries, shared and linked statically.
package allocator

import (
	"path"
	"strconv"
	"strings"
)

// replacements is searched from the first row on, and the first row that matches counts.
var replacements = [...]struct {
	name      string
	libraries []string // names of its shared library without "lib"; a version or variant may follow
	marks     []string // strings that only its own code contains, to recognize it in a static program
	instead   string   // the setting that limits its memory; "" is unknown
	arenas    bool     // the number of arenas must be appended to the field "instead"
}{
	{"jemalloc", []string{"jemalloc"}, []string{"<jemalloc>: "}, "for jemalloc, set MALLOC_CONF=narenas:", true},
	{"mimalloc", []string{"mimalloc"}, []string{"mimalloc: error: "}, "", false},
	{"tcmalloc", []string{"tcmalloc"}, []string{"TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES", "tcmalloc/tcmalloc.cc"},
		"for tcmalloc, set TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES", false},
	{"scudo", []string{"scudo", "clang_rt.scudo"}, []string{"Scudo ERROR: "}, "", false},
	{"snmalloc", []string{"snmalloc"}, nil, "", false},
	{"hoard", []string{"hoard"}, nil, "", false},
	{"rpmalloc", []string{"rpmalloc"}, nil, "", false},
	{"hardened_malloc", []string{"hardened_malloc"}, nil, "", false},
	{"tbbmalloc", []string{"tbbmalloc_proxy"}, nil, "", false},
	{"umem", []string{"umem"}, nil, "", false},
	{"asan", []string{"asan", "clang_rt.asan"}, []string{"AddressSanitizer Init done"}, "", false},
	{"tsan", []string{"tsan", "clang_rt.tsan"}, []string{"Running under ThreadSanitizer v"}, "", false},
	{"lsan", []string{"lsan", "clang_rt.lsan"}, nil, "", false},
}

// OfLibrary recognizes the allocator by the file name of a shared library.
func OfLibrary(file string) (name string, ok bool) {
	base, ok := strings.CutPrefix(path.Base(file), "lib")
	if !ok {
		return "", false
	}
	for i := range replacements {
		for _, library := range replacements[i].libraries {
			if strings.HasPrefix(base, library) {
				return replacements[i].name, true
			}
		}
	}
	return "", false
}

// Instead returns advice on what to set instead of the cap, or "" if there is none. If the argument "cap" is 0, the cap
// is unknown.
func Instead(name string, cap int) string {
	for i := range replacements {
		switch r := &replacements[i]; {
		case r.name != name:
		case !r.arenas:
			return r.instead
		case cap == 0:
			return r.instead + "N, where N is the largest number of arenas"
		default:
			return r.instead + strconv.Itoa(cap)
		}
	}
	return ""
}

// Mark is a string that only the code of one allocator contains.
type Mark struct{ Text, Name string }

// Marks lists the marks of all allocators.
func Marks() (marks []Mark) {
	for i := range replacements {
		for _, text := range replacements[i].marks {
			marks = append(marks, Mark{text, replacements[i].name})
		}
	}
	return marks
}
