package inspect

import (
	"testing"

	"arenacap/launcher/environ"
	"arenacap/launcher/proc"
)

func TestOverwritten(t *testing.T) {
	cases := []struct {
		name, text  string
		overwritten bool
	}{
		{"empty", "", false},
		{"one", "A=1\x00", false},
		{"several", "A=1\x00B=\x00C=x=y\x00", false},
		{"no NUL at the end", "A=1\x00B=2", false},
		{"bytes that are no text", "A=\xff\xfe\n\x00", false},
		{"an empty name", "=1\x00", false},
		{"cleared by a title", "\x00\x00\x00", true},
		{"a title that spilled over", "process\x00ME=/root\x00", true},
		{"cleared behind a title", "A=1\x00\x00\x00\x00", true},
		{"an item that ld.so cut off", "GLIBC_TUNABLES=glibc.malloc.arena_max=3\x00garbage\x00A=1\x00", false},
	}
	for _, c := range cases {
		if got := proc.ParseEnviron([]byte(c.text)); overwritten(got) != c.overwritten {
			t.Errorf("%s: overwritten(%q) = %v", c.name, got, !c.overwritten)
		}
	}
}

// FuzzBeginning reads whatever stands in environ: memory that the process may have written over.
func FuzzBeginning(f *testing.F) {
	f.Add([]byte("A=1\x00MALLOC_ARENA_MAX=4\x00"), 4)
	f.Add([]byte("GLIBC_TUNABLES=glibc.malloc.arena_max=3\x00glibc.malloc.tcache_count=2\x00"), 3)
	f.Add([]byte("\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, env []byte, arenas int) {
		list := proc.ParseEnviron(env)
		overwritten(environ.Rejoin(list))
		c := base(glibc236, arenas, environ.Rejoin(list)...).judge()
		if c.Kept == Yes && (arenas > c.N || c.N < 1) {
			t.Fatalf("%d arenas under %+v", arenas, c)
		}
	})
}
