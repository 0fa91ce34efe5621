package proc

import (
	"slices"
	"testing"
)

func TestParseChildren(t *testing.T) {
	for text, want := range map[string][]int{"": nil, "12 7 ": {12, 7}, "0 7 ": {7}, "x -1 7 4294967296": {7}} {
		if got := ParseChildren([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzChildren(f *testing.F) {
	f.Add([]byte("12 0 4194304 "))
	f.Fuzz(func(t *testing.T, text []byte) {
		if pids := ParseChildren(text); slices.ContainsFunc(pids, func(pid int) bool { return pid <= 0 || pid > 1<<31-1 }) {
			t.Errorf("%q: %v", text, pids)
		}
	})
}
