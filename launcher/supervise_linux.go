package launcher

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/relay"
	"arenacap/launcher/watch"
)

// Supervision is what a supervised launch does beside starting the target.
type Supervision struct {
	KillGroup   bool        // the target gets a process group of its own, and signals go to all of it
	WaitOrphans bool        // end only when everything that the target left has ended
	ParentDeath unix.Signal // what the target gets when this process dies; 0 is what this process would get

	Watch   *watch.Config   // nil is no watch
	Notices func() []string // why the cap cannot work, asked while the target runs already; may be nil
}

// Ending is how the target of a supervised launch ended.
type Ending struct {
	PID        int
	Status     unix.WaitStatus
	Terminated bool // by the budget's action
	Elapsed    time.Duration
	MaxRSS     uint64         // bytes, as the kernel kept it: of the target or the largest process it waited for
	Watched    *watch.Outcome // nil is no watch

	relay *relay.Relay
}

// Reraise ends this process by the signal that ended the target. It returns where that is not possible: the
// target ended by itself, or this is PID 1, which no signal of its own ends.
func (e Ending) Reraise() {
	if e.Terminated || !e.Status.Signaled() {
		return
	}
	// The target's core is enough. A limit of 0 does not stop a core that goes to a program (core(5)), but a
	// process that may not be dumped writes none.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = e.relay.Raise(e.Status.Signal())
}

// Supervise starts the target as a child, passes on the signals that come, reaps what ends, and returns when
// the target has ended. An error says that it did not start: a *StartError for the target itself, any other
// for arenacap's own part. It must be called from the process's first thread, and once only.
func Supervise(l Launch, s Supervision) (Ending, error) {
	r, err := relay.Open()
	if err != nil {
		return Ending{}, err
	}
	v := &supervisor{launch: l, Supervision: s, relay: r, terminal: openTerminal()}
	if err := v.start(); err != nil {
		return Ending{}, err
	}
	return v.run()
}

// supervisor is this process in front of its target. Everything happens on one thread, but for the watch.
type supervisor struct {
	Supervision
	launch   Launch
	relay    *relay.Relay
	terminal terminal
	beside   beside

	pid    int // the target's
	report int // where a start that failed is told; -1 once that is known
	began  time.Time
	ended  bool
	alone  bool // no child is left
	again  bool // a child of the watch hides others: look again soon
	ending Ending
}

// start forks the target, prepares what stands beside it, and lets it go on to its exec.
func (v *supervisor) start() error {
	child, err := newChild(v.launch, v.Supervision, v.found())
	if err != nil {
		return err
	}
	if v.terminal.fd >= 0 {
		child.group, child.terminal = true, v.terminal.fd
	}
	if v.WaitOrphans {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // else what the target leaves goes elsewhere
	}
	gate, err := v.fork(child)
	if err != nil {
		return err
	}
	letGo()
	if err := v.attach(); err != nil {
		_ = unix.Close(gate) // by which the child ends
		v.giveUp()
		return err
	}
	defer unix.Close(gate)
	tellMain(v.launch.Env, v.pid)
	v.passOn() // what was pending at the start is pending in the target
	v.began = time.Now()
	_, _ = unix.Write(gate, []byte{1}) // where it was killed already, report ends
	return nil
}

// found is what the target gets back. A plain build knows what Go's runtime left of it.
func (v *supervisor) found() origin.State {
	if s, ok := origin.Found(); ok {
		return s
	}
	ignored, blocked := v.relay.Before()
	return origin.State{Ignored: ignored, Blocked: blocked}
}

// fork starts the child, which waits for a byte through gate.
func (v *supervisor) fork(child *childPlan) (gate int, err error) {
	var g, r [2]int
	if err := unix.Pipe2(g[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("no pipe to the target: %w", err)
	}
	defer unix.Close(g[0])
	if err := unix.Pipe2(r[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("no pipe from the target: %w", err)
	}
	defer unix.Close(r[1])
	_ = unix.SetNonblock(r[0], true)
	child.gate, child.open, child.report = g[0], g[1], r[1]
	origin.RestoreFiles()
	v.report = r[0]
	v.pid, err = origin.Fork(unix.SIGCHLD, child)
	v.ending.PID, v.ending.relay = v.pid, v.relay
	return g[1], err
}

// letGo gives up the target's descriptors, so that nobody who waits for the end of a pipe waits for this
// process, and its folder, so that it can be unmounted. stderr stays: the log or the summary may go there. What
// was inherited is what an exec leaves open, and everything of ours is close-on-exec.
func letGo() {
	_ = unix.Chdir("/")
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Dup3(null, 0, 0)
		_ = unix.Dup3(null, 1, 0)
		_ = unix.Close(null)
	}
	for _, fd := range openDescriptors() {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd > 2 && err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

// openDescriptors are those of this process, or all numbers that it may use where there is no /proc.
func openDescriptors() (fds []int) {
	names, err := os.ReadDir("/proc/self/fd")
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	if err != nil {
		for fd := range 1 << 12 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// run passes on what comes until there is nothing left to wait for.
func (v *supervisor) run() (Ending, error) {
	for {
		if v.report >= 0 {
			if err := v.awaitExec(); err != nil {
				return Ending{}, err
			}
		}
		v.passOn()
		v.reap() // after it: a SIGCHLD that was taken may have told of this
		if v.over() {
			v.tellFailure()
			return v.ending, nil
		}
		v.wait()
	}
}

// lookAgain is when to look for children that one of the watch's hides, and for all where poll(2) is forbidden.
const lookAgain = 20 // milliseconds

// wait sleeps until a signal has come, the start has failed or succeeded, or the watch has ended.
func (v *supervisor) wait() {
	fds := []unix.PollFd{{Fd: int32(v.relay.FD()), Events: unix.POLLIN}, {Fd: int32(v.report), Events: unix.POLLIN},
		{Fd: int32(v.beside.done), Events: unix.POLLIN}} // below 0 is none, poll(2)
	timeout := -1
	if v.again {
		timeout = lookAgain
	}
	if _, err := unix.Poll(fds, timeout); err != nil && err != unix.EINTR { // that is a signal in the pipe, else a seccomp filter forbids it
		_ = unix.Nanosleep(&unix.Timespec{Nsec: lookAgain * 1e6}, nil)
	}
}

// awaitExec looks whether the target was executed. report closes when it was, and carries the errno when not.
func (v *supervisor) awaitExec() error {
	var text [unsafe.Sizeof(syscall.Errno(0))]byte
	n, err := unix.Read(v.report, text[:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	}
	_ = unix.Close(v.report)
	v.report = -1
	if n == 0 {
		v.beside.start(v)
		v.relay.Settle()
		return nil
	}
	v.giveUp()
	tellMain(v.launch.Env, os.Getpid())
	return &StartError{v.launch.Args[0], *(*syscall.Errno)(unsafe.Pointer(&text))}
}

// giveUp waits for a child that ends before it became the target.
func (v *supervisor) giveUp() {
	for {
		if _, err := unix.Wait4(v.pid, nil, 0, nil); err != unix.EINTR {
			break
		}
	}
	v.terminal.pass(v.pid, v.terminal.group)
}

// over reports whether nothing is left to wait for.
func (v *supervisor) over() bool {
	if !v.ended || v.WaitOrphans && !v.alone {
		return false
	}
	v.beside.stop(v)
	return v.beside.done < 0
}

// passOn takes the signals that have come.
func (v *supervisor) passOn() {
	for s, ok := v.relay.Take(); ok; s, ok = v.relay.Take() {
		v.reap() // what comes after the target's end is for those that it left
		v.receive(s)
	}
}

func (v *supervisor) receive(s relay.Signal) {
	if s.Number == unix.SIGCONT && !v.ended {
		v.terminal.pass(v.terminal.group, v.pid)
	}
	at := place{pid: os.Getpid(), sameGroup: v.sameGroup(), leader: isLeader()}
	if !at.forwards(s) {
		return
	}
	switch {
	case v.ended: // and reaped: its number may be another's
		v.passToOrphans(s)
	case (v.KillGroup || v.terminal.fd >= 0 && s.Number == unix.SIGCONT) && s.Send(-v.pid) == nil:
	default:
		_ = s.Send(v.pid)
	}
}

func (v *supervisor) passToOrphans(s relay.Signal) {
	if !v.WaitOrphans {
		return // this process is about to end too
	}
	for _, pid := range children() {
		_ = s.Send(pid)
	}
}

func (v *supervisor) sameGroup() bool {
	group, err := unix.Getpgid(v.pid)
	return !v.ended && err == nil && group == unix.Getpgrp()
}

func isLeader() bool {
	session, err := unix.Getsid(0)
	return err == nil && session == os.Getpid()
}
