package watch

// The separate process of a watch, beside the target of a launch.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"arenacap/launcher/origin"
	"arenacap/launcher/proc"
)

// The descriptors of a separate watch process, beside /dev/null as 0 and 1 and the target's stderr as 2.
const (
	// ConfigFD is the read end of a pipe. It carries the length of the configuration as four bytes,
	// big-endian, and the configuration. What follows says how the target's start went: the end of the
	// pipe that the exec succeeded (the other end is close-on-exec), any byte that it failed.
	ConfigFD = 3
	// TargetFD is a pidfd of the target or, where the kernel gives none, a descriptor of its folder in
	// /proc, opened while the target could not have ended.
	TargetFD = 4
	// ReadyFD is the write end of a pipe, and only there where the start waits for the watch. The watch
	// writes "ready\n" when it holds the target and its log, or else the reason in one line, and ends.
	ReadyFD = 5
)

// Detached is the body of the separate watch process that stands beside a target. It ends the process when
// there is nothing left to watch. judge, which may be nil, gives the reasons why the cap cannot work on the target,
// a line each, from the environment that it was started with (nil where that may not be read); it is called once the
// target runs, and only with OnUnenforceable "warn" and a cap.
func Detached(judge func(cfg Config, env []string) []string) {
	for _, fd := range []int{ConfigFD, TargetFD, ReadyFD} {
		unix.CloseOnExec(fd) // a command gets none of them
	}
	origin.BeSmall()
	catchIgnored()
	ctx, _ := untilSignal(context.Background(), nil)
	_ = os.WriteFile(procRoot+"/self/comm", []byte(ProcessName), 0) // its first 15 bytes, proc_pid_comm(5)
	defer os.Exit(0)
	defer reportPanic()
	pipe := os.NewFile(ConfigFD, "configuration")
	cfg, err := readConfig(pipe)
	if err != nil {
		return // it was not written by this program; no target is known
	}
	runDetached(ctx, cfg, pipe, judge)
}

// catchIgnored catches SIGPIPE and the signals that the target was started with ignored, and drops them: the effect is
// the same here, but a signal that is ignored stays so in the command, while one that is caught is back at its default
// after the exec (signal(7)).
func catchIgnored() {
	dropped := make(chan os.Signal, 1) // it is not read; sends to a full channel are dropped, see signal.Notify
	signal.Notify(dropped, syscall.SIGPIPE)
	for n := syscall.Signal(1); n <= lastRealTime; n++ {
		if signal.Ignored(n) {
			signal.Notify(dropped, n)
		}
	}
}

// reportPanic prints a bug of the watch in one line instead of a page of stacks on the target's stderr.
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

// runDetached gets ready, waits for the target's start, and watches.
func runDetached(ctx context.Context, cfg Config, pipe io.ReadCloser, judge func(Config, []string) []string) {
	e, target, err := prepare(cfg)
	if fileType(ReadyFD) == unix.S_IFIFO {
		failed := err
		if err == nil {
			failed = e.noLog
		}
		answerStart(failed)
		if failed != nil {
			return
		}
	}
	if !execSucceeded(pipe) {
		return
	}
	if err != nil {
		Failed(cfg, cfg.PID, err.Error())
		return
	}
	defer e.close()
	if judge != nil && cfg.Cap != 0 && cfg.OnUnenforceable == "warn" {
		e.cfg.Notices = append(e.cfg.Notices, judge(cfg, environOf(target))...)
	}
	e.detached, e.frugal = true, true
	e.addLaunched(target)
	if _, err := e.watch(ctx); err != nil {
		Failed(cfg, cfg.PID, err.Error())
	}
}

// prepare opens what the watch needs.
func prepare(cfg Config) (*engine, *process, error) {
	target, err := inheritTarget(cfg.PID)
	if err != nil {
		return nil, nil, err
	}
	e, err := newEngine(cfg)
	if err != nil {
		return nil, nil, err
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

// inheritTarget holds the target by the descriptor that was handed over. One that has ended already is held
// too: its end is to be reported.
func inheritTarget(pid int) (*process, error) {
	if err := ownProc(); err != nil {
		return nil, err
	}
	p := &process{pid: pid, pidfd: TargetFD, dir: -1, statm: -1, born: sinceBoot()}
	if fileType(TargetFD) == unix.S_IFDIR {
		p.pidfd, p.dir = -1, TargetFD
	} else if unix.PidfdSendSignal(TargetFD, 0, nil, 0) == unix.EBADF {
		return nil, errors.New("no pidfd was handed over")
	}
	if err := p.openAll(); err != nil && !p.ended() {
		return nil, err
	}
	return p, nil
}

// answerStart tells a start that waits whether the watch can work.
func answerStart(failed error) {
	word := "ready\n"
	if failed != nil {
		word = oneLine(failed.Error()) + "\n"
	}
	_, _ = unix.Write(ReadyFD, []byte(word)) // the process that waited may have ended
	_ = unix.Close(ReadyFD)
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
