// Package allocator is the one table of malloc replacements: how each is recognized in a file's name, in the constants of
// a program, and what to set where a cap on glibc's arenas does nothing. A new allocator is a row of the table.
//
// Its second file, libc.go, recognizes the C libraries, whose own malloc is the rule.
package allocator

import (
	"path"
	"strconv"
	"strings"
)

// replacements are in the order in which they are looked for.
var replacements = [...]struct {
	name      string
	libraries []string // how its shared library is called, behind "lib"; versions and variants follow
	marks     []string // texts that only its own code holds, for one that is linked into a program
	instead   string   // what bounds its memory, since a cap does not, up to the number of arenas; "" is nothing known
	arenas    bool     // that number follows
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

// OfLibrary names the allocator that a shared library is, by its file's name.
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

// Instead says what to set instead of a cap, of which 0 is not known, as a sentence; "" where nothing is known.
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

// Mark is a text that only the code of an allocator holds.
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
