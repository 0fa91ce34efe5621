package watch

import "time"

// nextSample is when to sample again: on the grid that the interval makes, and no catching up on what was
// missed while the machine slept or was too busy. With nextPeek the place that decides on the pace.
func nextSample(due, now, interval time.Duration) time.Duration {
	if next := due + interval; next > now {
		return next
	}
	return now + interval
}

// firstPeek is when the target's size is read for the first time after the first sample, which comes at its start.
const firstPeek = 10 * time.Millisecond

// nextPeek is when to read the target's size once more between its start and the second sample, so that the end of a
// short run tells a peak and not the size at its start: after 10 ms, 20, 40 and so on. These readings decide
// nothing, and a peak between two of any readings is not seen. 0 is no more.
func nextPeek(began, now, interval time.Duration) time.Duration {
	after := max(2*(now-began), firstPeek)
	if after >= interval {
		return 0
	}
	return began + after
}
