package launcher

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/watch"
)

// beside is the watch of a supervised target: a goroutine with a thread of its own in this process.
type beside struct {
	target *watch.Target
	cancel context.CancelFunc
	done   int // readable when the watch has ended; -1 is none
	result chan []watch.Outcome
}

// attach holds the child before it goes on to its exec, when it can neither have ended nor have become
// unreadable.
func (v *supervisor) attach() error {
	v.beside.done = -1
	if v.Watch == nil {
		return nil
	}
	refuse := v.launch.Plan.Policy.Launch.OnWatchFailure == "refuse"
	target, err := watch.Attach(v.pid)
	if err == nil && refuse {
		err = watch.CheckLog(*v.Watch) // else stderr takes its place later
	}
	if err == nil {
		v.beside.target = target
		return nil
	}
	if refuse {
		return fmt.Errorf(`the watch cannot start: %w; on_watch_failure = "refuse" forbids a start without it`, err)
	}
	watch.Failed(*v.Watch, v.pid, err.Error())
	return nil
}

// start begins to watch; the target has been executed.
func (b *beside) start(v *supervisor) {
	origin.BeSmall()
	if b.target == nil {
		return
	}
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		watch.Failed(*v.Watch, v.pid, err.Error())
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel, b.done, b.result = cancel, done, make(chan []watch.Outcome, 1)
	go func() {
		b.result <- v.watch(ctx)
		_, _ = unix.Write(done, []byte{1, 1, 1, 1, 1, 1, 1, 1}) // any number but 0
	}()
}

// watch runs until the target has ended, or ctx. A log that cannot be opened is told, and stderr is used.
func (v *supervisor) watch(ctx context.Context) (outcomes []watch.Outcome) {
	cfg := *v.Watch
	defer func() {
		if r := recover(); r != nil { // the target must not lose its parent by a mistake in the watch
			watch.Failed(cfg, v.pid, fmt.Sprintf("internal error: %v; the target goes on without a watch", r))
		}
	}()
	cfg.PID = v.pid
	if v.Notices != nil {
		cfg.Notices = v.Notices()
	}
	outcomes, err := watch.Run(ctx, cfg, []*watch.Target{v.beside.target})
	if err != nil {
		watch.Failed(cfg, v.pid, err.Error())
		cfg.Log.To = "stderr"
		outcomes, _ = watch.Run(ctx, cfg, []*watch.Target{v.beside.target})
	}
	return outcomes
}

// stop ends the watch and, once it has ended, keeps what it saw.
func (b *beside) stop(v *supervisor) {
	if b.done < 0 {
		return
	}
	b.cancel()
	select {
	case outcomes := <-b.result:
		_ = unix.Close(b.done)
		b.done = -1
		if len(outcomes) == 1 {
			v.ending.Watched = &outcomes[0]
			v.ending.Terminated = outcomes[0].Terminated
		}
	default:
	}
}
