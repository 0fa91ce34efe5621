package sweep

// This file makes one run: of a program that ends by itself, or of a server that is started, put under load and stopped.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// once makes a single run; the caller sets its round.
func (x *Experiment) once(ctx context.Context, c Candidate) Run {
	r := Run{Cap: c.Name, Start: time.Now().UTC().Truncate(time.Millisecond)}
	p, err := start(x.Path, x.Args, c.Env)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	stop := observe(p.pid, p.started, c.ArenaMax, &r)
	server, out := x.Load != "", &p.output
	if server {
		out, err = x.serve(ctx, p, commandEnv(c, strconv.Itoa(p.pid)), &r)
	} else {
		err = p.await(ctx, time.After(x.Timeout), nil)
	}
	stop(server)
	outlived := p.stop(x.Grace, x.AtOnce)
	r.Killed = server && outlived && x.Grace > 0
	p.fill(&r)
	switch {
	case !server:
		err = x.finish(p, "the program", err, &r)
	case errors.Is(err, errServerEnded):
		err, out = p.early(), &p.output
	case errors.Is(err, errServerHalted):
		out = &p.output
	}
	if err != nil {
		r.Error, r.Tail = err.Error(), out.tail()
	}
	return r
}

// serve waits until the server is ready, and runs the load. It returns the output to show with an error: the load's if
// the load was started, else the server's.
func (x *Experiment) serve(ctx context.Context, p *process, env []string, r *Run) (*output, error) {
	if err := x.awaitReady(ctx, p, env); err != nil {
		return &p.output, err
	}
	l, err := shell(x.Load, env)
	if err != nil {
		return &p.output, err
	}
	err = l.await(ctx, time.After(x.Timeout), p)
	l.stop(x.Grace, x.AtOnce)
	return &l.output, x.finish(l, "the load", err, r)
}

// finish sets the wall time and the metrics of a run from a stopped process. It returns an error if the process failed,
// or if a metric is not in its output.
func (x *Experiment) finish(p *process, what string, err error, r *Run) error {
	r.Wall = p.wall.Seconds()
	switch {
	case err == nil:
		err = p.ending()
	case errors.Is(err, errTimeout):
		err = fmt.Errorf("did not end within %s", x.Timeout)
	case !errors.Is(err, errHalted):
		return err
	}
	if err != nil {
		return fmt.Errorf("%s %w", what, err)
	}
	return x.measure(&p.output, r)
}

// measure sets the metrics of a run.
func (x *Experiment) measure(out *output, r *Run) error {
	r.Values = map[string]float64{}
	for _, m := range x.Metrics {
		if m.Pattern == "" {
			r.Values[m.Name] = r.Wall
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

// early is the error for a server that ended before its load was done.
func (p *process) early() error {
	if err := p.ending(); err != nil {
		return fmt.Errorf("the server %w before the load was done", err)
	}
	return errors.New("the server ended with status 0 before the load was done; if it goes into the background, start it in the foreground")
}

// commandEnv is the environment of --load and --ready. pid is empty before the server starts.
func commandEnv(c Candidate, pid string) []string {
	return append(os.Environ(), "ARENACAP_CAP="+c.Name, "ARENACAP_PID="+pid)
}
