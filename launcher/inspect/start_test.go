package inspect

import (
	"testing"

	"arenacap/launcher/environ"
	"arenacap/launcher/proc"
	"arenacap/launcher/target"
)

func TestOverwritten(t *testing.T) {
	cases := []struct {
		name, text  string
		title       target.Answer
		overwritten bool
	}{
		{"empty", "", target.No, false},
		{"one", "A=1\x00", target.No, false},
		{"several", "A=1\x00B=\x00C=x=y\x00", target.No, false},
		{"no NUL at the end", "A=1\x00B=2", target.No, false},
		{"bytes that are not text", "A=\xff\xfe\n\x00", target.No, false},
		{"an empty name", "=1\x00", target.No, false},
		{"cleared by a title", "\x00\x00\x00", target.No, true},
		{"a title that spilled over", "process\x00ME=/root\x00", target.Yes, true},
		{"a title that spilled over as a variable", "MALLOC_ARENA_MAX=2\x00", target.Yes, true},
		{"no variable, and no title", "A=1\x00MALLOC_ARENA_MAX\x00", target.No, false},
		{"no variable, and perhaps a title", "A=1\x00MALLOC_ARENA_MAX\x00", target.Unknown, true},
		{"cleared behind a title", "A=1\x00\x00\x00\x00", target.No, true},
		{"an item that ld.so cut off", "GLIBC_TUNABLES=glibc.malloc.arena_max=3\x00garbage\x00A=1\x00", target.No, false},
	}
	for _, c := range cases {
		if got := proc.ParseEnviron([]byte(c.text)); overwritten(got, c.title) != c.overwritten {
			t.Errorf("%s: overwritten(%q) = %v", c.name, got, !c.overwritten)
		}
	}
}

// FuzzBeginning parses arbitrary text as /proc/PID/environ, since the process may have overwritten that memory.
func FuzzBeginning(f *testing.F) {
	f.Add([]byte("A=1\x00MALLOC_ARENA_MAX=4\x00"), 4)
	f.Add([]byte("GLIBC_TUNABLES=glibc.malloc.arena_max=3\x00glibc.malloc.tcache_count=2\x00"), 3)
	f.Add([]byte("\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, env []byte, arenas int) {
		list := proc.ParseEnviron(env)
		overwritten(environ.Rejoin(list), target.Unknown)
		c := base(glibc236, arenas, environ.Rejoin(list)...).judge()
		if c.Kept == Yes && (arenas > c.N || c.N < 1) {
			t.Fatalf("%d arenas under %+v", arenas, c)
		}
	})
}
