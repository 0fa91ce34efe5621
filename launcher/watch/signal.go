package watch

// This file has the names of signals, and the signals that end a watch.

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// untilSignal returns a context that SIGTERM, SIGINT or SIGQUIT ends; its cause names the signal. SIGHUP calls the
// function "hangup", or is dropped if "hangup" is nil. After the function "stop" has returned, "hangup" is not called.
func untilSignal(parent context.Context, hangup func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ends, hangups, done := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(ends, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			select {
			case got := <-ends:
				cancel(fmt.Errorf("%s has ended the watch", unix.SignalName(got.(syscall.Signal))))
			case <-hangups:
				if hangup != nil {
					hangup()
				}
			case <-ctx.Done():
			}
		}
	}()
	return ctx, func() {
		signal.Stop(ends)
		signal.Stop(hangups)
		cancel(nil)
		<-done
	}
}

// signaled reports whether a signal ended ctx (see untilSignal).
func signaled(ctx context.Context) bool {
	return ctx.Err() != nil && context.Cause(ctx) != ctx.Err()
}

// The real-time signals that programs can use: the kernel's begin at 32, and glibc reserves the first two (signal(7)).
const (
	firstRealTime = 34
	lastRealTime  = 64
)

// parseSignal returns the number of a signal such as "SIGUSR1" or "SIGRTMIN+3". Package policy accepts no other form.
func parseSignal(name string) (syscall.Signal, error) {
	if n := unix.SignalNum(name); n != 0 {
		return n, nil
	}
	if name == "SIGRTMIN" {
		return firstRealTime, nil
	}
	offset, ok := strings.CutPrefix(name, "SIGRTMIN+")
	n, err := strconv.ParseUint(offset, 10, 8)
	if !ok || err != nil || n > lastRealTime-firstRealTime {
		return 0, fmt.Errorf("unknown signal %q; write a name such as SIGUSR1 or SIGRTMIN+3", name)
	}
	return firstRealTime + syscall.Signal(n), nil
}
