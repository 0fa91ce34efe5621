package allocator

import "testing"

func TestOfLibrary(t *testing.T) {
	for file, want := range map[string]string{
		"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2": "jemalloc", "libtcmalloc_minimal.so.4": "tcmalloc", "/opt/libmimalloc-secure.so.2.0": "mimalloc",
		"libclang_rt.asan-x86_64.so": "asan", "liblsan.so.0": "lsan", "libclang_rt.lsan.so": "lsan", "libtbbmalloc_proxy.so.2": "tbbmalloc",
		"libtbbmalloc.so.2": "", "jemalloc.so": "", "libc.so.6": "", "/libjemalloc/libother.so": "", "": "",
	} {
		if name, ok := OfLibrary(file); name != want || ok != (want != "") {
			t.Errorf("%q: %q, %t, want %q", file, name, ok, want)
		}
	}
}

func TestInstead(t *testing.T) {
	for _, c := range []struct {
		name string
		cap  int
		want string
	}{
		{"jemalloc", 2, "for jemalloc, set MALLOC_CONF=narenas:2"},
		{"jemalloc", 64, "for jemalloc, set MALLOC_CONF=narenas:64"},
		{"jemalloc", 0, "for jemalloc, set MALLOC_CONF=narenas:N, where N is the largest number of arenas"},
		{"tcmalloc", 2, "for tcmalloc, set TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES"},
		{"mimalloc", 2, ""},
		{"glibc", 2, ""},
	} {
		if got := Instead(c.name, c.cap); got != c.want {
			t.Errorf("%s, %d: %q, want %q", c.name, c.cap, got, c.want)
		}
	}
}

// Every row has a library or a mark. Each library is recognized as that of its row, and each mark has at least 8 bytes
// and occurs only once, because a mark must not match two allocators.
func TestTheTable(t *testing.T) {
	for _, r := range replacements {
		if len(r.libraries) == 0 && len(r.marks) == 0 {
			t.Errorf("%s has neither a library nor a mark", r.name)
		}
		for _, library := range r.libraries {
			if name, _ := OfLibrary("lib" + library + ".so.1"); name != r.name {
				t.Errorf("lib%s.so.1 is taken for %q, not for %q", library, name, r.name)
			}
		}
	}
	seen := map[string]bool{}
	for _, m := range Marks() {
		if len(m.Text) < 8 || seen[m.Text] {
			t.Errorf("mark %q of %s is shorter than 8 bytes or occurs twice", m.Text, m.Name)
		}
		seen[m.Text] = true
	}
}
