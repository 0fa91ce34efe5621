package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
	"arenacap/launcher/watch/protocol"
	"arenacap/launcher/watch/statefile"
	"arenacap/policy"
)

// hostSession is a watch of a host that passes its events and messages to the test.
type hostSession struct {
	*session
	h        *host
	services []Service // the services that Reload returns after HUP
	reload   error
	mu       sync.Mutex
	said     []string
}

// byName returns a service whose processes are all processes with this name, which only children of the test have.
func byName(service, name, limits string) Service {
	s := Service{Config: testConfig(limits)}
	s.Config.Service, s.Config.Mode = service, "attach"
	s.Policy.Service, s.Policy.Match = service, policy.Match{Name: name}
	return s
}

// watchHost runs a watch of a host, with its state file in a folder.
func watchHost(t *testing.T, dir string, adjust func(*host), services ...Service) *hostSession {
	t.Helper()
	s := &hostSession{services: services, session: &session{t: t, events: make(chan told, 1000), done: make(chan struct{})}}
	h, err := newHost(Host{State: dir + "/watch.json", Say: s.say, Lookup: os.LookupEnv,
		Reload: s.given})
	must(t, err)
	h.probes, h.cfg.Budget.Interval = noProbes, 2*time.Millisecond
	h.isOurs = func(int) bool { return false } // the test's children run the same program as the watch
	h.logs["stderr"] = &eventLog{fd: 2, write: s.hear}
	if adjust != nil {
		adjust(h)
	}
	must(t, h.arrange(services))
	ctx, cancel := context.WithCancelCause(t.Context())
	s.h, s.e, s.end = h, h.engine, func() { cancel(errors.New("SIGTERM has ended the watch")) }
	go func() {
		defer close(s.done)
		defer h.close()
		if err := h.run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		s.end()
		s.wait()
	})
	return s
}

// The method "given" serves as Host.Reload: it returns the services and the error that the last call of the method
// "hup" has stored.
func (s *hostSession) given() ([]Service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.services, s.reload
}

// hup does what SIGHUP does to the watch. The watch then reads these services, or the error, as from a policy with a
// mistake.
func (s *hostSession) hup(err error, services ...Service) {
	s.mu.Lock()
	s.services, s.reload = services, err
	s.mu.Unlock()
	s.h.hear()
}

func (s *hostSession) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

func (s *hostSession) words() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n")
}

// stop ends the watch and returns the content of its state file.
func (s *hostSession) stop() (r statefile.Record) {
	s.t.Helper()
	s.end()
	s.wait()
	r, err := readState(s)
	must(s.t, err)
	return r
}

// readState reads the state file as another program does.
func readState(s *hostSession) (r statefile.Record, err error) {
	text, err := os.ReadFile(s.h.State)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// The method "of" waits for an event with this text, and fails the test if the event is not about the process pid.
func (s *hostSession) of(pid int, text string) told {
	s.t.Helper()
	e := s.want(text)
	if e.PID != pid {
		s.t.Fatalf("%s is of process %d, want %d", e, e.PID, pid)
	}
	return e
}

// rename changes the child's name, by which a service selects its processes.
func (c *child) rename(t *testing.T, name string) *child {
	t.Helper()
	c.ask(t, "name "+name, "ok")
	return c
}

// uniqueName is a process name that only this test's children have.
func uniqueName(t *testing.T) string {
	t.Helper()
	sum := uint32(2166136261)
	for _, c := range []byte(t.Name()) {
		sum = (sum ^ uint32(c)) * 16777619
	}
	return fmt.Sprintf("a%05d-%08x", os.Getpid()%100000, sum)
}

func namedChild(t *testing.T) (c *child, name string) {
	t.Helper()
	name = uniqueName(t)
	return startChild(t).rename(t, name), name
}

const far = "virtual=9223372036854775807"

// The watch finds a process that runs already and one that starts later, reports the end of the first, and finds its
// successor.
func TestTheServiceIsFollowed(t *testing.T) {
	c, name := namedChild(t)
	s := watchHost(t, t.TempDir(), nil, byName("server", name, far))
	s.of(c.pid(), "started")
	later := startChild(t).rename(t, name)
	s.of(later.pid(), "started")
	_ = c.in.Close()
	s.of(c.pid(), "exited")
	again := startChild(t).rename(t, name)
	s.of(again.pid(), "started")
	again.rename(t, "other")
	if e := s.of(again.pid(), "watch-ended"); !strings.HasPrefix(e.Message, "the process no longer belongs to the service; ") {
		t.Error(e.Message)
	}
	s.end()
	if e := s.of(later.pid(), "watch-ended"); !strings.HasPrefix(e.Message, "SIGTERM has ended the watch; ") || e.Remaining != 1 {
		t.Errorf("%+v", e)
	}
	s.wait()
	if n := len(s.h.watched); n > 3 {
		t.Errorf("%d slots for at most 2 targets at a time", n)
	}
}

// settle counts from the start of the process, not from the time when it was found.
func TestHostSettle(t *testing.T) {
	c, name := namedChild(t)
	service := byName("server", name, "virtual=1")
	service.Config.Budget.Settle = time.Hour
	s := watchHost(t, t.TempDir(), nil, service)
	s.of(c.pid(), "started")
	s.stop()
	for _, w := range s.h.watched {
		if stat, err := proc.Here.Stat(c.pid()); err != nil || w.state.SettleEnds != stat.Started+time.Hour {
			t.Errorf("settle ends %s after the start", w.state.SettleEnds-stat.Started)
		}
	}
}

// The inspections at the end of the settle time do not delay the samples of many targets: after a long inspection, the next
// one waits for another turn.
func TestBasesAreSpread(t *testing.T) {
	const children = 5
	_, name := namedChild(t)
	for range children - 1 {
		startChild(t).rename(t, name)
	}
	var skew time.Duration
	turns := make(chan time.Duration, 100)
	watchHost(t, t.TempDir(), func(h *host) {
		h.clock = func() time.Duration { return sinceBoot() + skew }
		h.probes.inspect = func(int) ([]part, error) {
			var turn time.Duration
			for _, w := range h.watched {
				turn = max(turn, w.looked)
			}
			skew += leastGap // the test's clock moves on as if the inspection had taken the time leastGap
			turns <- turn
			return nil, nil
		}
	}, byName("server", name, far))
	var last time.Duration
	for range children {
		select {
		case turn := <-turns:
			if turn <= last {
				t.Error("two inspections in one turn")
			}
			last = turn
		case <-time.After(patience):
			t.Fatal("a target is not inspected")
		}
	}
}

// The policy has hundreds of services (thousands in a full run), one of which has a process. A reload keeps that
// target, and at the end each service gets a last event.
func TestThousandsOfServices(t *testing.T) {
	n := 300
	if testenv.Full() {
		n = 5000
	}
	c, name := namedChild(t)
	services := []Service{byName("server", name, far)}
	for i := range n {
		services = append(services, byName(fmt.Sprint("absent", i), fmt.Sprint("none", i), far))
	}
	s := watchHost(t, t.TempDir(), nil, services...)
	s.of(c.pid(), "started")
	s.hup(nil, services...)
	s.silent()
	s.end()
	for range services {
		s.want("watch-ended")
	}
	s.wait()
	if len(s.events) > 0 {
		t.Errorf("another event: %v", <-s.events)
	}
}

// At the end each service with a budget gets a last event, with or without a process. A service without a budget is
// not watched.
func TestEachServiceEnds(t *testing.T) {
	c, name := namedChild(t)
	s := watchHost(t, t.TempDir(), nil, byName("server", name, far), byName("absent", "no such name", far), byName("free", "sh", ""))
	s.of(c.pid(), "started")
	s.end()
	s.of(c.pid(), "watch-ended")
	if e := s.of(0, "watch-ended"); e.Remaining != 0 {
		t.Errorf("%+v", e)
	}
	s.wait()
	if len(s.events) > 0 {
		t.Errorf("another event: %v", <-s.events)
	}
}

// A process that fits two services belongs to the first in the policy; a message says so once.
func TestTwoServicesFit(t *testing.T) {
	c, name := namedChild(t)
	second := byName("second", name, far)
	second.Policy.Match.Exe = mustLink(t, c.pid())
	first := byName("first", name, far)
	s := watchHost(t, t.TempDir(), nil, first, second)
	s.of(c.pid(), "started")
	d := startChild(t).rename(t, name)
	s.of(d.pid(), "started")
	r := s.stop()
	if len(r.Services["first"].Targets) != 2 || len(r.Services["second"].Targets) != 0 {
		t.Errorf("%+v", r.Services)
	}
	if got := s.words(); strings.Count(got, "\n") != 0 || !strings.Contains(got, `matches services "first" and "second"; the process counts for "first", `) {
		t.Errorf("it says %q", got)
	}
}

func mustLink(t *testing.T, pid int) string {
	t.Helper()
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	must(t, err)
	return path
}

// With scope "tree", a process of a service that descends from another process of the service is counted with that
// one.
func TestHostTree(t *testing.T) {
	c, name := namedChild(t)
	inner := mustFork(t, c, "fork")
	c.ask(t, "tell name "+name, "ok")
	service := byName("server", name, far)
	service.Config.Budget.Scope = "tree"
	s := watchHost(t, t.TempDir(), nil, service)
	s.of(c.pid(), "started")
	awaitRecord(t, s, sampled)
	c.ask(t, "leave", "ok") // ends c; inner, a child of c, continues and is still counted
	if e := s.of(c.pid(), "exited"); e.Remaining != 1 {
		t.Errorf("%d processes remain, want 1", e.Remaining)
	}
	s.silent()
	must(t, inner.signal(unix.SIGKILL))
	awaitRecord(t, s, func(r statefile.Record) bool { return len(r.Services["server"].Targets) == 0 })
}

// After HUP a target whose configuration is unchanged keeps its state, a target with new limits continues under them,
// and a policy with a mistake changes nothing.
func TestHostReload(t *testing.T) {
	c, name := namedChild(t)
	c.ask(t, "map 2199023255552", "ok")
	s := watchHost(t, t.TempDir(), nil, byName("server", name, "virtual=1099511627776"))
	s.of(c.pid(), "started")
	s.of(c.pid(), "breach virtual")

	s.hup(errors.New("policy.toml:1:1: no policy"))
	s.silent()
	if got, want := s.words(), "the new policy was rejected, the old one remains in force: policy.toml:1:1: no policy"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	s.hup(nil, byName("new", "no such name", far), byName("server", name, "virtual=1099511627776"))
	s.silent() // the breach continues, so there is no event
	s.hup(nil, byName("server", name, "virtual=1099511627776 resident=1099511627776"))
	s.of(c.pid(), "started")
	s.silent()
	c.ask(t, "unmap", "ok")
	s.of(c.pid(), "recovered virtual")
	s.hup(nil, byName("server", name, ""), byName("new", "no such name", far))
	s.of(c.pid(), "watch-ended")
	r := s.stop()
	if got := r.Services["server"].Breaches["virtual"]; got != 1 {
		t.Errorf("%d breaches, want 1", got)
	}
}

// The next watch continues with the counters, the base of growth and the active breach of the state file.
func TestStateIsKept(t *testing.T) {
	dir := t.TempDir()
	c, name := namedChild(t)
	service := byName("server", name, "virtual=1099511627776 growth=1073741824")
	s := watchHost(t, dir, nil, service)
	s.of(c.pid(), "started")
	awaitRecord(t, s, sampled)
	c.ask(t, "map 2199023255552", "ok")
	s.of(c.pid(), "breach virtual")
	s.of(c.pid(), "breach growth")
	before := s.stop()

	s = watchHost(t, dir, nil, service)
	s.of(c.pid(), "started")
	s.silent() // the breach is known, so it is not reported again
	c.ask(t, "unmap", "ok")
	s.of(c.pid(), "recovered virtual")
	s.of(c.pid(), "recovered growth")
	after := s.stop()
	a, b := before.Services["server"], after.Services["server"]
	if a.Breaches["virtual"] != 1 || b.Breaches["virtual"] != 1 || *a.Targets[0].GrowthBase != *b.Targets[0].GrowthBase {
		t.Errorf("%+v, then %+v", a, b)
	}
}

// sampled reports whether the service's only target has had its first sample.
func sampled(r statefile.Record) bool {
	of := r.Services["server"].Targets
	return len(of) == 1 && of[0].GrowthBase != nil
}

func awaitRecord(t *testing.T, s *hostSession, want func(statefile.Record) bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if r, err := readState(s); err == nil && want(r) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the state file never had the wanted content")
		}
	}
}

// If the launch of a process started a watch of its own, the watch of the host lets the launch's watch act first, and waits
// for the time `grace`.
func TestLeftToItsOwnWatch(t *testing.T) {
	c, name := namedChild(t)
	c.ask(t, "map 2199023255552", "ok")
	service := byName("server", name, "virtual=1099511627776")
	service.Config.Budget.Action, service.Config.Budget.Grace = "terminate", 50*time.Millisecond
	own := titledAsWatch(t, "/proc/self/exe", c.pid()).pid() // the process runs the same program as this watch, as a real watch does
	s := watchHost(t, t.TempDir(), nil, service)
	s.of(c.pid(), "started")
	s.of(c.pid(), "breach virtual")
	e := s.of(c.pid(), "action virtual terminate")
	if want := fmt.Sprintf("the watch that 'arenacap run' started (PID %d) acts first; this watch acts if virtual is still over the limit after 50ms", own); e.Message != want {
		t.Errorf("%q, want %q", e.Message, want)
	}
	if waited := s.of(c.pid(), "action virtual terminate SIGTERM").Time.Sub(e.Time); waited < 40*time.Millisecond {
		t.Errorf("it acted after %s", waited)
	}
}

// titledAsWatch starts a program, this test program or a copy, under the name that a watch of the process pid has.
func titledAsWatch(t *testing.T, program string, pid int) *child {
	t.Helper()
	c := &child{cmd: exec.Command(program)}
	c.cmd.Args, c.cmd.Env = []string{protocol.ProcessName + strconv.Itoa(pid)}, []string{childVariable + "=1"}
	c.start()
	t.Cleanup(func() {
		_ = c.in.Close()
		_ = c.cmd.Wait()
	})
	return c.rename(t, strings.TrimSpace(protocol.ProcessName))
}

// After `grace` SIGKILL goes to the processes that got SIGTERM and to their children, but not to processes of a new
// start in the same group.
func TestWhoOwesSIGKILL(t *testing.T) {
	old, child, fresh := &process{pid: 10, parent: 1}, &process{pid: 11, parent: 10}, &process{pid: 12, parent: 1}
	a := &action{termed: map[int]*process{10: old}}
	for p, want := range map[*process]bool{old: true, child: true, fresh: false, {pid: 10, parent: 1}: false} {
		if a.owes(p) != want {
			t.Errorf("process %d with parent %d owes SIGKILL: %t", p.pid, p.parent, !want)
		}
	}
}

// The watch tells systemd when it is ready, when it reads the policy again, and when it stops, and sends the watchdog
// messages.
func TestServiceManager(t *testing.T) {
	_, name := namedChild(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	defer socket.Close()
	env := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())}
	s := watchHost(t, t.TempDir(), func(h *host) {
		h.Lookup = func(name string) (string, bool) { value, ok := env[name]; return value, ok }
		h.findManager()
	}, byName("server", name, far))
	hear := func(want string) string {
		t.Helper()
		must(t, socket.SetReadDeadline(time.Now().Add(patience)))
		for buffer := make([]byte, 4096); ; {
			n, err := socket.Read(buffer)
			must(t, err)
			if got := string(buffer[:n]); strings.HasPrefix(got, want) {
				return got
			} else if got != "WATCHDOG=1" {
				t.Fatalf("the watch sends %q to systemd, want %q", got, want)
			}
		}
	}
	hear("READY=1")
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
	s.h.hear()
	usec, err := strconv.ParseInt(strings.TrimPrefix(hear("RELOADING=1\nMONOTONIC_USEC="), "RELOADING=1\nMONOTONIC_USEC="), 10, 64)
	if now := monotonic().Microseconds(); err != nil || usec > now || usec < now-int64(patience/time.Microsecond) {
		t.Errorf("MONOTONIC_USEC is %d (%v), and the clock shows %d", usec, err, now)
	}
	hear("READY=1")
	s.end()
	hear("STOPPING=1")
}

// statefile.Watched and statefile.Read use a state file only if the watch that wrote it still runs.
func TestWatchedByHost(t *testing.T) {
	c, name := namedChild(t)
	s := watchHost(t, t.TempDir(), nil, byName("server", name, far))
	s.of(c.pid(), "started")
	awaitRecord(t, s, sampled)
	stat, _ := proc.Here.Stat(c.pid())
	counters, err := statefile.Read(s.h.State)
	must(t, err)
	if got := counters["server"]; len(counters) != 1 || got.GrowthBases[c.pid()] == 0 || got.Warnings == nil || got.Breaches == nil {
		t.Errorf("the counters are %+v", counters)
	}
	if by, targets := statefile.Watched(s.h.State); by != os.Getpid() || targets[c.pid()] != int64(stat.Started) {
		t.Errorf("%d watches %v", by, targets)
	}
	r := s.stop()
	r.Started++
	text, err := json.Marshal(r)
	must(t, err)
	must(t, os.WriteFile(s.h.State, text, 0o644))
	if by, targets := statefile.Watched(s.h.State); by != 0 || len(targets) != 0 {
		t.Errorf("a watch that does not run is %d, of %v", by, targets)
	}
	if counters, err := statefile.Read(s.h.State); err != nil || len(counters) != 0 {
		t.Errorf("counters of a watch that does not run: %v, %v", counters, err)
	}
	must(t, os.WriteFile(s.h.State, []byte(`{"version":2}`), 0o644))
	if _, err := statefile.Read(s.h.State); err == nil || !strings.Contains(err.Error(), "the version is 2, expected 1") {
		t.Errorf("another version: %v", err)
	}
}

// The watch of a host has no plan, so its advice about arenas starts from the cap in the environment of the process. A
// command in the advice contains the PID.
func TestHostAdvice(t *testing.T) {
	for kind, want := range map[string]string{
		"arenas":    "; set cap in [arenas] below 4 to limit the arenas further", // see newChild
		"main heap": "; run 'arenacap inspect --deep PID' to see how much of the heaps is in use",
	} {
		t.Run(kind, func(t *testing.T) {
			c, name := namedChild(t)
			service := byName("server", name, "virtual=1")
			service.Config.Cap = 0 // as in every Service.Config
			s := watchHost(t, t.TempDir(), func(h *host) {
				h.probes.inspect = func(int) ([]part, error) { return []part{virtual(kind, 2, 128*MiB)}, nil }
			}, service)
			s.of(c.pid(), "started")
			want := strings.Replace(want, "PID", strconv.Itoa(c.pid()), 1)
			if e := s.of(c.pid(), "breach virtual"); !strings.HasSuffix(e.Message, want) {
				t.Errorf("%s, want %q at the end", e.Message, want)
			}
		})
	}
}

// A policy without a budget, or with a log that cannot be opened, is refused before a process is watched.
func TestHostRefuses(t *testing.T) {
	nowhere := byName("server", "x", far)
	nowhere.Config.Log.To = t.TempDir() + "/no/folder/log"
	for want, services := range map[string][]Service{
		"no service of the policy has a budget": {byName("free", "x", "")},
		`service "server": log file`:            {nowhere},
	} {
		h, err := newHost(Host{State: t.TempDir() + "/watch.json", Lookup: os.LookupEnv})
		must(t, err)
		if err := h.arrange(services); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		h.close()
	}
}

// With scope "cgroup" the processes of a group are one target. A process of a new start in the same group becomes a new
// target, and gets no signal of the action on the earlier one.
func TestANewStartInTheGroup(t *testing.T) {
	group := makeGroup(t)
	name := uniqueName(t)
	join := func(c *child) *child { join(t, group, c.pid()); return c.rename(t, name) }
	first, worker := join(startChild(t)), join(startChild(t))
	for _, c := range []*child{first, worker} {
		c.ask(t, "ignore SIGTERM", "ok") // so that the watch's SIGTERM does not end a child: the test ends worker, then first
	}
	service := byName("server", name, "virtual=1099511627776")
	service.Config.Budget.Scope, service.Config.Budget.Action, service.Config.Budget.Grace = "cgroup", "terminate", time.Hour
	s := watchHost(t, t.TempDir(), nil, service)
	s.of(first.pid(), "started")
	awaitRecord(t, s, sampled) // the worker counts as part of the first target
	stat, err := proc.Here.Stat(worker.pid())
	must(t, err)
	if by, targets := statefile.Watched(s.h.State); by != os.Getpid() || targets[worker.pid()] != int64(stat.Started) {
		t.Errorf("%d watches %v, not the worker %d", by, targets, worker.pid())
	}
	first.ask(t, "map 2199023255552", "ok")
	s.of(first.pid(), "breach virtual")
	if e := s.of(first.pid(), "action virtual terminate SIGTERM"); e.Processes != 2 {
		t.Errorf("%d processes got the SIGTERM, want 2", e.Processes)
	}
	worker.kill(t) // the group stays over its limit until its first process has ended too
	first.kill(t)
	s.of(first.pid(), "exited")
	again := join(startChild(t))
	s.of(again.pid(), "started")
	s.silent()
	again.ask(t, "ignore SIGPIPE", "ok")
}

// The next watch continues an action that the end of the previous watch interrupted.
func TestAnActionIsTakenUp(t *testing.T) {
	dir := t.TempDir()
	c, name := namedChild(t)
	c.ask(t, "ignore SIGTERM", "ok")
	c.ask(t, "map 2199023255552", "ok")
	service := byName("server", name, "virtual=1099511627776")
	service.Config.Budget.Action, service.Config.Budget.Grace = "terminate", time.Hour
	s := watchHost(t, dir, nil, service)
	s.of(c.pid(), "started")
	s.of(c.pid(), "breach virtual")
	s.of(c.pid(), "action virtual terminate SIGTERM")
	if r := s.stop(); fmt.Sprint(r.Services["server"].Targets[0].Acting) != "[virtual]" {
		t.Errorf("%+v", r.Services["server"].Targets)
	}
	service.Config.Budget.Grace = time.Millisecond
	s = watchHost(t, dir, nil, service)
	s.of(c.pid(), "started")
	s.of(c.pid(), "action virtual terminate SIGTERM")
	s.of(c.pid(), "action virtual terminate SIGKILL")
	s.of(c.pid(), "exited")
}

// A service starts again and again, and the watch ends it each time. This leaks no descriptor, memory or slot; the
// service gets no signal except SIGTERM, and another process gets none.
func TestRestartsLeaveNothing(t *testing.T) {
	restarts := 100
	if testenv.Full() {
		restarts = 10000
	}
	sleep, err := exec.LookPath("sleep")
	must(t, err)
	program, err := os.ReadFile(sleep)
	must(t, err)
	path := t.TempDir() + "/server"
	must(t, os.WriteFile(path, program, 0o755))
	neighbour := sleepers(t, 1)[0]
	service := byName("server", "", "virtual=1")
	service.Policy.Match = policy.Match{Exe: path}
	service.Config.Budget.Action, service.Config.Budget.Grace = "terminate", time.Hour
	s := watchHost(t, t.TempDir(), nil, service)
	var half left
	for i := range restarts {
		cmd := exec.Command(path, "1000")
		must(t, cmd.Start())
		s.of(cmd.Process.Pid, "started")
		_ = cmd.Wait()
		if got := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != syscall.SIGTERM {
			t.Fatalf("restart %d ended by %v", i, got)
		}
		for _, event := range []string{"breach virtual", "action virtual terminate SIGTERM", "exited"} {
			s.of(cmd.Process.Pid, event)
		}
		if i == restarts/2 {
			half = whatIsLeft(t)
		}
	}
	end := whatIsLeft(t)
	t.Logf("%d restarts: %+v after half of them, %+v at the end", restarts, half, end)
	// At the time of a measurement the test and the watch may have a few descriptors open and some heap in use.
	if end.descriptors > half.descriptors+8 || end.heap > half.heap+2<<20 {
		t.Errorf("%+v after half of the restarts, %+v at the end", half, end)
	}
	if stat, err := proc.Here.Stat(neighbour); err != nil || stat.Ended() {
		t.Error("the process beside the service has ended")
	}
	s.end()
	s.wait()
	if places, kept := len(s.h.watched), len(s.h.targets); places > 2 || kept > 1 {
		t.Errorf("%d slots and %d targets are left", places, kept)
	}
}

// left has the resources that this process uses.
type left struct {
	descriptors int
	heap        uint64 // bytes
}

func whatIsLeft(t *testing.T) left {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return left{len(names), memory.HeapAlloc}
}
