package watch

// This file has the event loop of a watch. The loop waits for the end of a process or the next sample, then calls
// the method "turn" of each due target.

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/watch/view"
)

// Run watches targets until all have ended or ctx is done, and returns their outcomes in the same order. In mode
// "attach" SIGTERM, SIGINT and SIGQUIT also end Run, SIGHUP is ignored, and a log that cannot be opened is an error.
// Run locks its goroutine to its thread. It returns an error only if it cannot start. The argument "screen" may be nil.
func Run(ctx context.Context, cfg Config, targets []*Target, screen view.Screen) ([]Outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := newEngine(cfg)
	if err != nil {
		return nil, err
	}
	defer e.close()
	e.showTo(screen)
	if cfg.Mode == "attach" { // in mode "supervise" the same process also supervises the target, and handles signals itself
		if e.noLog != nil {
			return nil, e.noLog
		}
		var stop func()
		ctx, stop = untilSignal(ctx, nil)
		defer stop()
		e.frugal = screen == nil
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

// watch runs from the first event to the last. All targets must have been added.
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
		if !w.ended && w.scope.target.ended() { // with --supervise the end of the target ends ctx
			w.leave(e.clock())
		}
		if signaled(ctx) && !w.gone() {
			w.abandon(context.Cause(ctx))
		}
		outcomes = append(outcomes, w.outcome)
	}
	return outcomes, nil
}

// engine is one watch of any number of targets.
type engine struct {
	cfg       Config
	log       *eventLog
	noLog     error // why the events go to stderr instead of the log file
	probes    probes
	clock     func() time.Duration // the current time since boot
	screen    view.Screen          // the screen at a terminal; nil: none
	shows     time.Duration        // time of the next Screen.Show; never: there is no screen
	began     time.Duration        // time of the first sample; all targets share it, so that one wake-up serves many
	detached  bool                 // stderr is the target's; the watch closes it when the target ends
	epoll     int                  // waits for the eventfds "wake" and "hangup" and the pidfds of targets and commands
	wake      int                  // eventfd, written when ctx is done; -1: none
	hangup    int                  // eventfd, written on SIGHUP; -1: none
	watched   []*watched
	free      []int // indexes of the unused slots in the list "watched"
	events    [maxEvents]unix.EpollEvent
	listing   []int         // all PIDs of the host, listed during the current call of the method "turns"; nil: not listed yet
	frugal    bool          // the process only watches, and its samples allocate nothing
	giveBack  time.Duration // time of the next step of giveMemoryBack; never: nothing to give back
	collected bool          // the next step of giveMemoryBack is the second, because the first is done or not needed
	ends      time.Duration // time of the end of the watch, set when ctx is done; never before that
}

// maxEvents is the size of the buffer for epoll_wait(2).
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
	return &engine{cfg: cfg, log: log, noLog: noLog, probes: kernelProbes, clock: sinceBoot, began: -1, epoll: epoll, wake: -1, hangup: -1, shows: never, giveBack: never, ends: never}, nil
}

func (e *engine) close() {
	for _, w := range e.watched {
		w.killCommand()
		w.scope.release()
	}
	_ = unix.Close(e.epoll)
	e.log.close()
}

// wakeOn makes wait return when ctx is done.
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
		e.show(now, e.rows)
		e.wait(min(next, e.shows, e.giveBack, e.ends))
	}
}

// lastLook is how long a detached watch continues after a signal. When systemd stops a unit it sends SIGTERM to the watch
// and the target; the delay lets the watch report the end of the target.
const lastLook = time.Second

// over reports whether the watch has to end although processes still run.
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

// turns calls the method "turn" of each due target. It returns the time of the next turn, and false if all targets are
// finished.
func (e *engine) turns(now time.Duration) (next time.Duration, busy bool) {
	next, e.listing = never, nil
	for _, w := range e.watched {
		if w.notified || now >= w.next {
			w.turn(now)
		}
		next, busy = min(next, w.next), busy || !w.finished
	}
	return next, busy
}

// listOnce lists the processes of the host, once for all targets with scope "tree" that are due together.
func (e *engine) listOnce() (pids []int, err error) {
	if e.listing == nil {
		e.listing, err = listProcesses()
	}
	return e.listing, err
}

// listen wakes the engine when the descriptor fd becomes readable. The fd of a process without a pidfd is -1: then each
// turn checks whether the process has ended. If the kernel refuses (ENOSPC, see max_user_watches in epoll(7)), the engine
// notices later: the end of a target when a sample fails, and the end of the policy's command at the next turn.
func (e *engine) listen(fd, index int) {
	if fd >= 0 {
		_ = unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)})
	}
}

// killing reports whether the action "terminate" ended a target and its other processes still have to get SIGKILL. They
// get it even if the end of the target ends ctx.
func (e *engine) killing() bool {
	return slices.ContainsFunc(e.watched, func(w *watched) bool {
		return !w.finished && w.action != nil && w.action.kill != 0 && (w.ended || w.scope.target.ended())
	})
}

// wait sleeps until a process ends, the policy's command ends, ctx ends, or it is time for the next turn (see the
// method "turns").
func (e *engine) wait(next time.Duration) {
	n, _ := unix.EpollWait(e.epoll, e.events[:], milliseconds(next-e.clock())) // -1 if a signal interrupted it
	for _, event := range e.events[:max(n, 0)] {
		if event.Fd >= 0 {
			e.watched[event.Fd].notified = true
			continue
		}
		for _, fd := range []int{e.wake, e.hangup} {
			_, _ = unix.Read(fd, make([]byte, 8)) // reset the eventfd, or each later wait would return at once
		}
	}
}

// milliseconds converts to a timeout of epoll_wait(2), rounded up.
func milliseconds(d time.Duration) int {
	return int(min((max(d, 0)+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}
