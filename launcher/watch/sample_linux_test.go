package watch

// These tests check the events and the peaks that follow from samples.

import (
	"fmt"
	"os"
	"testing"
	"time"

	"arenacap/launcher/arena"
)

func TestABreachComesAndGoes(t *testing.T) {
	c := startChild(t)
	s := watchIt(t, testConfig("growth=1073741824"), nil, c.pid())
	s.ready()
	c.ask(t, "map 2147483648", "ok")
	e := s.want("breach growth")
	if e.Value < 2048*MiB || e.Value > 3072*MiB || e.Limit != 1024*MiB || e.PID != c.pid() || e.Attribution == nil {
		t.Errorf("%+v", e)
	}
	c.ask(t, "unmap", "ok")
	s.want("recovered growth")
	_ = c.in.Close()
	s.want("exited")
	out := s.wait()[0]
	if out.Breaches != 1 || out.Terminated || out.PID != c.pid() || out.PeakVirtual < 2048*MiB || out.PeakResident == 0 || out.Elapsed <= 0 {
		t.Errorf("%+v", out)
	}
}

// Reserved address space counts neither for a limit on data nor for one on resident memory.
func TestReservationsAreNoData(t *testing.T) {
	c := startChild(t)
	p := mustHold(t, c.pid())
	base, _ := p.sample()
	cfg := testConfig(fmt.Sprintf("data=%d resident=%d", base.Data.Bytes()+64*MiB, base.Resident.Bytes()+64*MiB))
	cfg.Budget.WarnAt = 100
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	c.ask(t, "map 1073741824", "ok")
	s.silent()
	c.ask(t, "touch 104857600", "ok")
	for got := map[string]bool{}; !got["breach data"] || !got["breach resident"]; { // resident memory grows gradually, so a warning may come first
		got[s.next().String()] = true
	}
}

// The arenas are counted when the size has changed. The cap is judged after the first count, and again when there are
// more arenas.
func TestTheCapIsJudged(t *testing.T) {
	for _, test := range []struct {
		name     string
		counts   []int
		unlinked int
		notices  []string
		want     []string
	}{
		{"kept", []int{3, 3}, 0, nil, []string{"cap-verified"}},
		{"kept, and again with more arenas", []int{3, 4}, 0, nil, []string{"cap-verified", "cap-verified"}},
		{"not kept, which is told once", []int{5, 6}, 0, nil, []string{"cap-not-kept"}},
		{"kept and later not", []int{2, 5}, 0, nil, []string{"cap-verified", "cap-not-kept"}},
		{"known not to work: being under it verifies nothing", []int{1, 2}, 0, []string{"jemalloc is linked"}, []string{"cap-not-kept"}},
		{"kept as far as is known, but there may be more", []int{3, 4}, 1, nil, nil},
		{"not kept, however many more there are", []int{3, 5}, 1, nil, []string{"cap-not-kept"}},
		{"no glibc, no arenas", []int{0, 0}, 0, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := startChild(t)
			cfg := testConfig("virtual=9223372036854775807")
			cfg.Cap, cfg.Notices = 4, test.notices
			// The channel "judged" gets a value when the engine first reads its clock after a count. By then it has
			// judged the count.
			judged := make(chan struct{}, 1000)
			counted := false
			s := watchIt(t, cfg, func(e *engine) {
				e.probes.count = func(int) (arena.Census, error) {
					n := test.counts[0]
					test.counts = test.counts[min(1, len(test.counts)-1):]
					counted = true
					return arena.Census{Arenas: n, Reserved: 64 * MiB, Unlinked: test.unlinked}, nil
				}
				e.clock = func() time.Duration {
					if counted {
						counted = false
						judged <- struct{}{}
					}
					return sinceBoot()
				}
			}, c.pid())
			s.want("started")
			s.closed(s.settled, "the first sample")
			s.closed(judged, "the first count")
			c.ask(t, "map 104857600", "ok")
			s.closed(judged, "a count after the size had moved")
			_ = c.in.Close()
			for _, want := range test.want {
				s.want(want)
			}
			s.want("exited")
		})
	}
}

// Even if the size is far below its limit, a sample is taken at every interval: a size that is high in one interval
// only is the peak.
func TestEveryIntervalIsSampled(t *testing.T) {
	s := simulate(t, testConfig("virtual=9223372036854775807"))
	for i := range 100 {
		size := uint64(4 * MiB)
		if i == 57 {
			size = 36 * MiB
		}
		s.sample(size)
		if want := s.w.began + time.Duration(i+1)*s.w.cfg.Budget.Interval; s.now != want {
			t.Fatalf("after %d samples the next one is %s after the first", i+1, s.now-s.w.began)
		}
	}
	if s.w.outcome.PeakVirtual != 36*MiB {
		t.Errorf("the peak is %d bytes", s.w.outcome.PeakVirtual)
	}
}

// The peak of a run that ends before the second sample is not just its size at the start.
func TestThePeakOfAShortRun(t *testing.T) {
	c := startChild(t)
	cfg := testConfig("virtual=9223372036854775807")
	cfg.Budget.Interval = time.Hour
	turns := make(chan struct{}, 1000) // with an interval of an hour, each turn after the first sample is only an extra reading (see nextPeek)
	s := watchIt(t, cfg, func(e *engine) {
		e.clock = func() time.Duration {
			turns <- struct{}{}
			return sinceBoot()
		}
	}, c.pid())
	s.ready()
	c.ask(t, "map 68719476736", "ok")
	for range len(turns) + 4 { // two turns more, of two clock readings each: the current turn may have read the size before "map"
		s.closed(turns, "a turn")
	}
	_ = c.in.Close()
	s.want("exited")
	if out := s.wait()[0]; out.PeakVirtual < 64<<30 || out.PeakResident == 0 {
		t.Errorf("%+v", out)
	}
}

func TestTheBudgetOfArenas(t *testing.T) {
	c := startChild(t)
	s := watchIt(t, testConfig("arenas=134217728"), func(e *engine) {
		e.probes.count = func(int) (arena.Census, error) { return arena.Census{Arenas: 4, Reserved: 192 * MiB}, nil }
	}, c.pid())
	s.ready()
	if e := s.want("breach arenas"); e.Value != 192*MiB {
		t.Errorf("%+v", e)
	}
}

// Arenas that cannot be counted are reported once, with all that is not checked, and make no breach.
func TestArenasThatCannotBeCounted(t *testing.T) {
	for _, test := range []struct {
		limits    string
		cap       int
		unchecked string
	}{
		{"arenas=1", 0, "the limit on arenas is"},
		{"arenas=1", 4, "the limit on arenas and the cap are"},
		{"virtual=9223372036854775807", 4, "the cap is"},
	} {
		t.Run(test.unchecked, func(t *testing.T) {
			c := startChild(t)
			cfg := testConfig(test.limits)
			cfg.Cap, cfg.Verbose = test.cap, true
			s := watchIt(t, cfg, func(e *engine) {
				e.probes.count = func(int) (arena.Census, error) { return arena.Census{}, os.ErrPermission }
			}, c.pid())
			s.want("started")
			s.closed(s.settled, "the first sample")
			want := fmt.Sprintf("%s not checked, the rest of the watch goes on: the arenas of process %d cannot be counted: permission denied", test.unchecked, c.pid())
			if e := s.want("watch-failed"); e.Message != want {
				t.Errorf("%+v, want the message %q", e, want)
			}
			c.ask(t, "map 104857600", "ok")
			s.silent()
		})
	}
}
