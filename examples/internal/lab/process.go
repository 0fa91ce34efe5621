package lab

// This file starts a server, and collects the lines that it and arenacap print, among them events.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Process is a running server and the lines that it and arenacap printed on stdout and stderr.
type Process struct {
	Pid int

	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended and was reaped
	mu     sync.Mutex
	lines  []string
	closed bool          // all writing ends of the output are closed
	change chan struct{} // closed and replaced at each new line and at the end of the output
}

// Event is one line of arenacap's JSON log.
type Event struct {
	Event   string
	Service string
	Pid     int
	Metric  string
	Value   uint64 `json:"value_bytes"`
	Limit   uint64 `json:"limit_bytes"`
}

// Start starts a command. A prefix (arenacap and its flags, up to "--") comes before its path and arguments.
func Start(cmd *exec.Cmd, prefix []string) (*Process, error) {
	if len(prefix) > 0 {
		cmd.Args = slices.Concat(prefix, []string{cmd.Path}, cmd.Args[1:])
		cmd.Path = prefix[0]
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// Pass the file itself, not an io.Writer. Otherwise Wait would wait for the watch, which keeps the pipe open longer
	// than the server does.
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	p := &Process{Pid: cmd.Process.Pid, cmd: cmd, ended: make(chan struct{}), change: make(chan struct{})}
	go p.read(r)
	go func() { _ = cmd.Wait(); close(p.ended) }()
	return p, nil
}

func (p *Process) read(r *os.File) {
	defer r.Close()
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20) // an event of a breach is one long line
	for s.Scan() {
		p.note(func() { p.lines = append(p.lines, s.Text()) })
	}
	p.note(func() { p.closed = true })
}

func (p *Process) note(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.change)
	p.change = make(chan struct{})
}

// Lines returns the lines printed so far.
func (p *Process) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// Await returns the first matching line, including earlier ones. It fails if the output or the context ends first.
func (p *Process) Await(ctx context.Context, what string, match func(line string) bool) (string, error) {
	for seen := 0; ; {
		p.mu.Lock()
		fresh, closed, change := p.lines[seen:], p.closed, p.change
		p.mu.Unlock()
		if i := slices.IndexFunc(fresh, match); i >= 0 {
			return fresh[i], nil
		}
		seen += len(fresh)
		if closed {
			return "", fmt.Errorf("%s: no such line before the output ended:\n%s", what, strings.Join(p.Lines(), "\n"))
		}
		select {
		case <-change:
		case <-ctx.Done():
			return "", fmt.Errorf("%s: %w; printed until then:\n%s", what, context.Cause(ctx), strings.Join(p.Lines(), "\n"))
		}
	}
}

// AwaitText awaits a line that contains a text.
func (p *Process) AwaitText(ctx context.Context, text string) (string, error) {
	return p.Await(ctx, text, func(line string) bool { return strings.Contains(line, text) })
}

// AwaitEvent returns the first event with this name and this metric; the metric "" stands for any.
func (p *Process) AwaitEvent(ctx context.Context, name, metric string) (Event, error) {
	line, err := p.Await(ctx, name+" "+metric, func(line string) bool {
		e, ok := parseEvent(line)
		return ok && e.Event == name && (metric == "" || e.Metric == metric)
	})
	e, _ := parseEvent(line)
	return e, err
}

// Events returns all events so far.
func (p *Process) Events() []Event {
	var events []Event
	for _, line := range p.Lines() {
		if e, ok := parseEvent(line); ok {
			events = append(events, e)
		}
	}
	return events
}

func parseEvent(line string) (e Event, ok bool) {
	if !strings.HasPrefix(line, "{") {
		return Event{}, false
	}
	return e, json.Unmarshal([]byte(line), &e) == nil
}

// Signal sends a signal. If the process has already ended, Signal does nothing and returns no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Stop sends SIGTERM, waits for the end, and returns how the process ended, as Wait does.
func (p *Process) Stop(ctx context.Context) (int, error) {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	return p.Wait(ctx)
}

// Wait waits for the end, and returns how the process ended: a status, or minus the signal's number.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return 0, fmt.Errorf("still running: %w; printed until then:\n%s", context.Cause(ctx), strings.Join(p.Lines(), "\n"))
	}
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return -int(ws.Signal()), nil
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// AwaitEnd waits until all writing ends of the output are closed.
func (p *Process) AwaitEnd(ctx context.Context) error {
	for {
		p.mu.Lock()
		closed, change := p.closed, p.change
		p.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("a process still has the output open: %w", context.Cause(ctx))
		}
	}
}

// Kill kills the process and waits for its end. It may be called after the end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}
