// The watch of a supervised target: a goroutine with a thread of its own in this process.

package launcher

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"arenacap/launcher/watch"
)

// beside is that watch, or none.
type beside struct {
	cfg    watch.Config
	target *watch.Target // nil is no watch
	cancel context.CancelFunc
	done   int // readable when the watch has ended; -1 is none
	result chan []watch.Outcome
}

// attach holds the target before it goes on to its exec, when it can neither have ended nor have become unreadable.
// Where the start needs its watch, the error says why there is none.
func attach(cfg *watch.Config, pid int, needed bool) (b beside, err error) {
	b.done = -1
	if cfg == nil {
		return b, nil
	}
	b.cfg = *cfg
	b.cfg.Mode, b.cfg.PID = "supervise", pid
	target, err := watch.Attach(pid)
	if err == nil && needed {
		err = watch.CheckLog(b.cfg) // else stderr takes its place later
	}
	switch {
	case err == nil:
		b.target = target
	case needed:
		return b, noWatch(err)
	default:
		b.failed(err.Error())
	}
	return b, nil
}

func (b *beside) failed(why string) { watch.Failed(b.cfg, b.cfg.PID, why) }

// start begins to watch; the target has been executed.
func (b *beside) start(notices func() []string) {
	if b.target == nil {
		return
	}
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		b.failed(err.Error())
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel, b.done, b.result = cancel, done, make(chan []watch.Outcome, 1)
	go func() {
		b.result <- b.run(ctx, notices)
		_, _ = unix.Write(done, []byte{1, 1, 1, 1, 1, 1, 1, 1}) // any number but 0
	}()
}

// run watches until the target has ended, or ctx.
func (b *beside) run(ctx context.Context, notices func() []string) (outcomes []watch.Outcome) {
	defer func() {
		if r := recover(); r != nil { // the target must not lose its parent by a mistake in the watch
			b.failed(fmt.Sprintf("internal error: %v; the target goes on without a watch", r))
		}
	}()
	cfg := b.cfg
	if notices != nil {
		cfg.Notices = append(slices.Clone(cfg.Notices), notices()...)
	}
	outcomes, err := watch.Run(ctx, cfg, []*watch.Target{b.target})
	if err != nil {
		b.failed(err.Error())
	}
	return outcomes
}

// stop tells the watch to end. over is true once it has; then outcome is what it saw, nil for nothing.
func (b *beside) stop() (outcome *watch.Outcome, over bool) {
	if b.done < 0 {
		return nil, true
	}
	b.cancel()
	select {
	case outcomes := <-b.result:
		_ = unix.Close(b.done)
		b.done = -1
		if len(outcomes) == 1 {
			outcome = &outcomes[0]
		}
		return outcome, true
	default:
		return nil, false
	}
}
