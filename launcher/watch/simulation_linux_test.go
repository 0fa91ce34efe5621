package watch

// In a simulation the test sets the sizes of the watched process and the clock of the engine.

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
)

// simulation is an engine with one process. The test sets the process's sizes and the engine's clock.
type simulation struct {
	t     *testing.T
	w     *watched
	statm int // a memory file instead of the process's statm
	now   time.Duration
	bytes uint64 // the current size in bytes of the virtual size, data, resident memory and arenas alike
	lines string // text of the log
}

func simulate(t *testing.T, cfg Config) *simulation {
	t.Helper()
	s := &simulation{t: t, now: sinceBoot()}
	var err error
	s.statm, err = unix.MemfdCreate("statm", unix.MFD_CLOEXEC)
	must(t, err)
	e, err := newEngine(cfg)
	must(t, err)
	e.clock = func() time.Duration { return s.now }
	e.probes = noProbes
	e.probes.count = func(int) (arena.Census, error) { return arena.Census{Arenas: 1, Reserved: s.bytes}, nil }
	e.log = &eventLog{fd: 2, write: func(_ int, line []byte) error {
		s.lines += string(line)
		return nil
	}}
	s.w = e.add(&process{pid: 1 << 22, pidfd: e.epoll, dir: -1, statm: s.statm}) // any descriptor that poll(2) does not report as readable
	s.w.peek = 0
	s.w.start()
	t.Cleanup(func() {
		s.w.scope.target.pidfd = -1 // this descriptor belongs to the engine, so the target must not close it
		e.close()
	})
	return s
}

// sample sets the sizes, lets the engine take one sample and advances the clock to the next one.
func (s *simulation) sample(bytes uint64) {
	s.t.Helper()
	s.bytes = bytes
	pages := bytes / uint64(os.Getpagesize())
	line := fmt.Sprintln(pages, pages, pages, pages, pages, pages, pages)
	must(s.t, unix.Ftruncate(s.statm, 0))
	_, err := unix.Pwrite(s.statm, []byte(line), 0)
	must(s.t, err)
	s.now, _ = s.w.turns(s.now)
}

// said returns the lines that were logged since the previous call.
func (s *simulation) said() (lines string) {
	lines, s.lines = s.lines, ""
	return lines
}

// After more than three intervals, and more than leastGap, without a sample, the watch reports one gap when it samples
// again. It does not report a shorter time.
func TestGap(t *testing.T) {
	for _, test := range []struct {
		interval, pause time.Duration
		want            string
	}{
		{time.Second, 1999 * time.Millisecond, ""},
		{time.Second, 2001 * time.Millisecond, "gap: no sample for 3.001s, although the interval is 1s; "},
		{time.Second, 8 * time.Hour, "gap: no sample for 8h0m1s, although the interval is 1s; "},
		{10 * time.Millisecond, 480 * time.Millisecond, ""},
		{10 * time.Millisecond, 500 * time.Millisecond, "gap: no sample for 510ms, although the interval is 10ms; "},
	} {
		t.Run(fmt.Sprintf("%s after %s", test.interval, test.pause), func(t *testing.T) {
			cfg := testConfig("virtual=1073741824")
			cfg.Budget.Interval, cfg.Log.Format = test.interval, "text"
			s := simulate(t, cfg)
			s.sample(MiB)
			s.sample(MiB)
			s.now += test.pause
			s.sample(MiB)
			s.sample(MiB)
			if got := s.said(); !strings.Contains(got, test.want) || strings.Count(got, "\n") != min(len(test.want), 1) {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}

// Targets that share a log write one line about a gap together, and one about the next gap.
func TestGapOfMany(t *testing.T) {
	cfg := testConfig("virtual=1073741824")
	cfg.Log.Format = "text"
	s := simulate(t, cfg)
	second := s.w.add(&process{pid: 1<<22 + 1, pidfd: -1, dir: -1, statm: -1})
	for range 2 {
		s.now += time.Hour
		s.w.reportGap(s.now)
		second.reportGap(s.now + time.Millisecond)
		if got := s.said(); strings.Count(got, "gap: ") != 1 {
			t.Errorf("it says %q, want one gap", got)
		}
		s.now += 2 * time.Millisecond
	}
}

// When a full disk has space again, the next sample reports how many lines were lost (log-failed), even without another
// event.
func TestLogFailed(t *testing.T) {
	cfg := testConfig("virtual=1073741824")
	cfg.Log.Format = "text"
	s := simulate(t, cfg)
	full := true
	s.w.log.write = func(_ int, line []byte) error {
		if full {
			return unix.ENOSPC
		}
		s.lines += string(line)
		return nil
	}
	for range 5 {
		s.sample(2 << 30) // a breach
	}
	full = false
	for range 3 {
		s.sample(2 << 30)
	}
	if got, want := s.said(), "arenacap: authserver[4194304]: log-failed: number of lines that were lost because this log could not be written: 1\n"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}
