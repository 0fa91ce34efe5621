package watch

// This file computes the times of the samples.

import (
	"math"
	"time"
)

// never is a time that is never reached. Adding to it does not overflow.
const never time.Duration = math.MaxInt64 / 2

// nextSample is the time of the next sample, one interval after the last due time. It skips samples that were missed while
// the machine was asleep or too busy.
func nextSample(due, now, interval time.Duration) time.Duration {
	if next := due + interval; next > now {
		return next
	}
	return now + interval
}

// A peek is an extra reading of the target's size and children, soon after the start of a launch's watch. The first
// peek comes firstPeek after the start, the next ones every closePeek, until closeLook after the start; nextPeek has
// the later ones. So the watch finds the descendants of a launcher that ends quickly, if each parent lives for
// closePeek after it started a child.
const (
	firstPeek = 10 * time.Millisecond
	closePeek = 20 * time.Millisecond
	closeLook = 500 * time.Millisecond
)

// nextPeek is the time of the next peek; 0: there are no more. Because of the peeks, the summary of a short run has a
// peak that is not just the size at its start. After closeLook the time since the start doubles with each peek, until
// it reaches the interval. A peek does not compare the size with a limit. A peak between two readings is missed.
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
