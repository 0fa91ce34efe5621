package watch

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// TestAYearOfSamples takes as many samples as a watch with an interval of a minute takes in a year, on a simulated
// clock. The watch must not use more memory or descriptors at the end. The target breaches its budget and recovers
// every day.
func TestAYearOfSamples(t *testing.T) {
	const day = 24 * time.Hour
	c := startChild(t)
	cfg := testConfig("growth=1073741824")
	cfg.Budget.Interval = time.Minute
	e, err := newEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	e.log = &eventLog{fd: 2, write: func(int, []byte) error { said++; return nil }}
	e.probes = noProbes
	now := sinceBoot()
	e.clock = func() time.Duration { return now }
	w := e.add(mustHold(t, c.pid()))
	defer e.close()
	w.turn(now) // this turn records the size from which growth is measured
	days := func(n int) {
		for range n {
			c.ask(t, "map 2147483648", "ok")
			half := day / 2
			for end := now + half; now < end; now += time.Minute {
				w.turn(now)
			}
			c.ask(t, "unmap", "ok")
			for end := now + half; now < end; now += time.Minute {
				w.turn(now)
			}
		}
	}
	days(5)
	heap, open, goroutines := inUse(t)
	days(360)
	heapAfter, openAfter, goroutinesAfter := inUse(t)
	if heapAfter > heap+64<<10 || openAfter != open || goroutinesAfter != goroutines {
		t.Errorf("after a year %d bytes, %d descriptors and %d goroutines instead of %d, %d and %d",
			heapAfter, openAfter, goroutinesAfter, heap, open, goroutines)
	}
	if w.outcome.Breaches < 300 || said < 2*w.outcome.Breaches {
		t.Errorf("%d breaches and %d events in a year with one a day", w.outcome.Breaches, said)
	}
}

func inUse(t *testing.T) (heap uint64, open, goroutines int) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return m.HeapAlloc, len(names), runtime.NumGoroutine()
}
