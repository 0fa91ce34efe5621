package sweep

// A program that was started: its session, its output, its end.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/target"
)

// drainTime is how long the output of a program that ended is waited for, where a process that escaped still has it open.
const drainTime = time.Second

// process is a program with a session of its own, and so with a process group, whose output is kept.
type process struct {
	pid     int
	started time.Time
	output  output
	halted  chan struct{} // closed when a signal stopped it for the first time
	ended   chan struct{} // closed when it ended; then wall is set
	wall    time.Duration

	cmd    *exec.Cmd
	pipe   *os.File
	copied chan struct{}
}

// start starts a program as execvp(3) does, with nothing on stdin, and both its outputs in one. When arenacap is killed
// it is killed too.
func start(path string, args, env []string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &process{halted: make(chan struct{}), ended: make(chan struct{}), copied: make(chan struct{}), pipe: r}
	err = p.launch(path, args, env, w)
	if errors.Is(err, syscall.ENOEXEC) {
		err = p.launch(target.Shell, target.Script(path, args), env, w)
	}
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

// launch starts the command. In a session of its own it has no terminal: what asks on /dev/tty gets ENXIO, where it would
// be stopped in a group in the background.
func (p *process) launch(path string, args, env []string, out *os.File) error {
	p.cmd = &exec.Cmd{Path: path, Args: args, Env: env, Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}}
	p.started = time.Now()
	return p.cmd.Start()
}

// watch waits for the end, and leaves the zombie to stop: until it is reaped nobody else can have its PID, and a signal
// to its group meets no other.
func (p *process) watch() {
	if peek(p.pid, unix.WEXITED|unix.WSTOPPED) == cldStopped {
		close(p.halted)
		peek(p.pid, unix.WEXITED)
	}
	p.wall = time.Since(p.started)
	close(p.ended)
}

// cldStopped is CLD_STOPPED, the code of a child that a signal stopped (waitid(2); asm-generic/siginfo.h).
const cldStopped = 5

// peek waits until a child is in one of these states, leaves it so, and gives the state's code.
func peek(pid, states int) int32 {
	var info unix.Siginfo
	for unix.Waitid(unix.P_PID, pid, &info, states|unix.WNOWAIT, nil) == unix.EINTR {
	}
	return info.Code
}

// shell starts a command line.
func shell(line string, env []string) (*process, error) {
	return start(target.Shell, []string{"sh", "-c", line}, env)
}

var (
	errTimeout      = errors.New("timeout")
	errHalted       = errors.New("was stopped by SIGSTOP, and nothing continues it")
	errServerEnded  = errors.New("the server ended")
	errServerHalted = errors.New("the server " + errHalted.Error())
)

// await waits for the process's end, at most until the timeout, the end of the server it needs, or of the context. What
// is stopped would be waited for in vain.
func (p *process) await(ctx context.Context, timeout <-chan time.Time, server *process) error {
	if server == nil {
		server = &process{}
	}
	if p.hasEnded() { // whatever else has
		return nil
	}
	select {
	case <-p.ended:
		return nil
	case <-p.halted:
		return errHalted
	case <-server.ended:
		return errServerEnded
	case <-server.halted:
		return errServerHalted
	case <-timeout:
		return errTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the process and its group, and reaps it: TERM, and KILL for what is left after the grace time, when atOnce is
// closed, or when the process itself has ended. It reports whether the process outlived the grace time. Each process
// needs it, also one that has ended by itself.
func (p *process) stop(grace time.Duration, atOnce <-chan struct{}) (outlived bool) {
	terminate(-p.pid)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-atOnce:
	case <-late.C:
		outlived = !p.hasEnded()
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.ended
	_ = p.cmd.Wait()
	late.Reset(drainTime)
	select {
	case <-p.copied:
	case <-atOnce:
	case <-late.C:
	}
	p.pipe.Close()
	<-p.copied
	return outlived
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// terminate asks a process, or the group -pid, to end. What is stopped hears it only when it is continued.
func terminate(pid int) {
	_ = syscall.Kill(pid, syscall.SIGTERM)
	_ = syscall.Kill(pid, syscall.SIGCONT)
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
