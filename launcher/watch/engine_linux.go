package watch

// The loop of a watch: it waits for the end of a process or the next sample, and gives each target its turn.

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
)

// Run watches targets until all have ended or ctx is done, and returns the outcome of each, in their order. With the
// mode "attach" TERM, INT and QUIT end it too, HUP does nothing, and a log that cannot be opened is an error.
// It locks its goroutine to its thread meanwhile. The error is one of the start.
func Run(ctx context.Context, cfg Config, targets []*Target) ([]Outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := newEngine(cfg)
	if err != nil {
		return nil, err
	}
	defer e.close()
	if cfg.Mode == "attach" { // a supervisor does more than to watch
		if e.noLog != nil {
			return nil, e.noLog
		}
		var stop func()
		ctx, stop = untilSignal(ctx, nil)
		defer stop()
		e.frugal = true
		origin.BeSmall()
	}
	return e.run(ctx, targets)
}

func (e *engine) run(ctx context.Context, targets []*Target) ([]Outcome, error) {
	for _, t := range targets {
		e.add(t.process)
	}
	return e.watch(ctx)
}

// watch is the whole of a watch whose targets were added.
func (e *engine) watch(ctx context.Context) (outcomes []Outcome, err error) {
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
		if !w.ended && w.scope.target.ended() { // ctx ended because the target had
			w.leave(e.clock())
		}
		if signaled(ctx) && !w.gone() {
			w.abandon(context.Cause(ctx))
		}
		outcomes = append(outcomes, w.outcome)
	}
	return outcomes, nil
}

// engine is one watch, of one target or of many.
type engine struct {
	cfg       Config
	log       *eventLog
	noLog     error // why stderr takes the log's place
	probes    probes
	clock     func() time.Duration // since boot
	began     time.Duration        // the first sample of all, so that one wake-up serves many targets
	detached  bool                 // stderr is the target's and is closed when that ends
	epoll     int                  // has the pidfds of targets and commands, and wake
	wake      int                  // an eventfd that is written to when ctx ends, -1 is none
	hangup    int                  // one that is written to when HUP comes, -1 is none
	watched   []*watched
	free      []int // places in watched that can be taken again
	events    [maxEvents]unix.EpollEvent
	frugal    bool          // the process does nothing but watch, and samples allocate nothing
	giveBack  time.Duration // when to give memory back; never where nothing but samples was taken since
	collected bool          // the first step of it was taken
	ends      time.Duration // when the watch ends after ctx; never before that
}

// maxEvents is how many ends are taken from the kernel at once.
const maxEvents = 128

func newEngine(cfg Config) (*engine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	log, noLog := openLog(cfg.Log.To)
	if noLog != nil {
		log = openStderr(2)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		log.close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &engine{cfg: cfg, log: log, noLog: noLog, probes: kernelProbes, clock: sinceBoot, began: -1, epoll: epoll, wake: -1, hangup: -1, giveBack: never, ends: never}, nil
}

func (e *engine) close() {
	for _, w := range e.watched {
		w.killCommand()
		w.scope.release()
	}
	_ = unix.Close(e.epoll)
	e.log.close()
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
		e.listen(w.scope.target.pidfd, w.index)
	}
	for !e.over(ctx) {
		now := e.clock()
		next, busy := e.turns(now)
		if !busy {
			return
		}
		if now >= e.giveBack {
			e.giveMemoryBack()
		}
		e.wait(min(next, e.giveBack, e.ends))
	}
}

// lastLook is how long a watch beside its target goes on after a signal: at the stop of a systemd unit both get the
// TERM, and what is reported then is the end of the target.
const lastLook = time.Second

// over reports whether the watch is to end although processes are left.
func (e *engine) over(ctx context.Context) bool {
	if ctx.Err() == nil || e.killing() {
		return false
	}
	if e.ends == never {
		e.ends = e.clock()
		if e.detached {
			e.ends += lastLook
		}
	}
	return e.clock() >= e.ends
}

// turns gives each target its turn that is due, and returns when the next one is; busy is false where none is left.
func (e *engine) turns(now time.Duration) (next time.Duration, busy bool) {
	next = never
	for _, w := range e.watched {
		if w.notified || now >= w.next {
			w.turn(now)
		}
		next, busy = min(next, w.next), busy || !w.finished
	}
	return next, busy
}

// listen wakes the engine when a descriptor becomes readable. Without one, -1, the end is looked for at every turn.
// Where the kernel refuses one (ENOSPC, see max_user_watches in epoll(7)) the end is found by the samples: a target's when
// one fails, a command's at the next.
func (e *engine) listen(fd, index int) {
	if fd >= 0 {
		_ = unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)})
	}
}

// killing reports whether a target was ended by the action "terminate" and others of its scope have not had
// their SIGKILL yet. They get it even where ctx ends because the target has ended.
func (e *engine) killing() bool {
	return slices.ContainsFunc(e.watched, func(w *watched) bool {
		return !w.finished && w.action != nil && w.action.kill != 0 && (w.ended || w.scope.target.ended())
	})
}

// wait sleeps until a process ends, the command ends, ctx ends, or a turn is due.
func (e *engine) wait(next time.Duration) {
	n, _ := unix.EpollWait(e.epoll, e.events[:], milliseconds(next-e.clock())) // -1 where a signal interrupted it
	for _, event := range e.events[:max(n, 0)] {
		if event.Fd >= 0 {
			e.watched[event.Fd].notified = true
			continue
		}
		for _, fd := range []int{e.wake, e.hangup} {
			_, _ = unix.Read(fd, make([]byte, 8)) // or it would wake every wait that is still to come
		}
	}
}

// milliseconds is a timeout of epoll_wait(2), rounded up.
func milliseconds(d time.Duration) int {
	return int(min((max(d, 0)+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}
