package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interruptible is a context that the first INT, TERM or HUP ends, of which tell hears. The second, or QUIT, closes atOnce,
// and one more ends arenacap as if nobody had asked for signals. release takes that back; tell is not called after it.
//
// A HUP that was ignored from the start stays so: nohup(1) asked for it.
func interruptible(parent context.Context, tell func(os.Signal)) (ctx context.Context, atOnce <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancel(parent)
	came, hurry := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(came, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(came, syscall.SIGHUP)
	}
	var wg sync.WaitGroup
	released := make(chan struct{})
	wg.Go(func() {
		for n := range 2 {
			select {
			case s := <-came:
				if n == 0 && s != syscall.SIGQUIT {
					tell(s)
					cancel()
					continue
				}
				signal.Stop(came)
				close(hurry)
				cancel()
				return
			case <-released:
				return
			}
		}
	})
	return ctx, hurry, func() {
		signal.Stop(came)
		close(released)
		wg.Wait()
		cancel()
	}
}
