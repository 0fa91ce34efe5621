package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/arena"
	"arenacap/policy"
)

var noProbes = probes{
	count:   func(int) (arena.Census, error) { return arena.Census{}, errors.ErrUnsupported },
	inspect: func(int) ([]part, error) { return nil, errors.ErrUnsupported },
}

func testConfig(limits string) Config {
	c := Config{Service: "authserver", Budget: policy.Builtin().Budget, Log: policy.Log{Format: "json", To: "stderr"}}
	c.Budget.Interval, c.Budget.Settle = 2*time.Millisecond, 0
	for field := range strings.FieldsSeq(limits) {
		var l policy.Limit
		if _, err := fmt.Sscanf(strings.Replace(field, "=", " ", 1), "%s %d", &l.Metric, &l.Bytes); err != nil {
			panic(err)
		}
		c.Limits = append(c.Limits, l)
	}
	return c
}

// told is an event as a program reads it.
type told struct {
	Event, Metric, Action, Signal, Message string
	Value                                  uint64 `json:"value_bytes"`
	Limit                                  uint64 `json:"limit_bytes"`
	PID                                    int
	Failed                                 bool
	Processes                              int
	Arenas                                 *int
	Remaining                              int `json:"processes_remaining"`
	Attribution                            *attribution
}

func (e told) String() string {
	s := e.Event
	for _, word := range []string{e.Metric, e.Action, e.Signal} {
		if word != "" && e.Event != eventStarted {
			s += " " + word
		}
	}
	if e.Failed {
		s += " failed"
	}
	return s
}

// session is an engine at work whose events come to the test.
type session struct {
	t       *testing.T
	e       *engine
	events  chan told
	settled chan struct{} // closed when the first sample was taken
	done    chan struct{}
	end     context.CancelFunc
	out     []Outcome
}

// watchIt runs an engine over children. Its events are JSON lines that the test reads.
func watchIt(t *testing.T, cfg Config, adjust func(*engine), pids ...int) *session {
	t.Helper()
	e, err := newEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &session{t: t, e: e, events: make(chan told, 1000), settled: make(chan struct{}), done: make(chan struct{}), end: cancel}
	e.probes = noProbes
	first := true
	e.probes.inspect = func(int) ([]part, error) {
		if first {
			first = false
			close(s.settled)
		}
		return []part{{"arenas", 3, 128 << 20}}, nil
	}
	if e.log.path == "" {
		e.log = &eventLog{fd: 2, write: s.hear}
	}
	if adjust != nil {
		adjust(e)
	}
	targets, failed := AttachAll(pids)
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	for i := 3; i < len(targets); i += 2 { // as where descriptors are few
		targets[i].process.openEachTime()
	}
	go func() {
		defer close(s.done)
		s.out, _ = e.run(ctx, targets)
	}()
	t.Cleanup(func() {
		cancel()
		s.wait()
	})
	return s
}

func (s *session) hear(_ int, line []byte) error {
	var e told
	if err := json.Unmarshal(line, &e); err != nil {
		s.t.Errorf("%q: %v", line, err)
	}
	s.events <- e
	return nil
}

// want waits for the next event.
func (s *session) want(text string) told {
	s.t.Helper()
	select {
	case e := <-s.events:
		if e.String() != text {
			s.t.Fatalf("the event is %q (%s), want %q", e, e.Message, text)
		}
		return e
	case <-time.After(patience):
		s.t.Fatalf("no event %q came", text)
	}
	return told{}
}

// ready waits for the end of settle, from which growth counts.
func (s *session) ready() {
	s.t.Helper()
	s.want("started")
	s.closed(s.settled, "the first sample")
}

func (s *session) wait() []Outcome {
	s.t.Helper()
	s.closed(s.done, "the end of the watch")
	return s.out
}

func (s *session) closed(c chan struct{}, what string) {
	s.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		s.t.Fatalf("%s did not come", what)
	}
}

const MiB = 1 << 20

// Settle counts from the birth of a process that somebody else started, and from now on in the launch's own,
// whatever that did in the hour before.
func TestSettleOfALaunch(t *testing.T) {
	p := mustHold(t, startChild(t).pid())
	p.born -= time.Hour
	cfg := testConfig("virtual=1")
	cfg.Budget.Settle = 30 * time.Minute
	e, err := newEngine(cfg)
	must(t, err)
	if w := e.add(p); w.state.settleEnds != p.born+cfg.Budget.Settle {
		t.Errorf("attached: settle ends %s after the birth", w.state.settleEnds-p.born)
	}
	if w := e.addLaunched(p); w.state.settleEnds != w.began+cfg.Budget.Settle || w.scope.since <= p.born {
		t.Errorf("launched: settle ends %s after the start, and children count that are %s younger", w.state.settleEnds-w.began, w.scope.since-p.born)
	}
}

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

// Data and resident memory are budgets of their own: a reservation counts for neither.
func TestReservationsAreNoData(t *testing.T) {
	c := startChild(t)
	p := mustHold(t, c.pid())
	base, _ := p.sample()
	cfg := testConfig(fmt.Sprintf("data=%d resident=%d", base.data*pageSize+64*MiB, base.resident*pageSize+64*MiB))
	cfg.Budget.WarnAt = 100
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	c.ask(t, "map 1073741824", "ok")
	s.silent()
	c.ask(t, "touch 104857600", "ok")
	for got := map[string]bool{}; !got["breach data"] || !got["breach resident"]; { // resident climbs and may warn before
		got[s.next().String()] = true
	}
}

func (s *session) next() told {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(patience):
		s.t.Fatal("no event came")
	}
	return told{}
}

// silent lets as many samples pass as a breach takes and more, and wants no event.
func (s *session) silent() {
	s.t.Helper()
	select {
	case e := <-s.events:
		s.t.Fatalf("an event %q came", e)
	case <-time.After(20 * s.e.cfg.Budget.Interval):
	}
}

func TestTheSignalOfABreach(t *testing.T) {
	for _, name := range []string{"SIGUSR1", "SIGRTMIN+3"} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t)
			c.ask(t, "catch "+name, "ready")
			cfg := testConfig("virtual=1")
			cfg.Budget.Action, cfg.Budget.Signal = "signal", name
			s := watchIt(t, cfg, nil, c.pid())
			s.ready()
			s.want("breach virtual")
			s.want("action virtual signal " + name)
			want, _ := parseSignal(name)
			if got := c.answer(); got != fmt.Sprint(int(want)) {
				t.Errorf("signal %s came, want %d", got, want)
			}
			s.silent() // once a breach, not once a sample
		})
	}
}

func TestTerminate(t *testing.T) {
	for _, test := range []struct {
		name, prepare string
		grace         time.Duration
		want          []string
		by            syscall.Signal
	}{
		{"who obeys ends by SIGTERM", "", time.Hour, []string{"action virtual terminate SIGTERM", "exited"}, syscall.SIGTERM},
		{"who does not ends by SIGKILL", "ignore SIGTERM", 20 * time.Millisecond,
			[]string{"action virtual terminate SIGTERM", "action virtual terminate SIGKILL", "exited"}, syscall.SIGKILL},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := startChild(t)
			if test.prepare != "" {
				c.ask(t, test.prepare, "ok")
			}
			cfg := testConfig("virtual=1")
			cfg.Budget.Action, cfg.Budget.Grace = "terminate", test.grace
			s := watchIt(t, cfg, nil, c.pid())
			s.ready()
			s.want("breach virtual")
			for _, want := range test.want {
				s.want(want)
			}
			if out := s.wait()[0]; !out.Terminated || out.Breaches != 1 {
				t.Errorf("%+v", out)
			}
			_ = c.cmd.Wait()
			if status := c.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != test.by {
				t.Errorf("it ended by %v, want %v", status.Signal(), test.by)
			}
		})
	}
}

// The reading that decides on the action is not the one that made the breach.
func TestAnActionThatIsNotNeededAnyMore(t *testing.T) {
	c := startChild(t)
	fifo := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig("growth=1073741824")
	cfg.Budget.Action = "terminate"
	cfg.Budget.Command = []string{"/bin/cat", fifo} // it ends when the test says so
	cfg.Budget.Timeout = time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	c.ask(t, "map 2147483648", "ok")
	s.want("breach growth")
	c.ask(t, "unmap", "ok")
	release(t, fifo)
	for { // the fall is told before or after, as the samples come
		e := s.next()
		if e.Event == eventAction && e.Action == "terminate" {
			if e.Signal != "" || !strings.Contains(e.Message, "not needed") {
				t.Errorf("%+v", e)
			}
			break
		}
	}
	c.ask(t, "ignore SIGHUP", "ok") // it lives
}

// An action that was not needed once does not switch the next one off, where the value stays close under the limit.
func TestAnActionThatIsNeededTheSecondTime(t *testing.T) {
	c := startChild(t)
	fifo := t.TempDir() + "/fifo"
	must(t, unix.Mkfifo(fifo, 0o600))
	cfg := testConfig("growth=4294967296")
	cfg.Budget.Action, cfg.Budget.Command, cfg.Budget.Timeout = "terminate", []string{"/bin/cat", fifo}, time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	c.ask(t, "map 4187593113", "ok") // 97.5 %
	s.want("warning growth")
	c.ask(t, "map 4294967296", "ok")
	s.want("breach growth")
	c.ask(t, "unmap", "ok")
	release(t, fifo)
	s.want("action growth command")
	if e := s.want("action growth terminate"); !strings.Contains(e.Message, "is not over 4 GiB any more") {
		t.Errorf("%+v", e)
	}
	c.ask(t, "map 4294967296", "ok")
	for s.next().Event != eventBreach { // a second warning may come before it
	}
	release(t, fifo)
	s.want("action growth command")
	s.want("action growth terminate SIGTERM")
}

// release lets a reader of the FIFO end; opening waits until there is one.
func release(t *testing.T, fifo string) {
	t.Helper()
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

func TestTheCommandsEnvironment(t *testing.T) {
	t.Setenv("SECRET", "of the one who types watch")
	c := startChild(t)
	log := t.TempDir() + "/log"
	cfg := testConfig("virtual=1")
	cfg.Log = policy.Log{Format: "text", To: log}
	cfg.Path, cfg.PolicyFile = "/nowhere:/usr/bin:/bin", "/etc/arenacap/policy.toml"
	cfg.Budget.Command = []string{"env"}
	cfg.Budget.Action, cfg.Budget.Signal = "signal", "SIGUSR1"
	c.ask(t, "catch SIGUSR1", "ready")
	s := watchIt(t, cfg, nil, c.pid())
	if got := c.answer(); got != "10" { // the command's words are in the log before the signal is sent
		t.Fatalf("signal %s", got)
	}
	s.end()
	s.wait()
	var got []string
	var value string
	for line := range strings.Lines(readFile(t, log)) {
		if name, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.Contains(name, " ") {
			if name == "ARENACAP_VALUE" {
				value = v
				continue
			}
			got = append(got, name+"="+v)
		}
	}
	want := []string{"PATH=/nowhere:/usr/bin:/bin", fmt.Sprintf("ARENACAP_PID=%d", c.pid()), "ARENACAP_EVENT=breach", "ARENACAP_METRIC=virtual",
		"ARENACAP_LIMIT=1", "ARENACAP_SERVICE=authserver", "ARENACAP_POLICY=/etc/arenacap/policy.toml"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || len(value) < 7 {
		t.Errorf("the command got\n%s\nvalue %s\nwant\n%s", strings.Join(got, "\n"), value, strings.Join(want, "\n"))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Whatever becomes of the command, the action follows.
func TestACommandThatFailsStopsNothing(t *testing.T) {
	for _, test := range []struct {
		name    string
		command []string
		says    string
	}{
		{"is missing", []string{"/nowhere/on-breach"}, "did not start"},
		{"is not in PATH", []string{"on-breach"}, "not in PATH"},
		{"is a folder", []string{"/etc"}, "did not start"},
		{"ends with a status", []string{"/bin/false"}, "status 1"},
		{"ends by a signal", []string{"/bin/sh", "-c", "kill -9 $$"}, "killed"},
		{"hangs, and a child of its with it", []string{"/bin/sh", "-c", "sleep 1000 & wait"}, "timeout of 30ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := startChild(t)
			c.ask(t, "catch SIGUSR1", "ready")
			cfg := testConfig("virtual=1")
			cfg.Path = "/usr/bin:/bin"
			cfg.Budget.Command, cfg.Budget.Timeout = test.command, 30*time.Millisecond
			if !strings.Contains(test.says, "timeout") {
				cfg.Budget.Timeout = time.Hour
			}
			cfg.Budget.Action, cfg.Budget.Signal = "signal", "SIGUSR1"
			s := watchIt(t, cfg, nil, c.pid())
			s.ready()
			s.want("breach virtual")
			if e := s.want("action virtual command failed"); !strings.Contains(e.Message, test.says) {
				t.Errorf("message %q has no %q", e.Message, test.says)
			}
			s.want("action virtual signal SIGUSR1")
			c.answer()
		})
	}
}

// A command that makes the service end, a restart say, is not cut off by that end.
func TestTheTargetEndsDuringTheCommand(t *testing.T) {
	c := startChild(t)
	fifo := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig("virtual=1")
	cfg.Budget.Command, cfg.Budget.Timeout, cfg.Budget.Action = []string{"/bin/cat", fifo}, time.Hour, "terminate"
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	s.want("breach virtual")
	_ = c.in.Close()
	s.want("exited")
	release(t, fifo)
	s.want("action virtual command")
	s.wait()
}

func TestManyTargets(t *testing.T) {
	a, b := startChild(t), startChild(t)
	s := watchIt(t, testConfig("virtual=9223372036854775807"), func(e *engine) { e.probes = noProbes }, a.pid(), b.pid())
	s.want("started")
	s.want("started")
	_ = a.in.Close()
	if e := s.want("exited"); e.PID != a.pid() {
		t.Errorf("process %d ended, want %d", e.PID, a.pid())
	}
	_ = b.in.Close()
	if e := s.want("exited"); e.PID != b.pid() {
		t.Errorf("process %d ended, want %d", e.PID, b.pid())
	}
	if out := s.wait(); len(out) != 2 || out[0].PID != a.pid() || out[1].PID != b.pid() {
		t.Errorf("%+v", out)
	}
}

func TestTheEndOfTheContextEndsTheWatch(t *testing.T) {
	c := startChild(t)
	cfg := testConfig("virtual=9223372036854775807")
	cfg.Budget.Interval = time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	s.end()
	s.wait()
	c.ask(t, "ignore SIGHUP", "ok")
}

// A watch that is told to end takes a command with it that is still running: nobody else knows its timeout.
func TestTheEndOfTheWatchEndsTheCommand(t *testing.T) {
	c := startChild(t)
	path, words := fifo(t)
	cfg := testConfig("virtual=1")
	cfg.Budget.Command = []string{"/bin/sh", "-c", "echo $$ > " + path + "; exec sleep 1000"}
	cfg.Budget.Timeout = time.Hour
	s := watchIt(t, cfg, nil, c.pid())
	line, err := words.ReadString('\n')
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	p := mustHold(t, pid)
	s.end()
	s.wait()
	awaitEnd(t, p)
}

// The arenas are counted when the size moved, and the cap is judged once and again when there are more.
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
			judged := make(chan struct{}, 1000) // the engine looks at its clock again once a count has been judged
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

// However far a size is from its limit, it is read at every interval: what was high for one of them is the peak.
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

// A run that ends before the second sample tells the peak that it had, and not its size at the start.
func TestThePeakOfAShortRun(t *testing.T) {
	c := startChild(t)
	cfg := testConfig("virtual=9223372036854775807")
	cfg.Budget.Interval = time.Hour
	turns := make(chan struct{}, 1000) // with such an interval only the readings after the start are turns
	s := watchIt(t, cfg, func(e *engine) {
		e.clock = func() time.Duration {
			turns <- struct{}{}
			return sinceBoot()
		}
	}, c.pid())
	s.ready()
	c.ask(t, "map 68719476736", "ok")
	for range len(turns) + 4 { // two a turn, and the one under way may have read before
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

// What cannot be counted is said once, and is no breach.
func TestArenasThatCannotBeCounted(t *testing.T) {
	c := startChild(t)
	s := watchIt(t, testConfig("arenas=1"), func(e *engine) {
		e.probes.count = func(int) (arena.Census, error) { return arena.Census{}, os.ErrPermission }
	}, c.pid())
	s.want("started")
	s.closed(s.settled, "the first sample")
	if e := s.want("watch-failed"); !strings.Contains(e.Message, "permission denied") {
		t.Errorf("%+v", e)
	}
	c.ask(t, "map 104857600", "ok")
	s.silent()
}
