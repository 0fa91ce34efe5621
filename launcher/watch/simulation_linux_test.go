package watch

// A simulation is an engine with one process whose memory and whose time the test makes.

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
)

// simulation is an engine with one process whose memory and whose time the test makes.
type simulation struct {
	t     *testing.T
	w     *watched
	statm int // a file in place of the process's
	now   time.Duration
	bytes uint64 // what each kind of memory has
	lines string // of the log
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
	s.w = e.add(&process{pid: 1 << 22, pidfd: e.epoll, dir: -1, statm: s.statm}) // any descriptor that says of no end
	s.w.peek = 0
	s.w.start()
	t.Cleanup(func() {
		s.w.scope.target.pidfd = -1 // it is the engine's
		e.close()
	})
	return s
}

// sample lets the engine take one sample and goes on to when the next one is due.
func (s *simulation) sample(bytes uint64) {
	s.t.Helper()
	s.bytes = bytes
	pages := bytes / pageSize
	line := fmt.Sprintln(pages, pages, pages, pages, pages, pages, pages)
	must(s.t, unix.Ftruncate(s.statm, 0))
	_, err := unix.Pwrite(s.statm, []byte(line), 0)
	must(s.t, err)
	s.now, _ = s.w.turns(s.now)
}
