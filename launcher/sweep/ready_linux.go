package sweep

// This file waits until a server is ready, and checks that no other server answers --ready.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"arenacap/launcher/proc"
)

// readyPause is the time between two checks whether a server is ready.
const readyPause = 50 * time.Millisecond

// awaitReady waits until the server is ready.
func (x *Experiment) awaitReady(ctx context.Context, p *process, env []string) error {
	late, cancel := context.WithTimeout(ctx, x.ReadyTimeout)
	defer cancel()
	for {
		ready, err := x.ready(late, p, env)
		if !ready && err == nil {
			err = p.await(late, time.After(readyPause), nil)
			switch {
			case err == nil:
				return errServerEnded
			case errors.Is(err, errHalted):
				return p.halt(errServerHalted)
			case errors.Is(err, errTimeout):
				continue
			}
		}
		if late.Err() != nil && ctx.Err() == nil {
			return x.notReady()
		}
		return err
	}
}

// strangerTime bounds the check whether the command of --ready succeeds before the server is started. A command that itself
// waits for a server is valid; it delays the first run by this time.
const strangerTime = 5 * time.Second

// checkNotReady returns an error if --ready succeeds before the server starts: then the sweep might measure another
// server, or a server that is not ready.
func (x *Experiment) checkNotReady(ctx context.Context, timeout time.Duration) error {
	if x.Ready == "" {
		return nil
	}
	succeeded, err := x.ask(ctx, commandEnv(x.Candidates[0], ""), time.After(timeout), nil)
	switch {
	case succeeded:
		return fmt.Errorf("--ready: the command %q succeeded before the server was started; if another server answered, stop that server "+
			"or use another port or socket; if the command always succeeds, put 'test $ARENACAP_PID &&' before it", x.Ready)
	case errors.Is(err, errTimeout), errors.Is(err, errHalted):
		return nil
	}
	return err
}

func (x *Experiment) notReady() error {
	if x.Ready == "" {
		return fmt.Errorf("the server did not listen on a socket within %s; use --ready with a command that succeeds when the server is ready", x.ReadyTimeout)
	}
	return fmt.Errorf("the server was not ready within %s: %q never succeeded", x.ReadyTimeout, x.Ready)
}

// ready checks once whether the server is ready.
func (x *Experiment) ready(ctx context.Context, p *process, env []string) (bool, error) {
	if x.Ready == "" {
		return listens(p.pid), nil
	}
	succeeded, err := x.ask(ctx, env, nil, p)
	if errors.Is(err, errHalted) {
		err = fmt.Errorf("--ready: the command %q %w", x.Ready, err)
	}
	return succeeded, err
}

// ask runs the command of --ready once and reports whether it succeeded. It stops the command if the server ends, timeout
// fires or ctx ends.
func (x *Experiment) ask(ctx context.Context, env []string, timeout <-chan time.Time, server *process) (succeeded bool, err error) {
	q, err := shell(x.Ready, env)
	if err != nil {
		return false, err
	}
	err = q.await(ctx, timeout, server)
	q.stop(0, x.AtOnce)
	return err == nil && q.ending() == nil, err
}

// listens reports whether a process or one of its children listens on a TCP or Unix socket.
func listens(pid int) bool {
	read := func(name string) []byte {
		text, _ := proc.Here.Read(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		return text
	}
	open := proc.Listening(append(read("tcp"), read("tcp6")...), read("unix"))
	if len(open) == 0 {
		return false
	}
	for _, p := range append([]int{pid}, proc.Here.Children(pid)...) {
		dir := fmt.Sprintf("/proc/%d/fd", p)
		descriptors, _ := proc.Here.Numbers(dir)
		for _, fd := range descriptors {
			if link, _ := os.Readlink(fmt.Sprintf("%s/%d", dir, fd)); open[link] {
				return true
			}
		}
	}
	return false
}
