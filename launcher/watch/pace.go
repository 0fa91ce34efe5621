package watch

import "time"

// The pace of samples. Between two samples that mean nothing the engine may leave some out, but only such as can mean
// nothing either: on the grid that `interval` makes, the next one stands where the address space, growing by one
// arena in 10 ms, could just have reached the lowest warn_at of all limits. What is left out would have been votes
// against a warning and against a breach, and where there are such votes only (see calm), more of them change
// nothing. So a breach is known at the very sample at which a fixed pace would know it.
//
// All metrics are parts of the address space: resident and private memory and arenas lie inside it, growth is
// counted from a fixed size. Each can grow by itself faster than one arena in 10 ms, where memory is touched or
// made writable that was reserved before, but none can be larger than the whole. Hence the distance is that
// from VmSize to the level. A server that reserves far more than its limit of resident memory is therefore sampled
// at every interval.
//
// A growth that is faster, as one large mmap(2), is seen at the next sample: slowest bounds how late that is.

const (
	arenaBytes = 64 << 20              // HEAP_MAX_SIZE on 64-bit, see package arena
	arenaTime  = 10 * time.Millisecond // in which the address space grows by no more
	slowest    = time.Second           // no pace is slower, but for an interval that is
)

// pace is the time to the next sample, whole intervals, where headroom bytes are left to the nearest level.
//
//go:nosplit
func pace(headroom uint64, interval time.Duration) time.Duration {
	headroom -= min(headroom, arenaBytes)                                         // an arena comes at once
	reach := time.Duration(min(headroom, 1<<33) * uint64(arenaTime) / arenaBytes) // 8 GiB in 1.28 s, no overflow
	return max(min(reach, slowest)/interval, 1) * interval
}

// nextSample is when to sample again: on the grid that the interval makes, and no catching up on what was
// missed while the machine slept or was too busy. wait is from pace.
//
//go:nosplit
func nextSample(due, now, wait time.Duration) time.Duration {
	if next := due + wait; next > now {
		return next
	}
	return now + wait
}

// firstPeek is when the target's size is read for the first time after the first sample, which comes at its start.
const firstPeek = 10 * time.Millisecond

// nextPeek is when to read the target's size once more soon after its start, so that the end of a short run tells a
// peak and not the size at its start: after 10 ms, 20, 40 and so on, until samples follow. These readings
// decide nothing, and a peak between two of any readings is not seen. 0 is no more.
func nextPeek(began, now, interval time.Duration) time.Duration {
	after := max(2*(now-began), firstPeek)
	if after >= max(interval, slowest) {
		return 0
	}
	return began + after
}
