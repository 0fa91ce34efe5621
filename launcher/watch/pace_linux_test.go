package watch

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
	"arenacap/policy"
)

// curve is a process's memory over time, a step each stepTime, in bytes.
type curve []reading

const stepTime = time.Millisecond

// newCurve grows by at most one arena in 10 ms, steadily or an arena at once, and shrinks as it likes. Often it passes a
// level that counts for a moment only, again and again: votes of which some are left out would then count for too long.
// Resident and private memory move freely below it, and arenas are all that lies over the start.
func newCurve(r *rand.Rand, cfg Config, length time.Duration) (c curve) {
	const perStep = arenaBytes / uint64(arenaTime/stepTime) &^ 4095
	start := 1<<28 + uint64(r.IntN(8))<<30
	levels := levelsOf(cfg, start)
	virtual, slope, leaps, left, since := start, uint64(0), false, 0, arenaTime
	resident, data := 1.0, 1.0
	level, over := uint64(math.MaxUint64), 0
	for range int(length / stepTime) {
		if left == 0 { // a new stretch
			left = 1 + r.IntN(400)
			slope = []uint64{0, 0, perStep / 50, perStep / 3, perStep}[r.IntN(5)] &^ 4095
			leaps = r.IntN(2) == 0
			if r.IntN(3) == 0 {
				virtual = start + uint64(r.Float64()*float64(virtual-start))&^4095
			}
			if r.IntN(2) == 0 {
				resident, data = min(1, 2*r.Float64()), min(1, 2*r.Float64())
			}
			level, over = levels[r.IntN(len(levels))], r.IntN(30)
			if level != math.MaxUint64 {
				left, slope = left*5, perStep
			}
		}
		left--
		since += stepTime
		switch {
		case leaps && slope == perStep && since >= arenaTime:
			virtual, since = virtual+arenaBytes, 0
		case !leaps && since >= arenaTime:
			virtual += slope
		}
		if virtual > level {
			if over--; over < 0 {
				virtual -= min(virtual-start, uint64(r.IntN(2<<10))<<20)
				over = r.IntN(30)
			}
		}
		c = append(c, reading{virtual: virtual, processes: 1, arenasKnown: true, arenas: virtual - start,
			data: uint64(data*float64(virtual)) &^ 4095, resident: uint64(resident*float64(virtual)) &^ 4095})
	}
	return c
}

// levelsOf is what VmSize passes when a metric becomes a warning or a breach, and as often nothing.
func levelsOf(cfg Config, start uint64) (levels []uint64) {
	for _, l := range cfg.Limits {
		var base uint64
		if l.Metric == "growth" || l.Metric == "arenas" {
			base = start
		}
		levels = append(levels, math.MaxUint64, base+percentOf(l.Bytes, cfg.Budget.WarnAt), math.MaxUint64, base+l.Bytes)
	}
	return append(levels, math.MaxUint64)
}

func (c curve) at(t time.Duration) reading { return c[min(int(t/stepTime), len(c)-1)] }

// step is a change at a time.
type step struct {
	at           time.Duration
	kind, metric string
}

// late is how late a sample is that was due then; the same for every pace.
func late(due, interval time.Duration) time.Duration {
	return time.Duration(uint64(due/interval)*2654435761>>8%100) * interval / 200
}

// fixedPace is what the state machine says with a sample at every interval, and at which of them a metric has reached
// its warn_at.
func fixedPace(c curve, cfg Config, end time.Duration) (steps []step, high []time.Duration) {
	s := newState(cfg.Limits, cfg.Budget, cfg.Budget.Settle)
	for due := time.Duration(0); due < end; due += cfg.Budget.Interval {
		now := due + late(due, cfg.Budget.Interval)
		r := c.at(now)
		if now >= s.settleEnds && slices.ContainsFunc(s.meters, func(m meter) bool {
			v, _ := s.value(m.limit.Metric, r)
			return v > m.warning.rise
		}) {
			high = append(high, due)
		}
		for _, change := range s.observe(now, r, func() (reading, bool) { return r, true }) {
			steps = append(steps, step{due, change.kind, change.metric})
		}
	}
	return steps, high
}

// ownPace is what the engine says, which chooses when to sample. It reads a statm that follows the curve.
func ownPace(t *testing.T, c curve, cfg Config, end time.Duration) (steps []step, sampled map[time.Duration]bool) {
	t.Helper()
	fd, err := unix.MemfdCreate("statm", unix.MFD_CLOEXEC)
	must(t, err)
	e, err := newEngine(cfg)
	must(t, err)
	defer e.close()
	var now, due time.Duration
	e.clock = func() time.Duration { return now }
	e.probes = noProbes
	e.probes.count = func(int) (arena.Census, error) { return arena.Census{Reserved: c.at(now).arenas}, nil }
	e.log = &journal{fd: 2, write: func(_ int, line []byte) error {
		var event told
		must(t, json.Unmarshal(line, &event))
		steps = append(steps, step{due, event.Event, event.Metric})
		return nil
	}}
	w := e.add(&process{pid: 1 << 22, pidfd: e.epoll, dir: -1, statm: fd}) // any descriptor that says of no end
	w.peek = 0
	sampled = map[time.Duration]bool{}
	for due < end {
		now = due + late(due, cfg.Budget.Interval)
		writeStatm(t, fd, c.at(now))
		if _, calm := e.tend(now); !calm {
			e.turns(now)
		}
		sampled[due], due = true, w.due
	}
	w.herd.target.pidfd = -1 // it is the engine's
	return steps, sampled
}

func writeStatm(t *testing.T, fd int, r reading) {
	t.Helper()
	line := fmt.Sprintf("%d %d 0 0 0 %d 0\n", r.virtual/pageSize, r.resident/pageSize, r.data/pageSize)
	must(t, unix.Ftruncate(fd, 0))
	_, err := unix.Pwrite(fd, []byte(line), 0)
	must(t, err)
}

// randomBudget draws limits of any metrics, and how they are judged.
func randomBudget(r *rand.Rand) Config {
	cfg := testConfig("")
	cfg.Budget.Interval = []time.Duration{10, 10, 20, 50, 130, 400, 1000}[r.IntN(7)] * time.Millisecond
	cfg.Budget.Settle = time.Duration(r.IntN(3)*333) * time.Millisecond
	of := 1 + r.IntN(6)
	cfg.Budget.Breach = policy.Window{N: 1 + r.IntN(of), Of: of}
	cfg.Budget.WarnAt = 50 + r.IntN(51)
	for _, metric := range []string{"virtual", "growth", "data", "resident", "arenas"} {
		if r.IntN(2) == 0 {
			cfg.Limits = append(cfg.Limits, policy.Limit{Metric: metric, Bytes: uint64(1+r.IntN(20<<10)) << 20})
		}
	}
	return cfg
}

// samePace wants a watch that leaves samples out to know of every change at the very sample at which one knows that takes
// them all, and to take every sample at which a metric has reached its warn_at.
func samePace(t *testing.T, r *rand.Rand, length time.Duration) (fixed, own, changes int) {
	t.Helper()
	cfg := randomBudget(r)
	c := newCurve(r, cfg, length)
	want, high := fixedPace(c, cfg, length)
	got, sampled := ownPace(t, c, cfg, length)
	if !slices.Equal(got, want) {
		t.Errorf("%s, %v: at its own pace\n%v\nat a fixed one\n%v", cfg.Budget.Interval, cfg.Limits, got, want)
	}
	for _, due := range high {
		if !sampled[due] {
			t.Errorf("%s, %v: from warn_at on it samples at each interval, but not at %s", cfg.Budget.Interval, cfg.Limits, due)
			break
		}
	}
	return int(length / cfg.Budget.Interval), len(sampled), len(want)
}

// Whatever the metric, the window and the lateness, a size that grows by no more than one arena in 10 ms is judged as by
// fixed sampling: no interval later, where one is allowed.
func TestNoPaceIsLate(t *testing.T) {
	fixed, own, changes := 0, 0, 0
	for seed := range uint64(240) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			f, o, c := samePace(t, rand.New(rand.NewPCG(seed, 7)), 8*time.Second)
			fixed, own, changes = fixed+f, own+o, changes+c
		})
	}
	t.Logf("%d samples instead of %d, %d changes", own, fixed, changes)
	if own > fixed*3/4 || changes < 100 {
		t.Errorf("%d samples instead of %d and %d changes: this shows nothing", own, fixed, changes)
	}
}

// choices is a source of random numbers that the fuzzer steers, as long as its input lasts.
type choices struct {
	input []byte
	rest  rand.Source
}

func (c *choices) Uint64() uint64 {
	if len(c.input) == 0 {
		return c.rest.Uint64()
	}
	n := uint64(c.input[0])
	c.input = c.input[1:]
	return n << 56 // what counts for a choice between a few is the upper end
}

func FuzzPace(f *testing.F) {
	f.Add(uint64(1), []byte(""))
	f.Add(uint64(2), []byte("\x00\x80\xff\xff\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, seed uint64, input []byte) {
		samePace(t, rand.New(&choices{input, rand.NewPCG(seed, 7)}), 2*time.Second)
	})
}

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name     string
		headroom uint64
		interval time.Duration
		want     time.Duration
	}{
		{"over the level", 0, 10 * ms, 10 * ms},
		{"one arena may come at any moment", 64 << 20, 10 * ms, 10 * ms},
		{"1 GiB is 15 arenas more", 1 << 30, 10 * ms, 150 * ms},
		{"whole intervals", 1 << 30, 40 * ms, 120 * ms},
		{"far away", 1 << 62, 10 * ms, time.Second},
		{"far away, and no grid of whole seconds", 1 << 62, 300 * ms, 900 * ms},
		{"no faster than the interval", 1 << 62, time.Minute, time.Minute},
	} {
		if got := pace(test.headroom, test.interval); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// Neither the first sample after settle nor the one before is left out.
func TestSettleIsMet(t *testing.T) {
	c := calm{on: true, until: 1234, nearest: 1 << 62}
	for _, test := range []struct{ due, want time.Duration }{{0, 1200}, {1200, 100}, {1233, 100}, {1134, 100}, {1034, 200}} {
		if got := c.wait(test.due, 100, 0); got != test.want {
			t.Errorf("from %d on it waits %d, want %d", test.due, got, test.want)
		}
	}
}
