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

// firstPeek is when the target's size is read for the first time after the first sample, which comes at its start.
const firstPeek = 10 * time.Millisecond

// nextPeek is when to read the target's size once more soon after its start, so that the end of a short run has a
// peak and not the size at its start: after 10 ms, 20, 40 and so on, until samples follow. These readings
// decide nothing, and a peak between two of any readings is not seen. 0 means no more.
func nextPeek(began, now, interval time.Duration) time.Duration {
	after := max(2*(now-began), firstPeek)
	if after >= interval {
		return 0
	}
	return began + after
}
