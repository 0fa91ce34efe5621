package watch

import "time"

// nextSample is when to sample again: on the grid that the interval makes, and no catching up on what was
// missed while the machine slept or was too busy. The one place that decides on the pace.
func nextSample(due, now, interval time.Duration) time.Duration {
	if next := due + interval; next > now {
		return next
	}
	return now + interval
}
