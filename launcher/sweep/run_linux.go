package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

var (
	errServerEnded  = errors.New("the server ended")
	errServerHalted = errors.New("the server was stopped by SIGSTOP, and nothing continues it")
)

// readyPause is the time between two questions whether a server is ready.
const readyPause = 50 * time.Millisecond

// batch runs the program until it ends.
func (x *Experiment) batch(ctx context.Context, c Candidate, r *Run) {
	p, err := start(x.Path, x.Args, c.Env)
	if err != nil {
		r.Error = err.Error()
		return
	}
	s := observe(p.pid, p.started)
	err = p.await(ctx, time.After(x.Timeout), nil)
	s.end(false)
	p.stop(x.Grace, x.AtOnce)
	s.fill(r)
	p.fill(r)
	switch {
	case errors.Is(err, errTimeout):
		err = fmt.Errorf("the program did not end within %s", x.Timeout)
	case errors.Is(err, errHalted):
		err = fmt.Errorf("the program %w", err)
	case err == nil:
		if err = p.ending(); err != nil {
			err = fmt.Errorf("the program %w", err)
		} else {
			err = x.measure(&p.output, p.wall, r)
		}
	}
	r.fail(err, &p.output)
}

// server starts the server, waits until it is ready, runs the load and stops it.
func (x *Experiment) server(ctx context.Context, c Candidate, r *Run) {
	p, err := start(x.Path, x.Args, c.Env)
	if err != nil {
		r.Error = err.Error()
		return
	}
	s := observe(p.pid, p.started)
	env := commandEnv(c, strconv.Itoa(p.pid))
	out := &p.output
	if err = x.awaitReady(ctx, p, env); err == nil {
		out, err = x.load(ctx, p, env, r)
	}
	s.end(true)
	wall := r.Wall
	r.Killed = p.stop(x.Grace, x.AtOnce) && x.Grace > 0
	s.fill(r)
	p.fill(r)
	r.Wall = wall
	switch {
	case errors.Is(err, errServerEnded):
		err, out = p.early(), &p.output
	case errors.Is(err, errServerHalted):
		out = &p.output
	}
	r.fail(err, out)
}

// early is why a server that has ended should not have.
func (p *process) early() error {
	if err := p.ending(); err != nil {
		return fmt.Errorf("the server %w before the load was done", err)
	}
	return errors.New("the server ended with status 0 before the load was done; if it goes into the background, start it in the foreground")
}

// commandEnv is the environment of --load and --ready. Where no server was started pid is empty.
func commandEnv(c Candidate, pid string) []string {
	return append(os.Environ(), "ARENACAP_CAP="+c.Name, "ARENACAP_PID="+pid)
}

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
				return errServerHalted
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

// strangerTime is how long --ready may take to find somebody else's server. A command that waits until there is one, which
// is fine, delays the first run by so much.
const strangerTime = 5 * time.Second

// alone is an error where --ready succeeds before a server was started: what another one does would be measured.
func (x *Experiment) alone(ctx context.Context, timeout time.Duration) error {
	if x.Ready == "" {
		return nil
	}
	q, err := shell(x.Ready, commandEnv(x.Candidates[0], ""))
	if err != nil {
		return err
	}
	err = q.await(ctx, time.After(timeout), nil)
	q.stop(0, x.AtOnce)
	if err == nil && q.ending() == nil {
		return fmt.Errorf("--ready: %q succeeds before the server was started: something else answers, or was left behind; stop it, "+
			"or use another port or socket; a command that always succeeds must begin with 'test $ARENACAP_PID &&'", x.Ready)
	}
	return ctx.Err()
}

func (x *Experiment) notReady() error {
	if x.Ready == "" {
		return fmt.Errorf("the server listened on no socket within %s; say with --ready how to ask it", x.ReadyTimeout)
	}
	return fmt.Errorf("the server was not ready within %s: %q never succeeded", x.ReadyTimeout, x.Ready)
}

// ready asks once.
func (x *Experiment) ready(ctx context.Context, p *process, env []string) (bool, error) {
	if x.Ready == "" {
		return listens(p.pid), nil
	}
	q, err := shell(x.Ready, env)
	if err != nil {
		return false, err
	}
	err = q.await(ctx, nil, p)
	q.stop(0, x.AtOnce)
	if errors.Is(err, errHalted) {
		err = fmt.Errorf("--ready: %q %w", x.Ready, err)
	}
	return err == nil && q.ending() == nil, err
}

// load runs the load while the server runs, and measures.
func (x *Experiment) load(ctx context.Context, p *process, env []string, r *Run) (*output, error) {
	l, err := shell(x.Load, env)
	if err != nil {
		return &p.output, err
	}
	err = l.await(ctx, time.After(x.Timeout), p)
	l.stop(x.Grace, x.AtOnce)
	r.Wall = l.wall.Seconds()
	switch {
	case errors.Is(err, errTimeout):
		err = fmt.Errorf("the load did not end within %s", x.Timeout)
	case errors.Is(err, errHalted):
		err = fmt.Errorf("the load %w", err)
	case err == nil:
		if err = l.ending(); err != nil {
			err = fmt.Errorf("the load %w", err)
		} else {
			err = x.measure(&l.output, l.wall, r)
		}
	}
	return &l.output, err
}

// measure finds the metrics of a run.
func (x *Experiment) measure(out *output, wall time.Duration, r *Run) error {
	r.Values = map[string]float64{}
	for _, m := range x.Metrics {
		if m.Pattern == "" {
			r.Values[m.Name] = wall.Seconds()
			continue
		}
		v, err := out.find(m)
		if err != nil {
			return fmt.Errorf("--%s: %w", m.Flag, err)
		}
		r.Values[m.Name] = v
	}
	return nil
}

// fail notes an error with the end of the output that explains it.
func (r *Run) fail(err error, out *output) {
	if err != nil {
		r.Error, r.Tail = err.Error(), out.tail()
	}
}
