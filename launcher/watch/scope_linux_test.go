package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/proc/cgroup"
	"arenacap/launcher/testenv"
	"arenacap/launcher/watch/budget"
)

func nobody(int) bool { return false }

// family starts a target, a child of it and a grandchild, and returns the scope that follows them.
func family(t *testing.T) (c *child, middle, last int, h *scope) {
	t.Helper()
	c = startChild(t)
	h = newScope(mustHold(t, c.pid()), "tree", nobody)
	t.Cleanup(h.release)
	middle = mustFork(t, c, "fork").pid
	last = mustFork(t, c, "tell fork").pid
	must(t, h.refresh())
	return c, middle, last, h
}

func TestATreeIsFollowed(t *testing.T) {
	c, middle, last, h := family(t)
	stranger := startChild(t)
	must(t, h.refresh())
	for name, pid := range map[string]int{"itself": c.pid(), "child": middle, "grandchild": last} {
		if !h.has(pid) {
			t.Errorf("%s is not in the tree", name)
		}
	}
	if h.has(stranger.pid()) || h.has(os.Getpid()) || len(h.others) != 2 {
		t.Errorf("a stranger is in the tree of %d", len(h.others))
	}
	if all := h.all(); len(all) != 3 || all[0].pid != c.pid() {
		t.Errorf("%d processes in all, the first is %d", len(all), all[0].pid)
	}
}

// After a double fork the grandchild has another parent, but the scope still contains it.
func TestADaemonIsFollowed(t *testing.T) {
	c, middle, last, h := family(t)
	c.ask(t, "tell leave", "ok")
	c.ask(t, "reap", "ok")
	if s, err := proc.Here.Stat(last); err != nil || s.Parent == middle {
		t.Fatalf("the parent is still %d", s.Parent)
	}
	must(t, h.refresh())
	if h.has(middle) || !h.has(last) || h.remaining() != 1 {
		t.Errorf("in the tree: middle %t, last %t, remaining %d", h.has(middle), h.has(last), h.remaining())
	}
	p := h.others[last]
	must(t, p.signal(syscall.SIGKILL))
	awaitEnd(t, p)
	must(t, h.refresh())
	if h.has(last) || len(h.all()) != 1 {
		t.Error("a process that has ended is still in the tree")
	}
}

func awaitEnd(t *testing.T, p *process) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR: // the runtime's own signal
		case err != nil || n == 0:
			t.Fatalf("process %d did not end: %v", p.pid, err)
		default:
			return
		}
	}
}

// oneAndAHalf returns a limit of one and a half times the child's size: the child alone is under the limit; the child
// and its own child together are over it.
func oneAndAHalf(t *testing.T, c *child) string {
	t.Helper()
	s, ok := mustHold(t, c.pid()).sample()
	if !ok {
		t.Fatal("no sample")
	}
	return fmt.Sprintf("virtual=%d", s.Size.Bytes()*3/2)
}

// onlyBreach is a warn_at of 100 %, so that there is no warning while a new child grows to its final size.
const onlyBreach = 100

// The watch continues after the target's end while a process of its tree runs, and ends with the last one.
func TestTheTreeOutlivesTheTarget(t *testing.T) {
	c := startChild(t)
	cfg := testConfig(oneAndAHalf(t, c))
	cfg.Budget.Scope, cfg.Budget.WarnAt = "tree", onlyBreach
	middle := mustFork(t, c, "fork")
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	s.want("breach virtual") // the watch has found the child and counts it
	c.ask(t, "leave", "ok")
	for seen := map[string]bool{}; !seen[eventExited] || !seen[eventRecovered]; { // the kernel frees the memory before the process ends
		ev := s.next()
		seen[ev.Event] = true
		if ev.Event == eventExited && (ev.Remaining != 1 || ev.PID != c.pid()) {
			t.Errorf("%+v", ev)
		}
	}
	must(t, middle.signal(syscall.SIGKILL))
	if out := s.wait(); out[0].Processes != 2 {
		t.Errorf("%d processes were counted at most, want 2", out[0].Processes)
	}
}

// The attribution of a breach covers the same processes as the value that is over the limit.
func TestTheAttributionOfATree(t *testing.T) {
	c := startChild(t)
	middle, last := mustFork(t, c, "fork"), mustFork(t, c, "tell fork")
	cfg := testConfig("virtual=1")
	cfg.Budget.Scope = "tree"
	awaitAge(t, middle, cfg.Budget.Interval)
	awaitAge(t, last, cfg.Budget.Interval)
	s := watchIt(t, cfg, func(e *engine) {
		e.probes.inspect = func(pid int) ([]part, error) { return []part{{Kind: "arenas", Count: 1, Virtual: int64(pid)}}, nil }
	}, c.pid())
	s.want("started")
	e := s.want("breach virtual")
	want := []part{{Kind: "arenas", Count: 3, Virtual: int64(c.pid() + middle.pid + last.pid)}}
	if a := e.Attribution; e.Processes != 3 || a.Processes != 3 || !slices.Equal(a.Parts, want) {
		t.Errorf("%+v, %+v, want %+v", e, e.Attribution, want)
	}
}

// With scope "tree", terminate ends every process of the tree.
func TestTerminateATree(t *testing.T) {
	c := startChild(t)
	c.ask(t, "ignore SIGTERM", "ok")
	middle, last := mustFork(t, c, "fork"), mustFork(t, c, "tell fork")
	cfg := testConfig("virtual=1")
	cfg.Budget.Scope, cfg.Budget.Action, cfg.Budget.Grace = "tree", "terminate", time.Millisecond
	s := watchIt(t, cfg, nil, c.pid())
	s.ready()
	s.want("breach virtual")
	if e := s.want("action virtual terminate SIGTERM"); e.Processes != 3 {
		t.Errorf("SIGTERM went to %d processes, want 3", e.Processes)
	}
	s.want("action virtual terminate SIGKILL")
	awaitEnd(t, middle)
	awaitEnd(t, last)
	_ = c.cmd.Wait()
	s.wait()
}

// A child counts only when it is one interval old, because between fork and exec it shows its parent's size.
func TestTheYoungDoNotCount(t *testing.T) {
	for _, test := range []struct {
		age, interval time.Duration
		want          bool
	}{{0, time.Second, false}, {time.Second - 1, time.Second, false}, {time.Second, time.Second, true}, {time.Hour, time.Second, true}} {
		if got := counts(time.Minute, time.Minute+test.age, test.interval); got != test.want {
			t.Errorf("%s old at an interval of %s counts: %t", test.age, test.interval, got)
		}
	}
	c, _, _, h := family(t)
	cfg := testConfig("")
	cfg.Budget.Interval = time.Hour
	w := &watched{engine: &engine{clock: sinceBoot, probes: noProbes}, cfg: &cfg, scope: h, state: budget.New(nil, cfg.Budget, 0)}
	now := sinceBoot()
	if r, ok := w.read(now); !ok || r.Processes != 1 {
		t.Errorf("%d processes count at once, want the target alone", r.Processes)
	}
	alone, _ := h.target.sample()
	if r, ok := w.read(now + time.Hour); !ok || r.Processes != 3 || r.Virtual <= alone.Size.Bytes() {
		t.Errorf("%d processes count later: %+v", r.Processes, r)
	}
	c.ask(t, "unmap", "ok")
}

// TestAControlGroupIsFollowed uses a real control group, if this machine allows the test to create one.
func TestAControlGroupIsFollowed(t *testing.T) {
	group := makeGroup(t)
	c, inside, sub := startChild(t), startChild(t), startChild(t)
	join(t, group, c.pid())
	join(t, group, inside.pid())
	below := filepath.Join(group, "below")
	if err := os.Mkdir(below, 0o755); err == nil {
		join(t, below, sub.pid())
	}
	outside := startChild(t)
	h := newScope(mustHold(t, c.pid()), "cgroup", nobody)
	t.Cleanup(h.release)
	must(t, h.refresh())
	if h.target.group != group || !h.has(c.pid()) || !h.has(inside.pid()) || !h.has(sub.pid()) || h.has(outside.pid()) {
		t.Errorf("group %s: target %t, inside %t, below %t, outside %t", h.target.group, h.has(c.pid()), h.has(inside.pid()), h.has(sub.pid()), h.has(outside.pid()))
	}
	join(t, group, outside.pid())
	leave(t, group, inside.pid())
	must(t, h.refresh())
	if !h.has(outside.pid()) || h.has(inside.pid()) {
		t.Errorf("the process that joined is in: %t; the process that left is in: %t", h.has(outside.pid()), h.has(inside.pid()))
	}
	h.excluded = func(pid int) bool { return pid == inside.pid() }
	join(t, group, inside.pid())
	must(t, h.refresh())
	if h.has(inside.pid()) {
		t.Error("the watch's own process counts")
	}
	c.kill(t)
	must(t, h.refresh())
	if !h.has(outside.pid()) {
		t.Error("the group is not followed after the end of the target")
	}
}

// makeGroup creates an empty control group in the first hierarchy of groupOrder that allows it.
func makeGroup(t *testing.T) string {
	t.Helper()
	for _, top := range topGroups(t, os.Getpid(), groupOrder[:]...) {
		if folder, err := os.MkdirTemp(top.Folders[0], "arenacap-test-"); err == nil {
			t.Cleanup(func() { removeGroup(t, folder) })
			return folder
		}
	}
	testenv.Lack(t, "no cgroup hierarchy here may be written to")
	return ""
}

// topGroups are the highest groups in the hierarchies that a process is in, as far as mounts show them.
func topGroups(t *testing.T, pid int, hierarchies ...string) (tops []cgroup.Group) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	must(t, err)
	groups, err := cgroup.ParseMemberships(text)
	must(t, err)
	mounts, err := groupMounts()
	must(t, err)
	for _, hierarchy := range hierarchies {
		m, _ := groups.In(hierarchy)
		m.Path = "/"
		if g := m.Find(proc.Here, mounts); g.Own {
			tops = append(tops, g)
		}
	}
	return tops
}

// removeGroup removes a group and the one below it. It tries several times, because the group is busy for a moment
// after its last process was reaped.
func removeGroup(t *testing.T, folder string) {
	var err error
	for range 500 {
		_ = os.Remove(filepath.Join(folder, "below"))
		if err = os.Remove(folder); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the test's group stays: %v", err)
}

func join(t *testing.T, group string, pid int) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0))
}

func leave(t *testing.T, group string, pid int) {
	t.Helper()
	join(t, filepath.Dir(group), pid)
}

// The root group covers the whole host, so it is refused as the group of a service.
func TestTheRootGroupIsRefused(t *testing.T) {
	group := makeGroup(t)
	c := startChild(t)
	p := mustHold(t, c.pid())
	join(t, group, c.pid())
	if folder, err := groupOf(p, ""); err != nil {
		t.Errorf("%s, %v", folder, err)
	}
	moveToRoots(t, c.pid())
	if folder, err := groupOf(p, ""); err == nil {
		t.Errorf("the root %s is taken for a group", folder)
	}
}

// A group that cannot be read is reported once, and the target itself is still watched.
func TestAGroupThatCannotBeFollowed(t *testing.T) {
	c := startChild(t)
	moveToRoots(t, c.pid())
	cfg := testConfig("virtual=1")
	cfg.Budget.Scope = "cgroup"
	s := watchIt(t, cfg, nil, c.pid())
	s.want("started")
	if e := s.want("watch-failed"); !strings.Contains(e.Message, "whole host") {
		t.Errorf("%+v", e)
	}
	s.want("breach virtual")
	s.silent()
}

// moveToRoots moves a process into the root group of every hierarchy in groupOrder.
func moveToRoots(t *testing.T, pid int) {
	t.Helper()
	for _, g := range topGroups(t, pid, groupOrder[:]...) {
		err := os.WriteFile(filepath.Join(g.Folders[0], "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
		if err != nil || !g.IsRoot(proc.Here) {
			testenv.Lack(t, "the host's root group is out of reach: %s, %v", g.Folders[0], err)
		}
	}
}
