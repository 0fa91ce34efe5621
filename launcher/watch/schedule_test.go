package watch

import (
	"slices"
	"testing"
	"time"
)

func TestNextSample(t *testing.T) {
	for _, test := range []struct {
		name           string
		due, now, want time.Duration
	}{
		{"on time", 10, 10, 20},
		{"late by less than an interval stays on the grid", 10, 19, 20},
		{"a whole interval late", 10, 20, 30},
		{"hours late, as after a suspend", 10, 7205, 7215},
	} {
		if got := nextSample(test.due, test.now, 10); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestNextPeek(t *testing.T) {
	var got []time.Duration
	for at := nextPeek(7, 7, time.Second); at != 0; at = nextPeek(7, at, time.Second) {
		got = append(got, (at-7)/time.Millisecond)
	}
	var want []time.Duration
	for at := firstPeek; at < closeLook+closePeek; at += closePeek {
		want = append(want, at/time.Millisecond)
	}
	if !slices.Equal(got, want) || len(want) != 26 {
		t.Errorf("after %v ms, want %v", got, want)
	}
	if at := nextPeek(7, 7+510*time.Millisecond, time.Minute); at != 7+1020*time.Millisecond {
		t.Errorf("with a long interval at %v", at-7)
	}
	if at := nextPeek(7, 7+490*time.Millisecond, 10*time.Millisecond); at != 0 {
		t.Errorf("with a short interval at %d after half a second, want none", at)
	}
}
