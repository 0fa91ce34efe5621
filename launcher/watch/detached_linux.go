package watch

// This file has the separate watch process that runs beside the target of a launch.

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
	"arenacap/launcher/watch/protocol"
)

// Detached is the main function of the separate watch process. It exits when nothing is left to watch. The function
// "judge", which may be nil, returns the reasons why the cap cannot work, one line each; its argument "env" is the
// target's initial environment, nil if it cannot be read. Detached calls "judge" once the target runs, only with a cap
// and OnUnenforceable "warn".
func Detached(judge func(cfg Config, env []string) []string) {
	for _, fd := range []int{protocol.ConfigFD, protocol.TargetFD, protocol.ReadyFD} {
		unix.CloseOnExec(fd) // a command does not inherit them
	}
	origin.BeSmall()
	catchIgnored()
	ctx, _ := untilSignal(context.Background(), nil)
	_ = os.WriteFile(procRoot+"/self/comm", []byte(protocol.Comm), 0)
	defer os.Exit(0)
	defer reportPanic()
	pipe := os.NewFile(protocol.ConfigFD, "configuration")
	cfg, err := readConfig(pipe)
	if err != nil {
		return // the pipe does not come from a launch, so there is no target to report about
	}
	runDetached(ctx, cfg, pipe, judge)
}

// catchIgnored catches and drops SIGPIPE and the signals that were ignored at the start. Here this has the same effect as
// ignoring them. A command would inherit an ignored signal; exec resets a caught one to its default (signal(7)).
func catchIgnored() {
	dropped := make(chan os.Signal, 1) // never read: signal.Notify does not block on a full channel
	signal.Notify(dropped, syscall.SIGPIPE)
	for n := syscall.Signal(1); n <= lastRealTime; n++ {
		if signal.Ignored(n) {
			signal.Notify(dropped, n)
		}
	}
}

// reportPanic prints a panic as one line instead of a stack dump, because stderr is the target's.
func reportPanic() {
	if r := recover(); r != nil {
		fmt.Fprintf(os.Stderr, "arenacap: watch-failed: internal error: %s; the target continues without a watch\n", oneLine(fmt.Sprint(r)))
	}
}

// readConfig reads the configuration from the pipe and nothing after it.
func readConfig(pipe io.Reader) (Config, error) {
	var size [4]byte
	if _, err := io.ReadFull(pipe, size[:]); err != nil {
		return Config{}, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxConfig {
		return Config{}, fmt.Errorf("the configuration has %d bytes, the maximum is %d", n, maxConfig)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(pipe, data); err != nil {
		return Config{}, err
	}
	return decodeConfig(data)
}

// runDetached prepares, waits for the target's exec, and watches.
func runDetached(ctx context.Context, cfg Config, pipe io.ReadCloser, judge func(Config, []string) []string) {
	e, target, err := prepare(cfg)
	if fileType(protocol.ReadyFD) == unix.S_IFIFO {
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
		cfg.Failed(err.Error())
		return
	}
	defer e.close()
	if judge != nil && cfg.Cap != 0 && cfg.OnUnenforceable == "warn" {
		e.cfg.Notices = append(e.cfg.Notices, judge(cfg, environOf(target))...)
	}
	e.detached, e.frugal = true, true
	e.addLaunched(target)
	if _, err := e.watch(ctx); err != nil {
		cfg.Failed(err.Error())
	}
}

// prepare opens the target and the log.
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

// fileType returns the type of the file behind a descriptor, such as S_IFIFO; 0 if the descriptor is closed or refers to an
// anonymous inode. Callers check the type because an open descriptor may not be the inherited one: if nothing was inherited
// at a number, Go's runtime may use this number for a descriptor of its own.
func fileType(fd int) uint32 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Mode & unix.S_IFMT
}

// inheritTarget returns the target that the inherited descriptor TargetFD refers to. It accepts a target that has
// ended, so that the watch reports the end.
func inheritTarget(pid int) (*process, error) {
	if err := ownProc(); err != nil {
		return nil, err
	}
	p := &process{pid: pid, pidfd: protocol.TargetFD, dir: -1, statm: -1, born: sinceBoot()}
	if fileType(protocol.TargetFD) == unix.S_IFDIR {
		p.pidfd, p.dir = -1, protocol.TargetFD
	} else if unix.PidfdSendSignal(protocol.TargetFD, 0, nil, 0) == unix.EBADF {
		return nil, errors.New("the launch passed no pidfd of the target")
	}
	if err := p.openAll(); err != nil && !p.ended() {
		return nil, err
	}
	return p, nil
}

// answerStart tells the waiting launch whether the watch can work.
func answerStart(failed error) {
	word := "ready\n"
	if failed != nil {
		word = oneLine(failed.Error()) + "\n"
	}
	_, _ = unix.Write(protocol.ReadyFD, []byte(word)) // the launch may have ended
	_ = unix.Close(protocol.ReadyFD)
}

// execSucceeded waits for the result of the target's exec.
func execSucceeded(pipe io.ReadCloser) bool {
	defer pipe.Close()
	n, err := pipe.Read(make([]byte, 1))
	return n == 0 && err == io.EOF
}

// environOf is the initial environment of a process, nil if it cannot be read. The watch notices the exec when the kernel
// closes the pipe of execSucceeded. The kernel does this just before it sets up the new environment (Linux: begin_new_exec
// in fs/exec.c, create_elf_tables in fs/binfmt_elf.c), so environOf reads an empty environment again, up to 20 times, 1 ms
// apart.
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
