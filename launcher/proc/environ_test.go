package proc

import (
	"slices"
	"strings"
	"testing"
)

func TestParseEnviron(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"one", "A=1\x00", []string{"A=1"}},
		{"several", "A=1\x00B=\x00C=x=y\x00", []string{"A=1", "B=", "C=x=y"}},
		{"no NUL at the end", "A=1\x00B=2", []string{"A=1", "B=2"}},
		{"bytes that are no text", "A=\xff\xfe\n\x00", []string{"A=\xff\xfe\n"}},
		{"an empty name", "=1\x00", []string{"=1"}},
		{"an empty string", "\x00", []string{""}},
		{"empty strings", "\x00\x00\x00", []string{"", "", ""}},
	} {
		if got := ParseEnviron([]byte(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzEnviron(f *testing.F) {
	f.Add([]byte("A=1\x00MALLOC_ARENA_MAX=4\x00"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list := ParseEnviron(text)
		if joined := strings.Join(list, "\x00"); joined != strings.TrimSuffix(string(text), "\x00") || (list == nil) != (len(text) == 0) {
			t.Errorf("%q came back as %q", text, joined)
		}
	})
}
