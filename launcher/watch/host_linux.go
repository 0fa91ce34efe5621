package watch

// This file has the watch of a host, which watches all services of a policy that have a budget, including processes
// that arenacap did not start. Package service assigns processes to services; each process, tree or control group is
// one target. Targets are added and removed at run time.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
	"arenacap/launcher/service"
	"arenacap/launcher/watch/budget"
	"arenacap/launcher/watch/manager"
	"arenacap/launcher/watch/statefile"
	"arenacap/launcher/watch/view"
	"arenacap/policy"
)

// Host is the input of RunServices.
type Host struct {
	Services []Service                                 // the services, in the order of the policy
	Reload   func() ([]Service, error)                 // reads the policy again, on SIGHUP
	State    string                                    // path of the state file
	Say      func(format string, args ...any)          // prints one line for the operator
	Lookup   func(name string) (value string, ok bool) // looks up a variable of the environment
	Screen   view.Screen                               // the screen at a terminal; nil: none
}

// Service is one service of the policy. A service without limits is not watched, but still claims its processes.
type Service struct {
	Policy policy.Policy
	Config Config // the configuration of its watch, with Mode "attach" and no cap
}

// RunServices watches until ctx is done or SIGTERM, SIGINT or SIGQUIT arrives. It returns an error only if it cannot start.
func RunServices(ctx context.Context, o Host) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := ownProc(); err != nil {
		return err
	}
	h, err := newHost(o)
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.arrange(o.Services); err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, h.hear)
	defer stop()
	origin.BeSmall()
	return h.run(ctx)
}

// host is the state of a running watch of a host.
type host struct {
	*engine
	Host
	finder   *service.Finder
	members  []service.Process // the processes of all services at the last scan, sorted by PID
	logs     map[string]*eventLog
	targets  map[int]*watched // the targets by their PID
	interval time.Duration    // time between two scans: the shortest interval of all services that have a budget
	look     time.Duration    // time of the next scan
	hungUp   atomic.Bool      // SIGHUP has arrived
	keep     int              // how many targets may keep their statm file open
	state    *statefile.File
	changed  bool           // the state file is out of date
	unsaved  bool           // the last write of the state file failed
	breached map[string]int // breaches by service since the start of this watch
	said     map[any]bool   // keys of sayOnce
	manager  manager.Socket
	pet      time.Duration // time of the next message to the manager's watchdog; never: no watchdog
	petEvery time.Duration
	isOurs   func(pid int) bool // reports whether a process runs arenacap; such a process does not become a target
}

func newHost(o Host) (h *host, err error) {
	state, err := statefile.Open(o.State, o.Say)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(Config{Mode: "attach", Budget: policy.Builtin().Budget, Log: policy.Builtin().Log})
	if err != nil {
		state.Close()
		return nil, err
	}
	h = &host{engine: e, Host: o, state: state, changed: true, breached: map[string]int{}, logs: map[string]*eventLog{}, targets: map[int]*watched{}, said: map[any]bool{}, pet: never}
	h.began = e.clock()
	h.showTo(o.Screen)
	h.Say = func(format string, args ...any) { h.printAbove(func() { o.Say(format, args...) }) }
	h.keep = int(makeRoom(mostTargets)) / 2
	if h.hangup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		h.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	h.findManager()
	h.isOurs = func(pid int) bool { return service.RunsArenacap(proc.Here, pid) }
	return h, nil
}

// mostTargets is the number of targets for which RLIMIT_NOFILE is raised.
const mostTargets = 16384

func (h *host) close() {
	h.engine.close()
	for _, log := range h.logs {
		log.close()
	}
	_ = unix.Close(h.hangup)
	h.state.Close()
}

// hear runs on SIGHUP, in another goroutine.
func (h *host) hear() {
	h.hungUp.Store(true)
	_, _ = unix.Write(h.hangup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// arrange switches to these services. If one of them cannot be watched, it returns an error and keeps the earlier
// services.
func (h *host) arrange(services []Service) error {
	interval := never
	var policies []policy.Policy
	for _, s := range services {
		policies = append(policies, s.Policy)
		if len(s.Config.Limits) == 0 {
			continue
		}
		if err := errors.Join(s.Config.check(), h.openLog(s.Config.Log.To)); err != nil {
			return fmt.Errorf("service %q: %w", s.Config.Service, err)
		}
		interval = min(interval, s.Config.Budget.Interval)
	}
	if interval == never {
		return errors.New("no service of the policy has a budget; add a budget, for example [service.mariadb] with the line budget.virtual = \"8GiB\"")
	}
	rules := service.NewRules(proc.Here, policies)
	for _, problem := range rules.Problems {
		h.Say("%v", problem)
	}
	h.finder, h.Services, h.interval, h.look = service.NewFinder(proc.Here, rules), services, interval, 0
	return nil
}

// openLog opens a log unless it is open already.
func (h *host) openLog(path string) error {
	if h.logs[path] != nil {
		return nil
	}
	log, err := openLog(path)
	if err == nil {
		h.logs[path] = log
	}
	return err
}

// run watches until ctx is done.
func (h *host) run(ctx context.Context) error {
	stop, err := h.wakeOn(ctx)
	if err != nil {
		return err
	}
	defer stop()
	h.listen(h.wake, -1)
	h.listen(h.hangup, -1)
	for ready := false; !h.over(ctx); {
		now := h.clock()
		if h.hungUp.Swap(false) {
			h.reload()
		}
		if now >= h.look {
			h.lookAround(now)
			h.look = nextSample(h.look, now, h.interval)
		}
		next, _ := h.turns(now)
		h.reap()
		h.save()
		if !ready {
			ready = true
			h.manager.Tell("READY=1")
		}
		h.petWatchdog(now)
		h.show(now, h.rows)
		h.wait(min(next, h.look, h.shows, h.pet, h.ends))
	}
	h.manager.Tell("STOPPING=1")
	h.save()
	h.farewell(context.Cause(ctx))
	return nil
}

// lookAround adds processes that joined a service and drops those that left it.
func (h *host) lookAround(now time.Duration) {
	members, err := h.finder.Look(now, h.holds)
	if err != nil {
		h.sayOnce("look", "%v", err)
		return
	}
	h.members = members
	for pid, w := range h.targets {
		switch m, found := h.memberOf(pid); {
		case w.ended || w.finished || found && m.Started != w.member.found.Started:
		case found && m.Service == w.member.found.Service:
		case w.scope.target.ending():
			w.notified = true
		case !found:
			h.drop(w, "the process no longer belongs to the service")
		default:
			h.drop(w, fmt.Sprintf("the process now belongs to service %q", h.Services[m.Service].Config.Service))
		}
	}
	h.reap()
	for _, m := range members {
		h.consider(m, now)
	}
}

// holds reports whether a process is a target that has not ended. The watch has a descriptor of each such process, so
// it learns of the end without a scan.
func (h *host) holds(pid int) bool {
	w := h.targets[pid]
	return w != nil && !w.ended
}

func (h *host) memberOf(pid int) (m service.Process, found bool) {
	i, found := slices.BinarySearchFunc(h.members, pid, func(m service.Process, pid int) int { return m.PID - pid })
	if found {
		m = h.members[i]
	}
	return m, found
}

// consider makes a process a target unless the process already counts for an existing target.
func (h *host) consider(m service.Process, now time.Duration) {
	s := &h.Services[m.Service]
	if m.Also >= 0 {
		h.sayOnce([2]int{m.Service, m.Also}, "process %d matches services %q and %q; the process counts for %q, the first in the policy", m.PID, s.Policy.Service, h.Services[m.Also].Policy.Service, s.Policy.Service)
	}
	if len(s.Config.Limits) == 0 || h.isTarget(m, now) {
		return
	}
	group := ""
	switch s.Config.Budget.Scope {
	case "tree":
		if parent, found := h.memberOf(m.Parent); found && parent.Service == m.Service || h.counting(m, "") != nil {
			return
		}
	case "cgroup":
		if w := h.counting(m, ""); w != nil && !h.startedAgain(w, m) {
			return
		}
		var err error
		if group, err = groupOf(&process{pid: m.PID, pidfd: -1, dir: -1}, m.Unit); err != nil {
			if !proc.Gone(err) {
				h.sayOnce("group "+s.Policy.Service, "service %q: %v; write scope = \"tree\" in [budget]", s.Policy.Service, err)
			}
			return
		}
		w := h.counting(m, group)
		if w != nil && !h.startedAgain(w, m) {
			return
		}
		if w != nil {
			h.drop(w, "the service has started again, and processes of the previous start continue")
		}
	}
	h.take(m, group, now)
}

// isTarget reports whether a process is a target. If the target with this PID is an earlier process that has ended, it
// finishes that target first.
func (h *host) isTarget(m service.Process, now time.Duration) bool {
	w := h.targets[m.PID]
	if w == nil {
		return false
	}
	if w.member.found.Started != m.Started && !w.finished {
		w.notified = true
		w.turn(now)
	}
	if w.finished {
		h.reap()
		return false
	}
	return true
}

// counting returns the target of the same service that already counts the process or its control group; nil: none.
func (h *host) counting(m service.Process, group string) *watched {
	for _, w := range h.targets {
		if w.member.found.Service == m.Service && !w.finished && (w.scope.has(m.PID) || group != "" && group == w.scope.target.group && len(w.scope.all()) > 0) {
			return w
		}
	}
	return nil
}

// startedAgain reports whether the process m, which the target w counts as a member of its control group, belongs to a
// later start of the unit than w. The target w may be from an earlier start: with KillMode=process systemd lets
// processes of that start run. While a SIGKILL is pending, the answer is no, so that the SIGKILL comes first.
func (h *host) startedAgain(w *watched, m service.Process) bool {
	parent, found := h.memberOf(m.Parent)
	if m.Unit == "" || m.Started <= w.member.found.Started || found && parent.Service == m.Service || w.action != nil && w.action.kill != 0 {
		return false
	}
	id, at := startOf(m.Unit)
	return id != "" && id != w.member.start && m.Started+proc.Tick > at
}

// startOf returns systemd's invocation ID of the current start of a unit and its time since boot; "": unknown.
// systemd makes a link with the ID for journald, before it forks the unit's first process.
func startOf(unit string) (id string, at time.Duration) {
	path := "/run/systemd/units/invocation:" + unit
	id, err := os.Readlink(path)
	info, err2 := os.Lstat(path)
	if err != nil || err2 != nil {
		return "", 0
	}
	return id, sinceBoot() - time.Since(info.ModTime())
}

// take begins to watch a process.
func (h *host) take(m service.Process, group string, now time.Duration) {
	if h.isOurs(m.PID) {
		return
	}
	p, err := hold(m.PID, -1)
	if err != nil {
		if !proc.Gone(err) {
			h.sayOnce(m.Service, "service %q: %v", h.Services[m.Service].Policy.Service, err)
		}
		return
	}
	if p.born != m.Started || p.ended() || !h.finder.Fits(m) {
		p.release()
		return
	}
	if h.keep <= len(h.targets) {
		p.openEachTime()
	}
	config := &h.Services[m.Service].Config
	w := h.put(p, config, h.logs[config.Log.To])
	w.member = &member{host: h, found: m}
	w.member.start, _ = startOf(m.Unit)
	w.due, w.scope.perStart, w.scope.unit, p.group = now, true, m.Unit, group
	h.restore(w)
	h.targets[m.PID] = w
	h.listen(p.pidfd, w.index)
	w.start()
	h.changed = true
}

// drop stops watching a target whose processes still run.
func (h *host) drop(w *watched, why string) {
	w.abandon(errors.New(why))
	w.killCommand()
	w.finish(h.clock())
}

// reap removes finished targets and frees their slots.
func (h *host) reap() {
	for pid, w := range h.targets {
		if w.finished {
			delete(h.targets, pid)
			h.free = append(h.free, w.index)
			h.finder.Forget(pid)
			h.changed = true
		}
	}
}

// reload reads the policy again. If the new one cannot be used, it reports why and keeps the old one.
func (h *host) reload() {
	h.manager.Tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
	defer h.manager.Tell("READY=1")
	services, err := h.Reload()
	if err == nil {
		err = h.adopt(services)
	}
	if err != nil {
		h.Say("the new policy was rejected, the old one remains in force: %v", err)
	}
}

// monotonic is CLOCK_MONOTONIC, the clock that systemd expects in MONOTONIC_USEC (sd_notify(3)).
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano())
}

// adopt switches to new services. Targets of a service that remains keep their state, unless its scope has changed.
func (h *host) adopt(services []Service) error {
	if err := h.arrange(services); err != nil {
		return err
	}
	h.said = map[any]bool{}
	budgeted := map[string]int{} // the indexes of the services that have a budget
	for i := range services {
		if len(services[i].Config.Limits) > 0 {
			budgeted[services[i].Config.Service] = i
		}
	}
	for _, w := range h.targets {
		i, found := budgeted[w.cfg.Service]
		if !found {
			h.drop(w, "the policy no longer has a budget for the service")
			continue
		}
		w.member.found.Service = i
		w.reconfigure(&services[i].Config, h.logs[services[i].Config.Log.To])
	}
	h.reap()
	return nil
}

// reconfigure gives a target a new configuration. If the scope differs it drops the target; the next scan adds it again.
func (w *watched) reconfigure(cfg *Config, log *eventLog) {
	before := *w.cfg
	if cfg.Budget.Scope != before.Budget.Scope {
		w.member.host.drop(w, "the scope in the policy has changed")
		return
	}
	w.cfg, w.log = cfg, log
	if reflect.DeepEqual(*cfg, before) {
		return
	}
	was := w.state
	w.state = budget.New(cfg.Limits, cfg.Budget, w.scope.target.born+cfg.Budget.Settle)
	w.state.Resume(was.Settled, was.Base, was.Running())
	w.due = w.clock()
	w.next = w.due
	w.start()
}

// farewell reports the last event of each service that has a budget.
func (h *host) farewell(why error) {
	targets := map[*Config][]*watched{}
	for _, pid := range slices.Sorted(maps.Keys(h.targets)) {
		w := h.targets[pid]
		targets[w.cfg] = append(targets[w.cfg], w)
	}
	for i := range h.Services {
		s := &h.Services[i]
		if len(s.Config.Limits) == 0 {
			continue
		}
		w := &watched{engine: h.engine, cfg: &s.Config, log: h.logs[s.Config.Log.To], scope: newScope(&process{pidfd: -1, dir: -1, statm: -1}, "process", nil)}
		w.outcome = Outcome{Elapsed: h.clock() - h.began, Breaches: h.breached[s.Config.Service]}
		remaining, text := 0, why.Error()
		for _, of := range targets[w.cfg] {
			if remaining += len(of.scope.all()); w.scope.target.pid == 0 {
				w.scope.target.pid = of.outcome.PID
			}
			w.outcome.PeakVirtual = max(w.outcome.PeakVirtual, of.outcome.PeakVirtual)
			w.outcome.PeakResident = max(w.outcome.PeakResident, of.outcome.PeakResident)
			if of.action != nil && of.action.kill != 0 {
				text = why.Error() + "; the pending SIGKILL is not sent"
			}
		}
		w.report(watchEnded(w.outcome, remaining, text))
	}
}

func (h *host) sayOnce(what any, format string, args ...any) {
	if !h.said[what] {
		h.said[what] = true
		h.Say(format, args...)
	}
}

// member is what the watch of a host knows about a target. It is nil, with methods that do nothing, in other watches.
type member struct {
	host  *host
	found service.Process
	start string   // identifies the start of the unit (see startOf)
	acted []string // budget metrics: the previous watch ended before it finished the action for their breach
}

// count counts a warning or a breach.
func (m *member) count(c budget.Change, service string) {
	if m == nil {
		return
	}
	switch of := m.host.state.Of(service); c.Kind {
	case eventWarning:
		of.Warnings[c.Metric]++
	case eventBreach:
		of.Breaches[c.Metric]++
		m.host.breached[service]++
	}
}

// markChanged marks the state file as out of date.
func (m *member) markChanged() {
	if m != nil {
		m.host.changed = true
	}
}

// isOurs reports whether a process runs arenacap.
func (m *member) isOurs(pid int) bool { return m != nil && m.host.isOurs(pid) }

// fits reports whether the target still belongs to its service. After the target's end it returns true, because the
// remaining processes are held by pidfd and need not match.
func (m *member) fits(w *watched) bool {
	return m == nil || w.ended || w.scope.target.ended() || m.host.finder.Fits(m.found)
}

// ownWatch is the PID of a watch that a launch started for one of the target's processes; 0: none.
func (m *member) ownWatch(w *watched) int {
	if m == nil {
		return 0
	}
	for _, p := range w.scope.all() {
		if watch := m.host.finder.WatchOf(p.pid); watch != 0 {
			return watch
		}
	}
	return 0
}
