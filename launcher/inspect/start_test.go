package inspect

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"arenacap/launcher/environ"
	"arenacap/policy"
)

func TestSplitEnviron(t *testing.T) {
	cases := []struct {
		name, text  string
		want        []string
		overwritten bool
	}{
		{"empty", "", nil, false},
		{"one", "A=1\x00", []string{"A=1"}, false},
		{"several", "A=1\x00B=\x00C=x=y\x00", []string{"A=1", "B=", "C=x=y"}, false},
		{"no NUL at the end", "A=1\x00B=2", []string{"A=1", "B=2"}, false},
		{"bytes that are no text", "A=\xff\xfe\n\x00", []string{"A=\xff\xfe\n"}, false},
		{"an empty name", "=1\x00", []string{"=1"}, false},
		{"cleared by a title", "\x00\x00\x00", []string{"", "", ""}, true},
		{"a title that spilled over", "process\x00ME=/root\x00", []string{"process", "ME=/root"}, true},
		{"cleared behind a title", "A=1\x00\x00\x00\x00", []string{"A=1", "", "", ""}, true},
		{"an item that ld.so cut off", "GLIBC_TUNABLES=glibc.malloc.arena_max=3\x00garbage\x00A=1\x00",
			[]string{"GLIBC_TUNABLES=glibc.malloc.arena_max=3", "garbage", "A=1"}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := splitEnviron([]byte(c.text))
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if overwritten(got) != c.overwritten {
				t.Errorf("overwritten(%q) = %v", got, !c.overwritten)
			}
		})
	}
}

func TestIsSecure(t *testing.T) {
	pairs := func(size int, values ...uint64) []byte {
		var b []byte
		for _, v := range values {
			if size == 4 {
				b = binary.NativeEndian.AppendUint32(b, uint32(v))
			} else {
				b = binary.NativeEndian.AppendUint64(b, v)
			}
		}
		return b
	}
	cases := []struct {
		name string
		text []byte
		bits int
		want bool
	}{
		{"empty", nil, 64, false},
		{"secure", pairs(8, 6, 4096, 23, 1, 0, 0), 64, true},
		{"not secure", pairs(8, 6, 4096, 23, 0, 0, 0), 64, false},
		{"32-bit secure", pairs(4, 6, 4096, 23, 1, 0, 0), 32, true},
		{"32-bit not secure", pairs(4, 6, 23, 23, 0, 0, 0), 32, false},
		{"a value of 23 is no type", pairs(8, 23+1, 23, 6, 1), 64, false},
		{"cut in the middle", pairs(8, 6, 4096, 23), 64, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := isSecure(c.text, c.bits); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
	if own, err := os.ReadFile("/proc/self/auxv"); err != nil || isSecure(own, 64) {
		t.Errorf("this test runs in secure mode, or has no auxv: %v", err)
	}
}

func TestGlibcVersion(t *testing.T) {
	for s, want := range map[string]policy.GlibcVersion{
		"2.36": {Major: 2, Minor: 36}, "2.4": {Major: 2, Minor: 4}, "3.0": {Major: 3}, "": {}, "2": {}, "2.x": {}, "2.36.1": {},
	} {
		if got := glibcVersion(s, 64); got != want {
			t.Errorf("%q: got %+v, want %+v", s, got, want)
		}
		if got := glibcVersion(s, 32); !got.Bits32 {
			t.Errorf("%q: %+v is not 32-bit", s, got)
		}
	}
}

// FuzzBeginning reads whatever stands in environ and auxv: memory that the process may have written over.
func FuzzBeginning(f *testing.F) {
	f.Add([]byte("A=1\x00MALLOC_ARENA_MAX=4\x00"), []byte("\x17\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"), 4)
	f.Add([]byte("GLIBC_TUNABLES=glibc.malloc.arena_max=3\x00glibc.malloc.tcache_count=2\x00"), []byte{}, 3)
	f.Add([]byte("\x00\x00"), []byte{1, 2, 3}, 1)
	f.Fuzz(func(t *testing.T, env, auxv []byte, arenas int) {
		list := splitEnviron(env)
		if joined := strings.Join(list, "\x00"); joined != strings.TrimSuffix(string(env), "\x00") {
			t.Fatalf("%q came back as %q", env, joined)
		}
		isSecure(auxv, 64)
		isSecure(auxv, 32)
		overwritten(environ.Rejoin(list))
		c := base(glibc236, arenas, environ.Rejoin(list)...).judge()
		if c.Kept == Yes && (arenas > c.N || c.N < 1) {
			t.Fatalf("%d arenas under %+v", arenas, c)
		}
	})
}
