// This file runs the watch of a supervised target as a goroutine in this process.

package launcher

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"arenacap/launcher/watch"
	"arenacap/launcher/watch/protocol"
)

// targetWatch is the watch of a supervised target. The field "target" is nil if there is no watch.
type targetWatch struct {
	cfg    watch.Config
	target *watch.Target
	cancel context.CancelFunc
	done   int // eventfd, readable when the watch has ended; -1 for none
	result chan []watch.Outcome
}

// attach opens the descriptors by which the watch follows the target (watch.Attach), before the target's exec, while the
// target is sure to be alive and readable. It returns an error only if the watch is needed.
func attach(cfg *watch.Config, pid int, needed bool) (b targetWatch, err error) {
	b.done = -1
	if cfg == nil {
		return b, nil
	}
	b.cfg = *cfg
	b.cfg.Mode, b.cfg.PID = "supervise", pid
	target, err := watch.Attach(pid)
	if err == nil && needed {
		err = b.cfg.CheckLog() // if the watch is not needed, a log that cannot be opened does not stop the launch: the watch writes to stderr instead
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

func (b *targetWatch) failed(why string) { b.cfg.Failed(why) }

// start begins to watch, after the target's exec.
func (b *targetWatch) start(notices func() []string) {
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
		runtime.LockOSThread() // never unlocked, so the thread that is renamed here ends with the watch
		_ = os.WriteFile("/proc/thread-self/comm", []byte(protocol.Comm), 0)
		b.result <- b.run(ctx, notices)
		_, _ = unix.Write(done, []byte{1, 1, 1, 1, 1, 1, 1, 1}) // any number above 0 makes the eventfd readable
	}()
}

// run watches until the target has ended or ctx is cancelled.
func (b *targetWatch) run(ctx context.Context, notices func() []string) (outcomes []watch.Outcome) {
	defer func() {
		if r := recover(); r != nil { // a bug in the watch must not end the target's parent
			b.failed(fmt.Sprintf("internal error: %v; the target continues without a watch", r))
		}
	}()
	cfg := b.cfg
	if notices != nil {
		cfg.Notices = append(slices.Clone(cfg.Notices), notices()...)
	}
	outcomes, err := watch.Run(ctx, cfg, []*watch.Target{b.target}, nil)
	if err != nil {
		b.failed(err.Error())
	}
	return outcomes
}

// stop asks the watch to end. The result "over" is true once it has ended; "outcome" is then its result, or nil.
func (b *targetWatch) stop() (outcome *watch.Outcome, over bool) {
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
