package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// drainTime is how long the output of a program that ended is waited for, where a process that escaped still has it
// open, and leftoverTime what such a process gets between TERM and KILL.
const (
	drainTime    = time.Second
	leftoverTime = 2 * time.Second
)

// process is a program with a process group of its own, whose output is kept.
type process struct {
	pid     int
	started time.Time
	output  output
	ended   chan struct{} // closed when it ended; then wall is set
	wall    time.Duration

	cmd    *exec.Cmd
	pipe   *os.File
	copied chan struct{}
}

// start starts a program with nothing on stdin, and both its outputs in one. When arenacap is killed it is killed too.
func start(path string, args, env []string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &process{ended: make(chan struct{}), copied: make(chan struct{}), pipe: r}
	p.cmd = &exec.Cmd{Path: path, Args: args, Env: env, Stdout: w, Stderr: w,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}}
	p.started = time.Now()
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	go func() { _, _ = io.Copy(&p.output, r); close(p.copied) }()
	go p.watch()
	return p, nil
}

// watch waits for the end, and leaves the zombie to stop: until it is reaped nobody else can have its PID, and a signal
// to its group meets no other.
func (p *process) watch() {
	for unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.wall = time.Since(p.started)
	close(p.ended)
}

// shell starts a command line.
func shell(line string, env []string) (*process, error) {
	return start("/bin/sh", []string{"sh", "-c", line}, env)
}

var errTimeout = errors.New("timeout")

// await waits for the process's end, at most until the timeout, the end of another one, or of the context.
func (p *process) await(ctx context.Context, timeout <-chan time.Time, other <-chan struct{}) error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	select {
	case <-p.ended:
		return nil
	case <-other:
		return errServerEnded
	case <-timeout:
		return errTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the process and its group, and reaps it: TERM, and KILL for what is left after the grace time, or when the
// process itself has ended. Each process needs it, also one that has ended by itself.
func (p *process) stop(grace time.Duration) {
	_ = syscall.Kill(-p.pid, syscall.SIGTERM)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.ended
	_ = p.cmd.Wait()
	late.Reset(drainTime)
	select {
	case <-p.copied:
	case <-late.C:
	}
	p.pipe.Close()
	<-p.copied
}

// ending is why the end of a process that was stopped is a failure, or nil.
func (p *process) ending() error {
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ws.Signaled():
		return fmt.Errorf("was ended by %s", unix.SignalName(ws.Signal()))
	case ws.ExitStatus() != 0:
		return fmt.Errorf("ended with status %d", ws.ExitStatus())
	}
	return nil
}

// fill puts what the kernel counted into a run.
func (p *process) fill(r *Run) {
	usage := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r.Wall = p.wall.Seconds()
	r.CPU = (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds()
	r.MinorFaults, r.MajorFaults = int64(usage.Minflt), int64(usage.Majflt)
	r.VoluntarySwitches, r.InvoluntarySwitches = int64(usage.Nvcsw), int64(usage.Nivcsw)
	// A child's maximum begins with that of the process that it was forked from (fs/exec.c: exec_mmap), so one that
	// is not over arenacap's own says nothing.
	if peak := uint64(usage.Maxrss) << 10; peak > ownPeak() {
		r.ResidentPeak = max(r.ResidentPeak, peak)
	}
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if r.Exit = ws.ExitStatus(); ws.Signaled() {
		r.Exit = 128 + int(ws.Signal())
	}
}

func ownPeak() uint64 {
	var own syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	return uint64(own.Maxrss) << 10
}

// adopt makes this process the parent of descendants whose own parent ended, until release is called. reap ends and
// reaps those that a run left behind, not those that were there before.
func adopt() (reap, release func()) {
	before := children(os.Getpid())
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	reap = func() {
		left := slices.DeleteFunc(children(os.Getpid()), func(pid int) bool { return slices.Contains(before, pid) })
		deadline := time.Now().Add(leftoverTime)
		for _, pid := range left {
			end(pid, deadline)
		}
	}
	return reap, func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }
}

// end ends a child that nobody waits for, and reaps it.
func end(pid int, deadline time.Time) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(fd)
		_ = syscall.Kill(pid, syscall.SIGTERM)
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(deadline).Milliseconds())))
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &ws, 0, nil); err != syscall.EINTR {
			return
		}
	}
}
