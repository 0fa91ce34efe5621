package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
	"arenacap/policy"
)

// Target is a process that is held for a watch.
type Target struct{ process *process }

// Attach holds the process that has pid now. An error says why it cannot be watched: it does not exist, is
// a thread, has ended, has no memory of its own, or may not be read.
func Attach(pid int) (*Target, error) {
	if err := ownProc(); err != nil {
		return nil, err
	}
	p, err := hold(pid, -1)
	if err != nil {
		return nil, err
	}
	if _, ok := p.sample(); !ok {
		defer p.release()
		if p.ended() {
			return nil, fmt.Errorf("process %d has ended: %w", pid, unix.ESRCH)
		}
		return nil, fmt.Errorf("process %d (%s) has no memory of its own to watch: it is a kernel thread", pid, oneLine(p.name))
	}
	return &Target{p}, nil
}

// AttachAll holds many processes; failed has why some cannot be watched. Each takes two descriptors, and RLIMIT_NOFILE
// is raised for them. Where it cannot be raised so far, the sizes of some are read by opening a file each time.
func AttachAll(pids []int) (targets []*Target, failed []error) {
	keep := int(makeRoom(uint64(len(pids)))) - len(pids)
	for _, pid := range pids {
		t, err := Attach(pid)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if keep--; keep < 0 && t.process.pidfd >= 0 {
			t.process.openEachTime()
		}
		targets = append(targets, t)
	}
	return targets, failed
}

// spareDescriptors are for all that is no target's: the log, a command, looks into processes.
const spareDescriptors = 64

// makeRoom raises RLIMIT_NOFILE for so many targets and gives how many descriptors they may have. The limit is not
// set through package syscall, which would pass it on to commands.
func makeRoom(targets uint64) uint64 {
	const ofEach = 2
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return ofEach * targets // the kernel says when there are too many
	}
	for _, most := range []uint64{limit.Max, ofEach*targets + spareDescriptors} { // the second only root can raise
		if want := ofEach*targets + spareDescriptors; limit.Cur < want {
			raised := unix.Rlimit{Cur: min(want, most), Max: max(limit.Max, most)}
			_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&raised)), 0, 0, 0)
			if errno == 0 {
				limit = raised
			}
		}
	}
	return max(limit.Cur, spareDescriptors) - spareDescriptors
}

// Run watches targets until all have ended or ctx is done, and says what it saw of each, in their order.
// It holds its thread meanwhile. The error is one of the start: the log file or a signal's name.
func Run(ctx context.Context, cfg Config, targets []*Target) ([]Outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := newEngine(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Mode == "attach" { // a supervisor does more than to watch
		e.frugal = true
		origin.BeSmall()
	}
	return e.run(ctx, targets)
}

func (e *engine) run(ctx context.Context, targets []*Target) (outcomes []Outcome, err error) {
	defer e.close()
	for _, t := range targets {
		e.add(t.process)
	}
	stop, err := e.wakeOn(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	for _, w := range e.watched {
		w.start()
	}
	e.loop(ctx)
	for _, w := range e.watched {
		if !w.left && w.herd.target.ended() { // ctx ended because the target had
			w.leave(e.clock())
		}
		outcomes = append(outcomes, w.outcome)
	}
	return outcomes, nil
}

// engine waits and samples.
type engine struct {
	cfg      Config
	log      *journal
	probes   probes
	clock    func() time.Duration // since boot
	began    time.Duration        // where the grid of all samples stands, so that one wake-up serves many targets
	detached bool                 // stderr is the target's and is let go of when that ends
	epoll    int                  // tells the ends of targets and commands, and wake
	wake     int                  // an eventfd, -1 is none
	watched  []*watched
	events   [maxEvents]unix.EpollEvent
	frugal   bool          // the process does nothing but watch, and samples allocate nothing
	giveBack time.Duration // when to give memory back; never where nothing but samples was taken since
}

// maxEvents is how many ends are taken from the kernel at once.
const maxEvents = 128

func newEngine(cfg Config) (*engine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Budget.Action == "signal" {
		if _, err := parseSignal(cfg.Budget.Signal); err != nil {
			return nil, err
		}
	}
	log, err := openLog(cfg.Log.To)
	if err != nil {
		return nil, err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		log.close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &engine{cfg: cfg, log: log, probes: kernelProbes, clock: sinceBoot, began: -1, epoll: epoll, wake: -1, giveBack: never}, nil
}

func (e *engine) close() {
	for _, w := range e.watched {
		w.abandonCommand()
		w.herd.release()
	}
	_ = unix.Close(e.epoll)
	e.log.close()
}

// watched is one target under the engine's eyes.
type watched struct {
	*engine
	index   int // in engine.watched
	herd    *herd
	state   *state
	base    division // the virtual size when settle ended
	next    time.Duration
	due     time.Duration // the next sample
	peek    time.Duration // when the target's size is read beside the samples; 0 is never
	called  bool          // the kernel told of an end
	action  *action
	waiting []change
	killed  bool
	left    bool // the target itself has ended
	over    bool // nothing is left to watch
	mute    map[string]bool
	outcome Outcome
}

// add takes in a target. Settle counts from its birth: of a process that somebody else started nothing better
// is known, and one that arenacap forked goes on to its program at once.
func (e *engine) add(p *process) *watched {
	if e.began < 0 {
		e.began = e.clock()
	}
	w := &watched{engine: e, index: len(e.watched), due: e.began, outcome: Outcome{PID: p.pid}}
	if e.cfg.Mode != "attach" { // there the start was long ago
		w.peek = nextPeek(e.began, e.began, e.cfg.Budget.Interval)
	}
	w.herd = newHerd(p, e.cfg.Budget.Scope, w.own)
	w.herd.launched = e.cfg.Mode != "attach"
	e.frugal = e.frugal && e.cfg.Budget.Scope == "process" && p.statm >= 0 && p.pidfd >= 0
	w.state = newState(e.cfg.Limits, e.cfg.Budget, p.born+e.cfg.Budget.Settle)
	e.watched = append(e.watched, w)
	return w
}

// addLaunched takes in a target that is the process of the launch itself, whose program begins now. The
// process may be much older: a shell that waited for something and then executed arenacap. What that shell
// forked before is not the target's, and the watch, which was forked moments before the exec, is the line
// between the two.
func (e *engine) addLaunched(p *process) *watched {
	w := e.add(p)
	w.state.settleEnds = w.began + e.cfg.Budget.Settle
	if text, err := os.ReadFile(procRoot + "/self/stat"); err == nil {
		if own, err := proc.ParseStat(text); err == nil {
			w.herd.since = own.Started
		}
	}
	return w
}

// own reports whether a process is the watch itself or its command, which may share a control group with
// the target.
func (w *watched) own(pid int) bool {
	return pid == os.Getpid() || w.action != nil && w.action.command != nil && pid == w.action.command.cmd.Process.Pid
}

// wakeOn makes the end of ctx end the wait.
func (e *engine) wakeOn(ctx context.Context) (stop func(), err error) {
	if ctx.Done() == nil {
		return func() {}, nil
	}
	if e.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		_, _ = unix.Write(e.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	return func() {
		if !cancel() {
			<-done
		}
		_ = unix.Close(e.wake)
	}, nil
}

func (e *engine) loop(ctx context.Context) {
	e.listen(e.wake, -1)
	for _, w := range e.watched {
		e.listen(w.herd.target.pidfd, w.index)
	}
	for ctx.Err() == nil || e.killing() {
		now := e.clock()
		next, busy := e.turns(now)
		if !busy {
			return
		}
		if now >= e.giveBack {
			e.giveMemoryBack()
		}
		e.wait(min(next, e.giveBack))
	}
}

// turns gives everybody a turn for whom it is time, and says when it is next.
func (e *engine) turns(now time.Duration) (next time.Duration, busy bool) {
	next = never
	for _, w := range e.watched {
		if w.called || now >= w.next {
			w.turn(now)
		}
		next, busy = min(next, w.next), busy || !w.over
	}
	return next, busy
}

// listen has the engine told when a descriptor becomes readable. Without one, -1, the end is looked for at every turn.
// Where the kernel refuses one (ENOSPC, see max_user_watches in epoll(7)) the end is found by the samples: a target's when
// one fails, a command's at the next.
func (e *engine) listen(fd, index int) {
	if fd >= 0 {
		_ = unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)})
	}
}

// killing reports whether a target's end came by the action "terminate" and others of its scope have not had
// their SIGKILL yet. That is brought to its end in any case, also where whoever ends the watch heard of the
// target's end first.
func (e *engine) killing() bool {
	return slices.ContainsFunc(e.watched, func(w *watched) bool {
		return !w.over && w.action != nil && w.action.kill != 0 && (w.left || w.herd.target.ended())
	})
}

// wait sleeps until a process ends, the command ends, ctx ends, or a turn is due.
func (e *engine) wait(next time.Duration) {
	n, _ := unix.EpollWait(e.epoll, e.events[:], milliseconds(next-e.clock())) // -1 where a signal interrupted it
	for _, event := range e.events[:max(n, 0)] {
		if event.Fd >= 0 {
			e.watched[event.Fd].called = true
			continue
		}
		_, _ = unix.Read(e.wake, make([]byte, 8)) // or it would wake every wait that is still to come
	}
}

// milliseconds is a timeout of epoll_wait(2), rounded up.
func milliseconds(d time.Duration) int {
	return int(min((max(d, 0)+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

// turn does what is due for one target and gives the time of its next turn; ok is false when it is over.
func (w *watched) turn(now time.Duration) (next time.Duration, ok bool) {
	w.next = never
	if w.over {
		return 0, false
	}
	if !w.left && (w.called || w.herd.target.pidfd < 0) && w.herd.target.ended() {
		w.leave(now)
	}
	w.called = false
	w.proceed(now)
	if now >= w.due && !w.gone() {
		w.sample(now)
		w.due = nextSample(w.due, now, w.cfg.Budget.Interval)
	}
	if w.peek != 0 && now >= w.peek {
		w.look()
		w.peek = nextPeek(w.began, now, w.cfg.Budget.Interval)
	}
	if w.gone() && (w.action == nil || w.action.command == nil) {
		w.finish(now)
		return 0, false
	}
	w.next = w.nextTurn(now)
	return w.next, true
}

// commandPoll is how often a command's end is looked for where there are no pidfds.
const commandPoll = 50 * time.Millisecond

func (w *watched) nextTurn(now time.Duration) time.Duration {
	next := w.due
	if w.peek != 0 {
		next = min(next, w.peek)
	}
	if w.gone() { // no sample is due any more
		next = now + w.cfg.Budget.Interval
	}
	if a := w.action; a != nil {
		if a.kill != 0 {
			next = min(next, a.kill)
		}
		if a.command != nil && !a.command.late {
			next = min(next, a.command.deadline)
		}
		if a.command != nil && a.command.pidfd < 0 {
			next = min(next, now+commandPoll)
		}
	}
	return max(next, now)
}

// gone reports whether nothing is left to watch: the target has ended, and with a wider scope what it
// left. A watch that may neither speak nor act any more has nothing to watch for.
func (w *watched) gone() bool {
	if !w.left {
		return false
	}
	silent := w.detached && w.log.path == "" && !w.cfg.Journal && w.cfg.Budget.Action == "report" && len(w.cfg.Budget.Command) == 0
	if silent || w.over {
		return true
	}
	w.complain("scope", w.herd.lookForHeirs())
	return w.herd.remaining() == 0
}

// start says what is watched.
func (w *watched) start() {
	w.say(started(w.cfg))
	for _, why := range w.cfg.Notices {
		w.say(capCannotWork(why))
	}
}

// leave is the end of the target itself.
func (w *watched) leave(now time.Duration) {
	w.left = true
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, w.herd.target.pidfd, nil) // it stays readable
	w.outcome.Elapsed = now - w.began
	w.complain("scope", w.herd.lookForHeirs())
	w.say(exited(w.outcome, w.herd.remaining()))
	if w.detached && !w.cfg.Journal { // nobody waits for the end of the journal's
		w.log.closeStderr()
	}
}

// finish is the end of all that was watched.
func (w *watched) finish(now time.Duration) {
	w.over = true
	if w.cfg.Budget.Scope != "process" {
		w.outcome.Elapsed = now - w.began
	}
	w.herd.release()
}

// read samples every process that counts. ok is false where none could be read.
func (w *watched) read(now time.Duration) (r reading, ok bool) {
	r.arenasKnown = true
	if !w.left {
		ok = w.readOne(&r, w.herd.target, now)
	}
	for _, p := range w.herd.others {
		if counts(p.born, now, w.cfg.Budget.Interval) {
			ok = w.readOne(&r, p, now) || ok
		}
	}
	return r, ok
}

var pageSize = uint64(os.Getpagesize())

// readOne adds one process.
func (w *watched) readOne(r *reading, p *process, now time.Duration) bool {
	s, ok := p.sample()
	if !ok {
		return false
	}
	p.virtual = s.size * pageSize
	r.processes++
	r.virtual += s.size * pageSize
	r.data += s.data * pageSize
	r.resident += s.resident * pageSize
	if now >= w.state.settleEnds && w.needsCensus(p) {
		w.countArenas(r, p, s.size*pageSize)
	} else {
		r.arenasKnown = false
	}
	return true
}

// countArenas adds one process's arenas. A count takes more than a sample, so it is taken only when the size
// moved.
func (w *watched) countArenas(r *reading, p *process, virtual uint64) {
	if p.arenas.due(virtual) {
		w.used()
		count, err := w.probes.count(p.pid)
		if errors.Is(err, errGone) || p.ended() { // it may have been another process's number by then
			r.arenasKnown = false
			return
		}
		p.arenas.take(virtual, count, err)
		if err != nil && (w.budgetsArenas() || w.cfg.Verbose) {
			w.complain("arenas", fmt.Errorf("the arenas of process %d cannot be counted: %w", p.pid, err))
		}
	}
	r.arenas += p.arenas.reserved
	r.arenasKnown = r.arenasKnown && p.arenas.known
}

// needsCensus reports whether anyone asks for the arenas of this process: the budget for any, the cap for
// the target.
func (w *watched) needsCensus(p *process) bool {
	return w.cfg.Cap != 0 && p == w.herd.target || w.budgetsArenas()
}

func (w *watched) budgetsArenas() bool {
	return slices.ContainsFunc(w.cfg.Limits, func(l policy.Limit) bool { return metrics[l.Metric].needsArenas })
}

// sample takes one sample and does what follows from it.
func (w *watched) sample(now time.Duration) {
	w.complain("scope", w.herd.refresh())
	r, ok := w.read(now)
	if !ok {
		w.called = true // it may have ended, though nobody told
		return
	}
	w.outcome.note(r)
	settled := w.state.settled
	changes := w.state.observe(now, r, func() (reading, bool) { return w.read(w.clock()) })
	if w.state.settled && !settled {
		w.base = w.inspect()
	}
	w.judgeCap()
	for _, c := range changes {
		w.tell(c, r, now)
	}
}

// look keeps the peaks of the target alone.
func (w *watched) look() {
	if s, ok := w.herd.target.sample(); ok && !w.left {
		w.outcome.note(reading{virtual: s.size * pageSize, resident: s.resident * pageSize, processes: 1})
	}
}

// note keeps the peaks.
func (o *Outcome) note(r reading) {
	o.PeakVirtual = max(o.PeakVirtual, r.virtual)
	o.PeakResident = max(o.PeakResident, r.resident)
	o.Processes = max(o.Processes, r.processes)
}

// tell says a change and, for a breach, begins the action.
func (w *watched) tell(c change, r reading, now time.Duration) {
	switch c.kind {
	case eventRecovered:
		w.say(recovered(c))
	case eventWarning:
		w.say(passed(c, r.processes, attribute(w.base, w.inspect())))
	case eventBreach:
		w.outcome.Breaches++
		w.say(passed(c, r.processes, attribute(w.base, w.inspect())))
		w.begin(c, now)
	}
}

// maxInspected bounds what an attribution costs: a look into a process takes milliseconds.
const maxInspected = 64

// inspect adds up the parts of the virtual size of the processes that are counted, at most the maxInspected
// largest. It has none where none can be had: another user's processes, or those that have just ended.
func (w *watched) inspect() (d division) {
	w.used()
	var counted []*process
	for _, p := range w.herd.all() {
		if p.virtual != 0 {
			counted = append(counted, p)
		}
	}
	slices.SortStableFunc(counted, func(a, b *process) int { return cmp.Compare(b.virtual, a.virtual) })
	for _, p := range counted[:min(len(counted), maxInspected)] {
		parts, err := w.probes.inspect(p.pid)
		if err != nil || p.ended() { // it may have been another process's number by then
			continue
		}
		d.processes++
		for _, part := range parts {
			d.parts = addPart(d.parts, part)
		}
	}
	return d
}

// judgeCap compares the target's arenas with the plan: once after settle, and again whenever there are
// more than ever before. That the cap is not kept is told once. Where it is known not to work, being under
// it by chance verifies nothing, and neither does a count that may be too low.
func (w *watched) judgeCap() {
	c := w.herd.target.arenas
	if !c.known || w.left || c.arenas <= w.outcome.Arenas {
		return
	}
	w.outcome.Arenas = c.arenas
	if w.cfg.Cap == 0 {
		return
	}
	kept := c.arenas <= w.cfg.Cap
	if kept && c.more > 0 {
		w.outcome.CapKnown = w.outcome.CapKnown && !w.outcome.CapKept
		return
	}
	broken := w.outcome.CapKnown && !w.outcome.CapKept
	w.outcome.CapKnown, w.outcome.CapKept = true, kept
	if kept && len(w.cfg.Notices) == 0 || !kept && !broken {
		w.say(capJudged(c.arenas, w.cfg.Cap))
	}
}

// complain tells once what does not work; the watch goes on with the rest.
func (w *watched) complain(what string, err error) {
	if err == nil || w.mute[what] {
		return
	}
	if w.mute == nil {
		w.mute = map[string]bool{}
	}
	w.mute[what] = true
	w.say(watchFailed(err.Error()))
}

func (w *watched) who() speaker {
	name := w.herd.target.name
	if w.cfg.Program != "" {
		name = filepath.Base(w.cfg.Program)
	}
	return speaker{w.cfg.Service, name, w.herd.target.pid}
}

// say writes an event, if it is wanted.
func (w *watched) say(e event) {
	if !w.cfg.wanted(e.kind) {
		return
	}
	w.used()
	at := time.Now()
	w.log.put(w.line(e, at), func(n int) []byte {
		return w.line(watchFailed(fmt.Sprintf("%d events could not be written here", n)), at)
	})
}

// line is an event as this log has it. A file has no journal that would add the time, and none that would read
// the priority.
func (w *watched) line(e event, at time.Time) []byte {
	line := e.line(w.cfg.Log.Format, at, w.who())
	switch {
	case w.cfg.Log.Format == "json":
	case w.log.path != "":
		line = append([]byte(timestamp(at)+" "), line...)
	case w.cfg.Journal:
		line = append([]byte(e.priority().Prefix()), line...)
	}
	return line
}
