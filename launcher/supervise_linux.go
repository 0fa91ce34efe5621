// This file supervises a target: this process starts the target and stays its parent. This file has the main loop. The
// other supervise_* files have the parts that the loop uses; they do not depend on the loop.

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

// Supervision holds the options of a supervised launch.
type Supervision struct {
	KillGroup   bool        // run the target in its own process group and send signals to the whole group
	WaitOrphans bool        // exit only after all processes that the target left behind have ended
	ParentDeath unix.Signal // the target's parent-death signal; 0 takes this process's own

	Notices func() []string // gives the reasons why the cap cannot work; called after the target's start; may be nil
}

// Ending is how the target of a supervised launch ended.
type Ending struct {
	PID        int
	Status     unix.WaitStatus
	Terminated bool // the budget's action ended the target
	Elapsed    time.Duration
	MaxRSS     uint64         // bytes, from wait4(2): of the target or of the largest descendant that was reaped
	Watched    *watch.Outcome // result of the watch; nil without a watch

	relay *relay.Relay
}

// Reraise kills this process with the signal that killed the target. It returns if the target was not killed by a signal,
// if the budget's action ended it, or if this process is PID 1, which cannot kill itself.
func (e Ending) Reraise() {
	if e.Terminated || !e.Status.Signaled() {
		return
	}
	// Prevent a core dump of this process in addition to the target's. RLIMIT_CORE 0 does not prevent a core dump that is
	// piped to a program (core(5)); PR_SET_DUMPABLE does.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = e.relay.Raise(e.Status.Signal())
}

// Supervise starts the target as a child, passes on signals, reaps children, and returns when the target has ended. An
// error means that the target did not start: a *StartError if the target cannot be executed, an error of another type if
// arenacap itself failed. Supervise must be called from the process's first thread, and only once.
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

// supervisor is the state of the main loop. The loop runs on one thread; only the watch has a thread of its own.
type supervisor struct {
	Supervision
	launch   Launch
	relay    *relay.Relay
	terminal terminal
	manager  manager.Socket
	child    child
	reaper   reaper
	watch    targetWatch

	woken int // number of CONTs that the method "wake" has already handled and that the relay will still deliver

	began  time.Time
	ending Ending
}

// start forks the target, attaches the watch, and lets the target execute.
func (v *supervisor) start() error {
	plan, err := newChild(v.launch, v.Supervision, v.terminal, v.signalState())
	if err != nil {
		return err
	}
	if v.WaitOrphans {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // to become the parent of the target's orphans
	}
	if v.child, err = plan.fork(); err != nil {
		return err
	}
	v.reaper.target, v.reaper.group = v.child.pid, v.KillGroup
	v.ending.PID, v.ending.relay = v.child.pid, v.relay
	letGo()
	if v.watch, err = attach(v.launch.Watch, v.child.pid, v.launch.needsWatch()); err != nil {
		v.child.cancel()
		v.terminal.takeBack(v.child.pid)
		return err
	}
	v.tellMain(v.child.pid)
	v.passOn() // signals pending at the start become pending in the target
	v.began = time.Now()
	v.child.goOn()
	return nil
}

// signalState returns the signal state that the target gets: the state that this process was started with. A build
// without the entry point of package origin, such as by "go build", does not record that state; then the result is what
// Go's runtime has left of the state.
func (v *supervisor) signalState() origin.State {
	if s, ok := origin.Found(); ok {
		return s
	}
	ignored, blocked := v.relay.Before()
	return origin.State{Ignored: ignored, Blocked: blocked}
}

// turn handles all pending events and reports whether the launch is over. An error means that the target did not start.
func (v *supervisor) turn() (over bool, err error) {
	if v.child.report >= 0 {
		if err := v.awaitExec(); err != nil {
			return false, err
		}
	}
	v.passOn()
	v.reap() // reap comes after passOn, because passOn may have consumed the SIGCHLD
	return v.over(), nil
}

// lookAgain is the interval at which signals and children are polled, while a command that the watch started may keep
// reapOthers from finding other ended children, or if a seccomp filter forbids poll(2).
const lookAgain = 20 // milliseconds

// wait sleeps until a signal arrives, the exec has succeeded or failed, or the watch has ended.
func (v *supervisor) wait() {
	fds := []unix.PollFd{{Fd: int32(v.relay.FD()), Events: unix.POLLIN}, {Fd: int32(v.child.report), Events: unix.POLLIN},
		{Fd: int32(v.watch.done), Events: unix.POLLIN}} // poll(2) ignores negative descriptors
	timeout := -1
	if v.reaper.again {
		timeout = lookAgain
	}
	if _, err := unix.Poll(fds, timeout); err != nil && err != unix.EINTR { // a seccomp filter forbids poll(2)
		_ = unix.Nanosleep(&unix.Timespec{Nsec: lookAgain * 1e6}, nil)
	}
}

// awaitExec checks whether the target has been executed, and then starts the watch.
func (v *supervisor) awaitExec() error {
	errno, known := v.child.execResult()
	if errno != 0 {
		v.terminal.takeBack(v.child.pid)
		v.tellMain(os.Getpid())
		return &StartError{v.launch.Args[0], errno}
	}
	if known {
		origin.BeSmall()
		v.watch.start(v.Notices)
		v.relay.Settle()
	}
	return nil
}

// over reports whether the target, its orphans if they are awaited, and the watch have ended.
func (v *supervisor) over() bool {
	if !v.reaper.ended || v.WaitOrphans && !v.reaper.alone {
		return false
	}
	outcome, over := v.watch.stop()
	if outcome != nil {
		v.ending.Watched, v.ending.Terminated = outcome, outcome.Terminated
	}
	if over {
		v.tellFailure()
	}
	return over
}

// tellMain sends MAINPID= to the service manager, which with NotifyAccess=main accepts READY=1 only from the main
// process. The target's PID is sent before the target is executed, so that it arrives before the target's own messages.
func (v *supervisor) tellMain(pid int) { v.manager.Tell("MAINPID=" + strconv.Itoa(pid)) }

// tellFailure makes this process the main process again before it exits, because the service manager gets no exit status of
// a main process that is not its child. With NotifyAccess=main the manager rejects this message and logs the rejection, so
// the message is sent only if the target failed.
func (v *supervisor) tellFailure() {
	if v.ending.Terminated || v.ending.Status != 0 {
		v.tellMain(os.Getpid())
		v.manager.Await()
	}
}

// passOn takes the signals that this process received since the last call, and forwards each (see the method
// "receive").
func (v *supervisor) passOn() {
	for s, ok := v.relay.Take(); ok; s, ok = v.relay.Take() {
		v.reap() // if the target has ended, the method "receive" has to know it: the signal then goes to the orphans
		if s.Number == unix.SIGCONT && v.woken > 0 {
			v.woken--
			continue
		}
		v.receive(s)
	}
}

func (v *supervisor) receive(s relay.Signal) {
	if s.Number == unix.SIGCONT && !v.reaper.ended {
		v.terminal.give(v.child.pid)
	}
	target := v.child.pid
	if v.reaper.ended { // the target has been reaped, so its PID may belong to another process
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
		return // this process is about to exit
	}
	for _, pid := range children() {
		_ = s.Send(pid)
	}
}

// reap handles stopped and ended children. Before the exec is known to have succeeded or failed it does nothing.
func (v *supervisor) reap() {
	if v.child.report >= 0 {
		return
	}
	for by := v.reaper.stop(); by != 0; by = v.reaper.stop() {
		v.followStop(by)
	}
	if status, usage, ok := v.reaper.end(); ok {
		v.ending.Status, v.ending.Elapsed = status, time.Since(v.began)
		v.ending.MaxRSS = uint64(usage.Maxrss) * 1024 // Maxrss is in KiB (getrusage(2))
		v.terminal.takeBack(v.child.pid)
	}
	v.reaper.reapOthers()
}

// followStop follows a stop of the target. If there is a shell with job control, followStop stops this process too, so
// that the shell sees the job stop, and takes the terminal back until the target is continued.
func (v *supervisor) followStop(by unix.Signal) {
	own := v.terminal.own()
	switch {
	case !mirrors(by, own || inForeground()):
	case (by == unix.SIGTTIN || by == unix.SIGTTOU) && v.terminal.give(v.child.pid):
		// The shell has put arenacap's group in the foreground, and the method "give" has passed the foreground on to
		// the target's group.
		_ = unix.Kill(-v.child.pid, unix.SIGCONT)
	case hasShell():
		v.terminal.takeBack(v.child.pid)
		_ = v.relay.Raise(by) // returns when this process is continued
		v.wake()
	case own && by != unix.SIGSTOP:
		// Without arenacap the target's group would be orphaned, and the kernel would not have stopped it.
		_ = unix.Kill(-v.child.pid, unix.SIGCONT)
	}
}

// wake passes on the CONT that ended a stop of this process, before the relay delivers it. A target in the same group has
// already received CONT from its sender; a second, late CONT would undo the target's next stop.
func (v *supervisor) wake() {
	if !placeBeside(v.child.pid).sameGroup || !v.reaper.continued() {
		v.receive(relay.Signal{Number: unix.SIGCONT})
	}
	v.woken++
}
