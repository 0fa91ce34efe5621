package watch

// When samples are due.

import (
	"math"
	"time"
)

// never is a time that does not come, with room to add to it.
const never time.Duration = math.MaxInt64 / 2

// nextSample is when to sample again: on the grid that the interval makes, and no catching up on what was
// missed while the machine slept or was too busy.
func nextSample(due, now, interval time.Duration) time.Duration {
	if next := due + interval; next > now {
		return next
	}
	return now + interval
}

// firstPeek is when the target is looked at for the first time after the first sample, and closePeek how often then for
// as long as closeLook: the descendants of a launcher that ends quickly are found if their parents lived for closePeek.
const (
	firstPeek = 10 * time.Millisecond
	closePeek = 20 * time.Millisecond
	closeLook = 500 * time.Millisecond
)

// nextPeek is when to look once more soon after the start, for the target's peak and its children: the end of a short run
// has a peak then and not the size at its start. Closely at first, then each time after as long again, until samples
// follow. These readings decide nothing, and a peak between two of any is not seen. 0 means no more.
func nextPeek(began, now, interval time.Duration) time.Duration {
	after := now - began + closePeek
	switch {
	case now == began:
		after = firstPeek
	case now-began >= closeLook:
		after = 2 * (now - began)
	}
	if after >= max(interval, closeLook) {
		return 0
	}
	return began + after
}
