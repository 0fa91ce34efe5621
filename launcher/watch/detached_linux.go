package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
)

// The descriptors of a separate watch process, beside /dev/null as 0 and 1 and the target's stderr as 2.
const (
	// fdConfig is the read end of a pipe. It carries the length of the configuration as four bytes,
	// big-endian, and the configuration. What follows tells how the target's start went: the end of the
	// pipe says that the exec succeeded (the other end is close-on-exec), any byte that it failed.
	fdConfig = 3
	// fdTarget is a pidfd of the target or, where the kernel gives none, a descriptor of its folder in
	// /proc, opened while the target could not have ended.
	fdTarget = 4
	// fdReady is the write end of a pipe, and only there where the start waits for the watch. The watch
	// writes "ready\n" when it holds the target and its log, or else the reason in one line, and ends.
	fdReady = 5
)

// Judge gives the reasons why a cap cannot work on a program, a line each.
type Judge = func(cfg Config, env []string) []string

// Detached is the body of the separate watch process that stands beside a target. It ends the process when
// there is nothing left to watch. judge, which may be nil, finds out why the cap cannot work on the target,
// from the environment that it was started with (nil where that may not be read); it is asked once the
// target runs, and only with OnUnenforceable "warn" and a cap.
func Detached(judge Judge) {
	for _, fd := range []int{fdConfig, fdTarget, fdReady} {
		unix.CloseOnExec(fd) // a command gets none of them
	}
	origin.BeSmall()
	catchIgnored()
	_ = os.WriteFile(procRoot+"/self/comm", []byte(ProcessName), 0) // its first 15 bytes, proc_pid_comm(5)
	defer os.Exit(0)
	defer reportPanic()
	pipe := os.NewFile(fdConfig, "configuration")
	cfg, err := readConfig(pipe)
	if err != nil {
		return // whoever wrote this is no arenacap; there is no target to speak of
	}
	stand(cfg, pipe, judge)
}

// catchIgnored catches SIGPIPE and whatever the target was started with ignored, and drops it: the effect is the
// same here, but a signal that is ignored stays so in the command, while one that is caught is back at its default
// after the exec (signal(7)).
func catchIgnored() {
	dropped := make(chan os.Signal, 1) // nobody reads it; sends to a full channel are dropped, see signal.Notify
	signal.Notify(dropped, syscall.SIGPIPE)
	for n := syscall.Signal(1); n <= lastRealTime; n++ {
		if signal.Ignored(n) {
			signal.Notify(dropped, n)
		}
	}
}

// reportPanic tells a mistake of our own in one line instead of a page of stacks on the target's stderr.
func reportPanic() {
	if r := recover(); r != nil {
		fmt.Fprintf(os.Stderr, "arenacap: watch-failed: internal error: %s; the target goes on without a watch\n", oneLine(fmt.Sprint(r)))
	}
}

// readConfig takes the configuration from the pipe and leaves what follows it.
func readConfig(pipe io.Reader) (Config, error) {
	var size [4]byte
	if _, err := io.ReadFull(pipe, size[:]); err != nil {
		return Config{}, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxConfig {
		return Config{}, fmt.Errorf("a configuration of %d bytes is over the largest, %d", n, maxConfig)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(pipe, data); err != nil {
		return Config{}, err
	}
	return decodeConfig(data)
}

// stand gets ready, waits for the target's start, and watches.
func stand(cfg Config, pipe io.ReadCloser, judge Judge) {
	e, target, failed := prepare(&cfg)
	if fileType(fdReady) == unix.S_IFIFO {
		answer(failed)
		if failed != nil {
			return
		}
	}
	if !execSucceeded(pipe) {
		return
	}
	if target == nil {
		Failed(cfg, cfg.PID, failed.Error())
		return
	}
	if judge != nil && cfg.Cap != 0 && cfg.OnUnenforceable == "warn" {
		e.cfg.Notices = append(e.cfg.Notices, judge(cfg, environOf(target))...)
	}
	e.detached, e.frugal = true, true
	w := e.addLaunched(target)
	w.start()
	w.complain("log", failed)
	e.loop(context.Background())
	e.close()
}

// prepare opens what the watch needs. A log file that cannot be opened is told, and stderr is used instead;
// without the target there is no watch.
func prepare(cfg *Config) (*engine, *process, error) {
	target, err := inherit(cfg.PID)
	if err != nil {
		return nil, nil, err
	}
	e, failed := newEngine(*cfg)
	if failed != nil {
		cfg.Log.To = "stderr"
		if e, err = newEngine(*cfg); err != nil {
			return nil, nil, err
		}
		return e, target, failed
	}
	if e.log.path != "" {
		e.log.closeStderr()
	}
	return e, target, nil
}

// fileType is the type of an open file, 0 where there is none and for the anonymous kinds. A descriptor
// that was not handed over may be there all the same: Go's runtime opens its own, which take the lowest
// free numbers.
func fileType(fd int) uint32 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Mode & unix.S_IFMT
}

// inherit holds the target by the descriptor that was handed over. One that has ended already is held
// too: its end is to be told.
func inherit(pid int) (*process, error) {
	if err := ownProc(); err != nil {
		return nil, err
	}
	p := &process{pid: pid, pidfd: fdTarget, dir: -1, statm: -1, born: sinceBoot()}
	if fileType(fdTarget) == unix.S_IFDIR {
		p.pidfd, p.dir = -1, fdTarget
	} else if unix.PidfdSendSignal(fdTarget, 0, nil, 0) == unix.EBADF {
		return nil, errors.New("no pidfd was handed over")
	}
	if err := p.openAll(); err != nil && !p.ended() {
		return nil, err
	}
	return p, nil
}

// answer tells a start that waits whether the watch can work.
func answer(failed error) {
	word := "ready\n"
	if failed != nil {
		word = oneLine(failed.Error()) + "\n"
	}
	_, _ = unix.Write(fdReady, []byte(word)) // who waited may be gone
	_ = unix.Close(fdReady)
}

// execSucceeded waits for the end of the start.
func execSucceeded(pipe io.ReadCloser) bool {
	defer pipe.Close()
	n, err := pipe.Read(make([]byte, 1))
	return n == 0 && err == io.EOF
}

// environOf is the environment that a process was started with, nil where it may not be read. The kernel
// closes the pipe a moment before it has put the environment in its place (Linux: fs/exec.c,
// begin_new_exec; fs/binfmt_elf.c, create_elf_tables), so an empty one is looked at again.
func environOf(p *process) (env []string) {
	for range 20 {
		text, err := p.read("environ")
		if err != nil {
			return nil
		}
		if len(text) > 0 {
			return proc.ParseEnviron(text)
		}
		fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, 1)
	}
	return []string{}
}

// FailedLine is the event watch-failed as the log has it, and the log's file ("" is stderr), for a process that can
// only make system calls any more.
func FailedLine(cfg Config, pid int, reason string) (line []byte, file string) {
	j := &journal{fd: -1}
	if cfg.Log.To != "stderr" {
		j.path = cfg.Log.To
	}
	w := &watched{engine: &engine{cfg: cfg, log: j}, herd: newHerd(&process{pid: pid}, "process", nil)}
	return w.line(watchFailed(reason), time.Now()), j.path
}

// Failed writes the event watch-failed for a target that is not watched: into the log, or on stderr where
// the log cannot be opened. It never blocks.
func Failed(cfg Config, pid int, reason string) {
	j, err := openLog(cfg.Log.To)
	if err != nil {
		j = openStderr(2)
	}
	defer j.close()
	w := &watched{engine: &engine{cfg: cfg, log: j}, herd: newHerd(&process{pid: pid}, "process", nil)}
	w.say(watchFailed(reason))
}
