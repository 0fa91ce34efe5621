package target

import "strings"

// allocators are malloc replacements by the start of their libraries' names, without "lib".
var allocators = [...]struct{ prefix, name, hint string }{
	{"jemalloc", "jemalloc", "for jemalloc, set MALLOC_CONF=narenas:4"},
	{"tcmalloc", "tcmalloc", "for tcmalloc, set TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES"},
	{"mimalloc", "mimalloc", ""},
	{"snmalloc", "snmalloc", ""},
	{"hoard", "hoard", ""},
	{"rpmalloc", "rpmalloc", ""},
	{"scudo", "scudo", ""},
	{"clang_rt.scudo", "scudo", ""},
	{"hardened_malloc", "hardened_malloc", ""},
	{"tbbmalloc_proxy", "tbbmalloc", ""},
	{"umem", "umem", ""},
	{"asan", "asan", ""},
	{"clang_rt.asan", "asan", ""},
	{"tsan", "tsan", ""},
	{"clang_rt.tsan", "tsan", ""},
	{"lsan", "lsan", ""},
}

// allocatorOf names the allocator that a library is, by its file name.
func allocatorOf(library string) (name string, ok bool) {
	base, ok := strings.CutPrefix(library[strings.LastIndexByte(library, '/')+1:], "lib")
	if !ok {
		return "", false
	}
	for i := range allocators {
		if strings.HasPrefix(base, allocators[i].prefix) {
			return allocators[i].name, true
		}
	}
	return "", false
}

// allocatorHint says what to set instead of a cap.
func allocatorHint(name string) string {
	for i := range allocators {
		if allocators[i].name == name {
			return allocators[i].hint
		}
	}
	return ""
}

// marks are texts that only an allocator's own code holds, for one that was linked statically.
var marks = [...]struct{ text, name string }{
	{"<jemalloc>: ", "jemalloc"},
	{"mimalloc: error: ", "mimalloc"},
	{"TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES", "tcmalloc"},
	{"tcmalloc/tcmalloc.cc", "tcmalloc"},
	{"Scudo ERROR: ", "scudo"},
}
