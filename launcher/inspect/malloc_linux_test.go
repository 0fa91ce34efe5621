package inspect

import (
	"path/filepath"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

// TestWhoseMalloc: the malloc in use is found in whatever file it is defined, even if other allocators are mapped.
func TestWhoseMalloc(t *testing.T) {
	const threads, own = "testdata/threads.c", "testdata/own.c"
	const kept, other = "4 arenas, and 4 are allowed", "which does not read MALLOC_ARENA_MAX"
	library := func(t *testing.T, pattern string) string {
		t.Helper()
		found, _ := filepath.Glob("/usr/lib/x86_64-linux-gnu/" + pattern)
		if len(found) == 0 {
			testenv.Lack(t, "there is no %s", pattern)
		}
		return found[0]
	}
	shared := func(t *testing.T, flags ...string) string {
		return build(t, "gcc", own, append([]string{"-shared", "-fPIC"}, flags...)...)
	}
	preload := func(file string) []string { return []string{"LD_PRELOAD=" + file} }
	for _, c := range []struct {
		name      string
		start     func(t *testing.T) (argv, env []string)
		allocator string
		why       string
	}{
		{"glibc's", func(t *testing.T) ([]string, []string) { return []string{build(t, "gcc", threads)}, nil }, "glibc", kept},
		{"glibc's, 32 bits", func(t *testing.T) ([]string, []string) { return []string{build(t, "gcc", threads, "-m32")}, nil }, "glibc", kept},
		{"a library that is opened later", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads), library(t, "libmimalloc.so.*")}, nil
		}, "glibc", kept},
		{"a library that comes behind libc", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads, "-Wl,--no-as-needed", "-lc", library(t, "libtcmalloc_minimal.so.4"))}, nil
		}, "glibc", kept},
		{"preloaded", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads)}, preload(library(t, "libmimalloc.so.*"))
		}, "mimalloc", other},
		{"linked before libc", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads, "-Wl,--no-as-needed", library(t, "libjemalloc.so.2"))}, nil
		}, "jemalloc", other},
		{"AddressSanitizer in a library", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads, "-fsanitize=address")}, nil
		}, "asan", other},
		{"AddressSanitizer in the program", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads, "-fsanitize=address", "-static-libasan")}, nil
		}, "asan", other},
		{"ThreadSanitizer in the program", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads, "-fsanitize=thread", "-static-libtsan")}, nil
		}, "tsan", other},
		{"a custom malloc in the program", func(t *testing.T) ([]string, []string) { return []string{build(t, "gcc", threads, own)}, nil },
			"", "the process uses the malloc of "},
		{"a custom malloc, 32 bits", func(t *testing.T) ([]string, []string) { return []string{build(t, "gcc", threads, own, "-m32")}, nil },
			"", "the process uses the malloc of "},
		{"a custom malloc, preloaded", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads)}, preload(shared(t))
		}, "", "the process uses the malloc of "},
		{"a custom malloc that calls glibc's", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads)}, preload(shared(t, "-DPASS"))
		}, "", kept},
		{"a program that takes malloc's address", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads, "-no-pie", "-fno-pie", "-Wl,-z,lazy", "-DADDRESS")}, nil
		}, "glibc", kept},
		{"a program that takes a preloaded malloc's address", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "gcc", threads, "-no-pie", "-fno-pie", "-DADDRESS")}, preload(library(t, "libjemalloc.so.2"))
		}, "jemalloc", other},
		{"musl's", func(t *testing.T) ([]string, []string) { return []string{build(t, "musl-gcc", threads)}, nil }, "musl", "musl has no arenas"},
		{"musl's, and a library that is opened later", func(t *testing.T) ([]string, []string) {
			return []string{build(t, "musl-gcc", threads), build(t, "musl-gcc", "testdata/libmimalloc.c", "-shared", "-fPIC")}, nil
		}, "musl", "musl has no arenas"},
		{"valgrind's", func(t *testing.T) ([]string, []string) {
			testenv.Need(t, "valgrind")
			return []string{"/usr/bin/valgrind", "-q", "--vgdb=no", build(t, "gcc", threads)}, nil
		}, "valgrind", other},
		{"glibc's under valgrind", func(t *testing.T) ([]string, []string) {
			testenv.Need(t, "valgrind")
			return []string{"/usr/bin/valgrind", "-q", "--vgdb=no", "--tool=none", build(t, "gcc", threads)}, nil
		}, "glibc", kept},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			argv, env := c.start(t)
			r := mustLook(t, start(t, append([]string{"MALLOC_ARENA_MAX=4", "PATH=/usr/bin:/bin"}, env...), argv...).process.Pid, nil)
			if r.Process.Allocator != c.allocator || !strings.Contains(r.Cap.Why, c.why) || (r.Cap.Kept == Yes) != (c.why == kept) {
				t.Errorf("malloc by %q in %q; %+v", r.Process.Allocator, r.Process.MallocIn, r.Cap)
			}
		})
	}
}
