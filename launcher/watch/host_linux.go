package watch

// The watch of a host: the services of a policy, whoever starts their processes. The engine's targets come and go here:
// package service says what belongs to which service, and each process, tree or control group is a target of its own.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
	"arenacap/launcher/service"
	"arenacap/launcher/watch/manager"
	"arenacap/policy"
)

// Host is what the watch of a host needs.
type Host struct {
	Services []Service                                 // in the order of the policy
	Reload   func() ([]Service, error)                 // reads the policy again, at HUP
	State    string                                    // path of the state file
	Say      func(format string, args ...any)          // says one line to the operator
	Lookup   func(name string) (value string, ok bool) // looks up a variable of the environment
}

// Service is one service of the policy. Without limits it is not watched, but its processes are no other service's.
type Service struct {
	Policy policy.Policy
	Config Config // Mode "attach", and no cap
}

// RunServices watches until ctx is done, or until TERM, INT or QUIT. The error is one of the start.
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

// host is the watch of a host at work.
type host struct {
	*engine
	Host
	finder   *service.Finder
	members  []service.Process // at the last look, by PID
	logs     map[string]*eventLog
	targets  map[int]*watched // by the PID of the target
	interval time.Duration    // between two looks, the shortest of all services
	look     time.Duration    // when the next one is due
	hungUp   atomic.Bool      // HUP has come
	keep     int              // how many targets may keep statm open
	state    *stateFile
	said     map[any]bool // what is said once
	manager  manager.Socket
	pet      time.Duration // when the manager's watchdog is due; never is no watchdog
	petEvery time.Duration
	program  string // arenacap's own: a supervisor or a watch of that path is no part of a service
}

func newHost(o Host) (h *host, err error) {
	state, err := openState(o.State, o.Say)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(Config{Mode: "attach", Budget: policy.Builtin().Budget, Log: policy.Builtin().Log})
	if err != nil {
		state.close()
		return nil, err
	}
	h = &host{engine: e, Host: o, state: state, logs: map[string]*eventLog{}, targets: map[int]*watched{}, said: map[any]bool{}, pet: never}
	h.began = e.clock()
	h.keep = int(makeRoom(mostTargets)) / 2
	if h.hangup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		h.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	h.findManager()
	h.program, err = os.Executable()
	return h, err
}

// mostTargets is how many processes RLIMIT_NOFILE is raised for.
const mostTargets = 16384

func (h *host) close() {
	h.engine.close()
	for _, log := range h.logs {
		log.close()
	}
	_ = unix.Close(h.hangup)
	h.state.close()
}

// hear is called at HUP, by another goroutine.
func (h *host) hear() {
	h.hungUp.Store(true)
	_, _ = unix.Write(h.hangup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// arrange takes over services. Where one of them cannot be watched nothing changes.
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
		return errors.New("no service of the policy has a budget; write for example [service.mariadb] and beneath it budget.virtual = \"8GiB\"")
	}
	rules, err := service.NewRules(proc.Here, policies)
	if err != nil {
		return err
	}
	h.finder, h.Services, h.interval, h.look = service.NewFinder(proc.Here, rules), services, interval, 0
	return nil
}

// openLog opens a log that no service had yet.
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
		h.wait(min(next, h.look, h.pet, h.ends))
	}
	h.manager.Tell("STOPPING=1")
	h.save()
	h.farewell(context.Cause(ctx))
	return nil
}

// lookAround finds the processes that became a service's, and those that are none any more.
func (h *host) lookAround(now time.Duration) {
	members, err := h.finder.Look(now)
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
			h.drop(w, "the process does not belong to the service any more")
		default:
			h.drop(w, fmt.Sprintf("the process belongs to service %q now", h.Services[m.Service].Config.Service))
		}
	}
	h.reap()
	for _, m := range members {
		h.consider(m, now)
	}
}

func (h *host) memberOf(pid int) (m service.Process, found bool) {
	i, found := slices.BinarySearchFunc(h.members, pid, func(m service.Process, pid int) int { return m.PID - pid })
	if found {
		m = h.members[i]
	}
	return m, found
}

// consider makes a process a target unless it is counted with one.
func (h *host) consider(m service.Process, now time.Duration) {
	s := &h.Services[m.Service]
	if m.Also >= 0 {
		h.sayOnce([2]int{m.Service, m.Also}, "process %d is of service %q and fits %q too; such processes belong to the first of the two in the policy", m.PID, s.Policy.Service, h.Services[m.Also].Policy.Service)
	}
	if len(s.Config.Limits) == 0 || h.isTarget(m, now) {
		return
	}
	group := ""
	switch s.Config.Budget.Scope {
	case "tree":
		if parent, found := h.memberOf(m.Parent); found && parent.Service == m.Service || h.counted(m, "") {
			return
		}
	case "cgroup":
		var err error
		if group, err = groupOf(&process{pid: m.PID, pidfd: -1, dir: -1}, m.Unit); err != nil {
			if !gone(err) {
				h.sayOnce("group "+s.Policy.Service, "service %q: %v; scope \"cgroup\" cannot count it", s.Policy.Service, err)
			}
			return
		}
		if h.counted(m, group) {
			return
		}
	}
	h.take(m, group, now)
}

// isTarget reports whether a process is a target itself. One that had its PID before it and has ended has its last turn.
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

// counted reports whether a target of the process's service counts the process too, or its control group.
func (h *host) counted(m service.Process, group string) bool {
	for _, w := range h.targets {
		if w.member.found.Service == m.Service && !w.finished && (w.scope.has(m.PID) || group != "" && group == w.scope.target.group && len(w.scope.all()) > 0) {
			return true
		}
	}
	return false
}

// take begins to watch a process.
func (h *host) take(m service.Process, group string, now time.Duration) {
	if h.isOurs(m.PID) {
		return
	}
	p, err := hold(m.PID, -1)
	if err != nil {
		if !gone(err) {
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
	w.due, w.scope.perStart, w.scope.unit, p.group = now, true, m.Unit, group
	h.restore(w)
	h.targets[m.PID] = w
	h.listen(p.pidfd, w.index)
	w.start()
	h.state.changed = true
}

// drop ends the watch of a target whose processes go on.
func (h *host) drop(w *watched, why string) {
	w.abandon(errors.New(why))
	w.killCommand()
	w.finish(h.clock())
}

// reap gives the places of finished targets free.
func (h *host) reap() {
	for pid, w := range h.targets {
		if w.finished {
			delete(h.targets, pid)
			h.free = append(h.free, w.index)
			h.finder.Forget(pid)
			h.state.changed = true
		}
	}
}

// reload reads the policy again. One that cannot be taken over is said, and the old one stays.
func (h *host) reload() {
	h.manager.Tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
	defer h.manager.Tell("READY=1")
	services, err := h.Reload()
	if err == nil {
		err = h.adopt(services)
	}
	if err != nil {
		h.Say("the policy is not taken over, and the old one stays: %v", err)
	}
}

// monotonic is the clock that systemd compares with, clock_gettime(2).
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano())
}

// adopt goes on with other services. The targets of a service that is still there keep their state.
func (h *host) adopt(services []Service) error {
	if err := h.arrange(services); err != nil {
		return err
	}
	h.said = map[any]bool{}
	for _, w := range h.targets {
		i := slices.IndexFunc(services, func(s Service) bool { return s.Config.Service == w.cfg.Service })
		if i < 0 || len(services[i].Config.Limits) == 0 {
			h.drop(w, "the policy has no budget for the service any more")
			continue
		}
		w.member.found.Service = i
		w.reconfigure(&services[i].Config, h.logs[services[i].Config.Log.To])
	}
	h.reap()
	return nil
}

// reconfigure goes on with another configuration. What another scope counts begins anew, at the next look.
func (w *watched) reconfigure(cfg *Config, log *eventLog) {
	before := *w.cfg
	if cfg.Budget.Scope != before.Budget.Scope {
		w.member.host.drop(w, "the policy has another scope")
		return
	}
	w.cfg, w.log = cfg, log
	if reflect.DeepEqual(*cfg, before) {
		return
	}
	was := w.state
	w.state = newState(cfg.Limits, cfg.Budget, w.scope.target.born+cfg.Budget.Settle)
	w.state.resume(was.settled, was.base, was.running())
	w.due = w.clock()
	w.next = w.due
	w.start()
}

// farewell is the last event of each service.
func (h *host) farewell(why error) {
	for i := range h.Services {
		s := &h.Services[i]
		if len(s.Config.Limits) == 0 {
			continue
		}
		w := &watched{engine: h.engine, cfg: &s.Config, log: h.logs[s.Config.Log.To], scope: newScope(&process{pidfd: -1, dir: -1, statm: -1}, "process", nil)}
		w.outcome = Outcome{Elapsed: h.clock() - h.began, Breaches: h.state.breached[s.Config.Service]}
		remaining, text := 0, why.Error()
		for _, pid := range slices.Sorted(maps.Keys(h.targets)) {
			of := h.targets[pid]
			if of.cfg != w.cfg {
				continue
			}
			if remaining += len(of.scope.all()); w.scope.target.pid == 0 {
				w.scope.target.pid = pid
			}
			w.outcome.PeakVirtual = max(w.outcome.PeakVirtual, of.outcome.PeakVirtual)
			w.outcome.PeakResident = max(w.outcome.PeakResident, of.outcome.PeakResident)
			if of.action != nil && of.action.kill != 0 {
				text = why.Error() + " and no SIGKILL follows"
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

// gone reports whether an error says that the process has ended.
func gone(err error) bool { return errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) }

// member is what the watch of a host knows of a target. Of nil, a target of another watch, nothing is asked.
type member struct {
	host  *host
	found service.Process
	acted []string // metrics of whose breach the action was under way when the watch before this one ended
}

// count counts a warning or a breach.
func (m *member) count(c change, service string) {
	if m != nil {
		m.host.state.count(service, c)
	}
}

// changed has the state file written.
func (m *member) changed() {
	if m != nil {
		m.host.state.changed = true
	}
}

// isOurs reports whether a process is one of arenacap.
func (m *member) isOurs(pid int) bool { return m != nil && m.host.isOurs(pid) }

func (h *host) isOurs(pid int) bool {
	path, err := os.Readlink(fmt.Sprintf("%s/%d/exe", procRoot, pid))
	return h.finder.IsWatch(pid) || err == nil && strings.TrimSuffix(path, " (deleted)") == h.program
}

// fits reports whether the target still belongs to its service. What it left is held by pidfd and needs no name.
func (m *member) fits(w *watched) bool {
	return m == nil || w.ended || w.scope.target.ended() || m.host.finder.Fits(m.found)
}

// ownWatch is the watch that a launch made for one of the target's processes, 0 where there is none.
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
