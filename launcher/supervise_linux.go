// The supervised launch: this process stays as the parent of the target. Here is the loop; what it decides by and acts on
// is in the files beside it, whose parts know nothing of it.

package launcher

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/relay"
	"arenacap/launcher/watch"
	"arenacap/launcher/watch/manager"
)

// Supervision is what a supervised launch does beside starting the target.
type Supervision struct {
	KillGroup   bool        // the target gets a process group of its own, and signals go to all of it
	WaitOrphans bool        // end only when everything that the target left has ended
	ParentDeath unix.Signal // what the target gets when this process dies; 0 is what this process would get

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
	v := &supervisor{launch: l, Supervision: s, relay: r, terminal: openTerminal(s.KillGroup), manager: manager.Find(l.Env)}
	if err := v.start(); err != nil {
		return Ending{}, err
	}
	for {
		if over, err := v.turn(); over || err != nil {
			return v.ending, err
		}
		v.wait()
	}
}

// supervisor is this process in front of its target. Everything happens on one thread, but for the watch.
type supervisor struct {
	Supervision
	launch   Launch
	relay    *relay.Relay
	terminal terminal
	manager  manager.Socket
	child    child
	reaper   reaper
	beside   beside

	woken bool // the next CONT is passed on already

	began  time.Time
	ending Ending
}

// start forks the target, prepares what stands beside it, and lets it go on to its exec.
func (v *supervisor) start() error {
	plan, err := newChild(v.launch, v.Supervision, v.terminal, v.found())
	if err != nil {
		return err
	}
	if v.WaitOrphans {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // else what the target leaves goes elsewhere
	}
	if v.child, err = plan.fork(); err != nil {
		return err
	}
	v.reaper.target, v.reaper.group = v.child.pid, v.KillGroup
	v.ending.PID, v.ending.relay = v.child.pid, v.relay
	letGo()
	if v.beside, err = attach(v.launch.Watch, v.child.pid, v.launch.needsWatch()); err != nil {
		v.child.cancel()
		v.terminal.takeBack(v.child.pid)
		return err
	}
	v.tellMain(v.child.pid)
	v.passOn() // what was pending at the start is pending in the target
	v.began = time.Now()
	v.child.goOn()
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

// turn does what is due, and reports whether nothing is left to wait for. The error says that the target did not start.
func (v *supervisor) turn() (over bool, err error) {
	if v.child.report >= 0 {
		if err := v.awaitExec(); err != nil {
			return false, err
		}
	}
	v.passOn()
	v.reap() // after it: a SIGCHLD that was taken may have told of this
	return v.over(), nil
}

// lookAgain is when to look for children that one of the watch's hides, and for all where poll(2) is forbidden.
const lookAgain = 20 // milliseconds

// wait sleeps until a signal has come, the start has failed or succeeded, or the watch has ended.
func (v *supervisor) wait() {
	fds := []unix.PollFd{{Fd: int32(v.relay.FD()), Events: unix.POLLIN}, {Fd: int32(v.child.report), Events: unix.POLLIN},
		{Fd: int32(v.beside.done), Events: unix.POLLIN}} // below 0 is none, poll(2)
	timeout := -1
	if v.reaper.again {
		timeout = lookAgain
	}
	if _, err := unix.Poll(fds, timeout); err != nil && err != unix.EINTR { // that is a signal in the pipe, else a seccomp filter forbids it
		_ = unix.Nanosleep(&unix.Timespec{Nsec: lookAgain * 1e6}, nil)
	}
}

// awaitExec looks whether the target was executed.
func (v *supervisor) awaitExec() error {
	errno, known := v.child.executed()
	if errno != 0 {
		v.terminal.takeBack(v.child.pid)
		v.tellMain(os.Getpid())
		return &StartError{v.launch.Args[0], errno}
	}
	if known {
		origin.BeSmall()
		v.beside.start(v.Notices)
		v.relay.Settle()
	}
	return nil
}

// over reports whether the target has ended and nothing is left to wait for.
func (v *supervisor) over() bool {
	if !v.reaper.ended || v.WaitOrphans && !v.reaper.alone {
		return false
	}
	outcome, over := v.beside.stop()
	if outcome != nil {
		v.ending.Watched, v.ending.Terminated = outcome, outcome.Terminated
	}
	if over {
		v.tellFailure()
	}
	return over
}

// tellMain names the main process (MAINPID=): with NotifyAccess=main the manager takes READY=1 from that process only. It
// is sent before the target is executed, so that it arrives first.
func (v *supervisor) tellMain(pid int) { v.manager.Tell("MAINPID=" + strconv.Itoa(pid)) }

// tellFailure makes this process the main one again before it ends with a status of its own: the service manager gets
// none of a main process that is not its child. With NotifyAccess=main the manager does not listen to this process any
// more and says so, so it is told only where the status is one to act on.
func (v *supervisor) tellFailure() {
	if v.ending.Terminated || v.ending.Status != 0 {
		v.tellMain(os.Getpid())
		v.manager.Await()
	}
}

// passOn takes the signals that have come.
func (v *supervisor) passOn() {
	for s, ok := v.relay.Take(); ok; s, ok = v.relay.Take() {
		v.reap() // what comes after the target's end is for those that it left
		v.receive(s)
	}
}

func (v *supervisor) receive(s relay.Signal) {
	if s.Number == unix.SIGCONT && v.woken {
		v.woken = false
		return
	}
	if s.Number == unix.SIGCONT && !v.reaper.ended {
		v.terminal.give(v.child.pid)
	}
	target := v.child.pid
	if v.reaper.ended { // and reaped: its number may be another's
		target = 0
	}
	switch {
	case !placeBeside(target).forwards(s):
	case target == 0:
		v.passToOrphans(s)
	case (v.KillGroup || v.terminal.own() && s.Number == unix.SIGCONT) && sendToGroup(s, target):
	default:
		_ = s.Send(target)
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

// reap takes what the children did, once the start is judged.
func (v *supervisor) reap() {
	if v.child.report >= 0 {
		return
	}
	for by := v.reaper.stop(); by != 0; by = v.reaper.stop() {
		v.stopped(by)
	}
	if status, usage, ok := v.reaper.end(); ok {
		v.ending.Status, v.ending.Elapsed = status, time.Since(v.began)
		v.ending.MaxRSS = uint64(usage.Maxrss) * 1024 // in KiB, getrusage(2)
		v.terminal.takeBack(v.child.pid)
	}
	v.reaper.reapOthers()
}

// stopped follows a stop of the target, so that the shell in front sees it, and gives the terminal back as long.
func (v *supervisor) stopped(by unix.Signal) {
	own := v.terminal.own()
	switch {
	case !mirrors(by, own || inForeground()):
	case (by == unix.SIGTTIN || by == unix.SIGTTOU) && v.terminal.give(v.child.pid):
		_ = unix.Kill(-v.child.pid, unix.SIGCONT) // the shell gave the terminal to this group, and it runs already
	case hasShell():
		v.terminal.takeBack(v.child.pid)
		_ = v.relay.Raise(by) // until CONT
		v.wake()
	case own && by != unix.SIGSTOP:
		_ = unix.Kill(-v.child.pid, unix.SIGCONT) // without us the kernel would not have stopped it
	}
}

// wake passes on the CONT that ended a stop of this process before it is read from the relay. A target in the same group
// got it too, and one that comes late would undo its next stop.
func (v *supervisor) wake() {
	if !placeBeside(v.child.pid).sameGroup || !v.reaper.continued() {
		v.receive(relay.Signal{Number: unix.SIGCONT})
	}
	v.woken = true
}
