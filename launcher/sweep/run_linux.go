package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

var errServerEnded = errors.New("the server ended")

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
	p.stop(x.Grace)
	s.fill(r)
	p.fill(r)
	switch {
	case errors.Is(err, errTimeout):
		err = fmt.Errorf("the program did not end within %s", x.Timeout)
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
	env := append(os.Environ(), "ARENACAP_CAP="+c.Name, "ARENACAP_PID="+strconv.Itoa(p.pid))
	out := &p.output
	if err = x.awaitReady(ctx, p, env); err == nil {
		out, err = x.load(ctx, p, env, r)
	}
	s.end(true)
	wall := r.Wall
	p.stop(x.Grace)
	s.fill(r)
	p.fill(r)
	r.Wall = wall
	if errors.Is(err, errServerEnded) {
		out = &p.output
		if err = p.ending(); err == nil {
			err = errors.New("ended with status 0")
		}
		err = fmt.Errorf("the server %w before the load was done", err)
	}
	r.fail(err, out)
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
	err = q.await(ctx, nil, p.ended)
	q.stop(0)
	return err == nil && q.ending() == nil, err
}

// load runs the load while the server runs, and measures.
func (x *Experiment) load(ctx context.Context, p *process, env []string, r *Run) (*output, error) {
	l, err := shell(x.Load, env)
	if err != nil {
		return &p.output, err
	}
	err = l.await(ctx, time.After(x.Timeout), p.ended)
	l.stop(x.Grace)
	r.Wall = l.wall.Seconds()
	switch {
	case errors.Is(err, errTimeout):
		err = fmt.Errorf("the load did not end within %s", x.Timeout)
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
func (x *Experiment) measure(out *output, wall time.Duration, r *Run) (err error) {
	text := out.bytes()
	r.Throughput = wall.Seconds()
	if x.Throughput.Pattern != "" {
		if r.Throughput, err = x.Throughput.find(text); err != nil {
			return fmt.Errorf("--metric: %w", err)
		}
	}
	if x.HasLatency() {
		if r.Latency, err = x.Latency.find(text); err != nil {
			return fmt.Errorf("--latency: %w", err)
		}
	}
	return nil
}

// fail notes an error with the end of the output that explains it.
func (r *Run) fail(err error, out *output) {
	if err != nil {
		r.Error, r.Tail = err.Error(), out.tail()
	}
}
