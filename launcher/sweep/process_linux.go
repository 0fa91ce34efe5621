package sweep

// This file starts a program in a session of its own, collects its output, and ends it.

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

	"arenacap/launcher/proc"
	"arenacap/launcher/target"
)

// drainTime bounds the wait for the end of the output after the program ended, because a process in another session may
// still have the pipe open.
const drainTime = time.Second

// process is a program in a session of its own, and so in a process group of its own.
type process struct {
	pid     int
	started time.Time
	output  output
	halted  chan struct{}  // closed when a signal stops the process for the first time, after the field "by" is set
	by      syscall.Signal // the signal that stopped the process
	ended   chan struct{}  // closed when the process ends, after the field "wall" is set
	wall    time.Duration

	cmd    *exec.Cmd
	pipe   *os.File
	copied chan struct{} // closed at the end of the output
}

// start starts a program, and as execvp(3) does, runs a file of unknown format with the shell. stdin is /dev/null, and
// stdout and stderr are one pipe. If arenacap is killed, the program is killed too.
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

// launch starts the command in a session of its own, which has no terminal. So a program that opens /dev/tty gets ENXIO. In
// a background process group of arenacap's session, SIGTTIN would stop the program when it reads from the terminal.
func (p *process) launch(path string, args, env []string, out *os.File) error {
	p.cmd = &exec.Cmd{Path: path, Args: args, Env: env, Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}}
	p.started = time.Now()
	return p.cmd.Start()
}

// watch waits for the end of the process, but leaves the zombie, which the method "stop" reaps. As long as the zombie
// exists, no other process can get its PID, so a signal to its process group cannot reach another group.
func (p *process) watch() {
	if change := peek(p.pid, unix.WEXITED|unix.WSTOPPED); change.Code == cldStopped {
		p.by = syscall.Signal(change.Status)
		close(p.halted)
		peek(p.pid, unix.WEXITED)
	}
	p.wall = time.Since(p.started)
	close(p.ended)
}

// cldStopped is CLD_STOPPED, the si_code for a child that was stopped by a signal (waitid(2); asm-generic/siginfo.h).
const cldStopped = 5

// peek waits until a child is in one of these states, without reaping it.
func peek(pid, states int) proc.Change {
	change, _ := proc.Waitid(unix.P_PID, pid, states|unix.WNOWAIT)
	return change
}

// shell starts a command line with sh -c.
func shell(line string, env []string) (*process, error) {
	return start(target.Shell, []string{"sh", "-c", line}, env)
}

var (
	errTimeout      = errors.New("timeout")
	errHalted       = errors.New("was stopped")
	errServerEnded  = errors.New("the server ended")
	errServerHalted = errors.New("the server " + errHalted.Error())
)

// halt adds the signal that stopped the process to errHalted or errServerHalted.
func (p *process) halt(err error) error {
	return fmt.Errorf("%w by %s, and nothing continues it", err, unix.SignalName(p.by))
}

// await waits for the end of the process, of the server that it needs, of the timeout or of the context. It also returns
// when the process or the server is stopped by a signal, because it may never end then.
func (p *process) await(ctx context.Context, timeout <-chan time.Time, server *process) error {
	if server == nil {
		server = &process{}
	}
	if p.hasEnded() { // checked first, because select chooses among several events at random
		return nil
	}
	select {
	case <-p.ended:
		return nil
	case <-p.halted:
		return p.halt(errHalted)
	case <-server.ended:
		return errServerEnded
	case <-server.halted:
		return server.halt(errServerHalted)
	case <-timeout:
		return errTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the process and its process group, and reaps the process. It sends TERM to the group, and then KILL as soon as
// the process has ended, the grace time is over or the channel atOnce is closed. It reports whether the process still ran
// after the grace time. It must be called for each process, even for one that ended by itself.
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

// terminate sends TERM to a process or to the group -pid, and then CONT, because a stopped process handles TERM only after
// CONT.
func terminate(pid int) {
	_ = syscall.Kill(pid, syscall.SIGTERM)
	_ = syscall.Kill(pid, syscall.SIGCONT)
}

// ending returns the failure with which a process ended, or nil. It must be called after the method "stop".
func (p *process) ending() error {
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ws.Signaled():
		return fmt.Errorf("was killed by %s", unix.SignalName(ws.Signal()))
	case ws.ExitStatus() != 0:
		return fmt.Errorf("ended with status %d", ws.ExitStatus())
	}
	return nil
}

// fill sets the fields of a run that the kernel counts.
func (p *process) fill(r *Run) {
	usage := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r.CPU = (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds()
	r.MinorFaults, r.MajorFaults = int64(usage.Minflt), int64(usage.Majflt)
	r.VoluntarySwitches, r.InvoluntarySwitches = int64(usage.Nvcsw), int64(usage.Nivcsw)
	// ru_maxrss of a child starts at the peak of the process that forked it (fs/exec.c: exec_mmap). So a value up to
	// arenacap's own peak may be arenacap's and not the program's.
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
