package watch

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
	"arenacap/launcher/watch/protocol"
)

// detached is a watch process, started as a launch starts it except for the double fork.
type detached struct {
	t      *testing.T
	cmd    *exec.Cmd
	config *os.File // the write end of the pipe whose read end is the watch's descriptor 3
	ready  *os.File // nil if the launch does not wait for the watch
	stderr *bufio.Reader
	gaps   bool // the method "line" returns gap events too
	theirs []*os.File
}

// startDetached starts a watch of the target to which the descriptor "handle" (a pidfd or a /proc folder) refers. The
// message is written to the pipe.
func startDetached(t *testing.T, pid int, handle *os.File, message []byte, wait bool) *detached {
	t.Helper()
	d := prepareDetached(t, pid, handle, wait)
	d.start(message)
	return d
}

func prepareDetached(t *testing.T, pid int, handle *os.File, wait bool) *detached {
	t.Helper()
	r, w := pipe(t)
	errR, errW := pipe(t)
	d := &detached{t: t, config: w, stderr: bufio.NewReader(errR), theirs: []*os.File{r, errW}}
	d.cmd = &exec.Cmd{Path: "/proc/self/exe", Args: []string{fmt.Sprintf("%s%d", protocol.ProcessName, pid)}, Env: []string{"GORACE=atexit_sleep_ms=0"}, Dir: "/",
		Stderr: errW, ExtraFiles: []*os.File{r, handle}, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if wait {
		ready, readyW := pipe(t)
		d.ready, d.theirs = ready, append(d.theirs, readyW)
		d.cmd.ExtraFiles = append(d.cmd.ExtraFiles, readyW)
	}
	return d
}

func (d *detached) start(message []byte) {
	d.t.Helper()
	must(d.t, d.cmd.Start())
	d.t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	})
	for _, f := range d.theirs {
		_ = f.Close()
	}
	_, err := d.config.Write(message)
	must(d.t, err)
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.SetReadDeadline(time.Now().Add(patience)))
	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})
	return r, w
}

func framed(t *testing.T, cfg Config) []byte {
	t.Helper()
	data := cfg.Encode()
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

func pidfdOf(t *testing.T, pid int) *os.File {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	must(t, err)
	f := os.NewFile(uintptr(fd), "pidfd")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// execed closes the pipe, as the kernel does when the target's exec succeeds.
func (d *detached) execed() { must(d.t, d.config.Close()) }

func (d *detached) line() string {
	d.t.Helper()
	line, err := d.stderr.ReadString('\n')
	if err != nil {
		d.t.Fatalf("stderr ended after %q: %v", line, err)
	}
	if isGap(line) && !d.gaps {
		return d.line()
	}
	return line
}

func (d *detached) wantLine(parts ...string) {
	d.t.Helper()
	line := d.line()
	for _, part := range parts {
		if !strings.Contains(line, part) {
			d.t.Errorf("stderr has %q, without %q", line, part)
		}
	}
}

// ends waits for the end of the watch. The watch must print no more lines and end with status 0.
func (d *detached) ends() {
	d.t.Helper()
	if rest, _ := io.ReadAll(d.stderr); len(rest) > 0 && !isGap(string(rest)) {
		d.t.Errorf("stderr has more: %q", rest)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("the watch ended with %v", err)
	}
}

func verbose(pid int, limits string) Config {
	cfg := testConfig(limits)
	cfg.PID, cfg.Mode, cfg.Verbose, cfg.Log.Format, cfg.Program = pid, "exec", true, "text", "/opt/auth/AuthServer"
	return cfg
}

func TestDetached(t *testing.T) {
	c := startChild(t)
	cfg := verbose(c.pid(), "growth=1073741824")
	// A test binary with cgo has arenas of glibc. The cap is larger than the number of its threads, so the number of
	// arenas stays within the cap.
	cfg.Cap, cfg.OnUnenforceable = 1000, "warn"
	cfg.Budget.Settle = 0
	d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, cfg), false)
	d.execed()
	name := fmt.Sprintf("arenacap: authserver[%d]: ", c.pid())
	d.wantLine(name + "started: budget: growth 1 GiB; scope process")
	d.wantLine(name + "cap-not-kept: judged /opt/auth/AuthServer with 4 variables, first " + childVariable + "=1")
	checkDetached(t, d.cmd.Process.Pid)
	_ = c.in.Close()
	line := d.line()
	if strings.Contains(line, "cap-not-kept: the server's environment ") { // this event comes only if a sample preceded the child's end
		line = d.line()
	}
	if !strings.Contains(line, name+"exited: ") {
		t.Errorf("stderr has %q, want the event exited", line)
	}
	d.ends()
}

// checkDetached checks the name of the watch process and its open descriptors in /proc, and sends it SIGPIPE.
func checkDetached(t *testing.T, pid int) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", pid)
	if comm := readFile(t, proc+"comm"); comm != "arenacap: watch\n" {
		t.Errorf("its name is %q", comm)
	}
	must(t, unix.Kill(pid, unix.SIGPIPE)) // no effect: the later events show that the watch continues
	entries, err := os.ReadDir(proc + "fd")
	must(t, err)
	var open []string
	for _, e := range entries {
		if to, err := os.Readlink(proc + "fd/" + e.Name()); err == nil {
			open = append(open, e.Name()+" "+to)
		}
	}
	if slices.ContainsFunc(open, func(s string) bool { return strings.HasPrefix(s, "3 pipe:") || strings.HasPrefix(s, "5 pipe:") }) {
		t.Errorf("the pipes of the start are still open: %q", open)
	}
}

// HUP has no effect on a watch. TERM, INT and QUIT end it with an event, even if the process that started it ignored
// INT and QUIT.
func TestDetachedSignals(t *testing.T) {
	testenv.Need(t, "/bin/bash")
	exe, err := os.Executable()
	must(t, err)
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			c := startChild(t)
			cfg := verbose(c.pid(), "growth=1073741824")
			cfg.Verbose = false
			d := prepareDetached(t, c.pid(), pidfdOf(t, c.pid()), true)
			d.cmd.Path, d.cmd.Args = "/bin/bash", []string{"bash", "-c", `trap '' INT QUIT; exec -a "$0" "$1"`, d.cmd.Args[0], exe}
			d.start(framed(t, cfg))
			if word, err := io.ReadAll(d.ready); err != nil || string(word) != "ready\n" {
				t.Fatalf("the watch says %q, %v", word, err)
			}
			d.execed()
			must(t, d.cmd.Process.Signal(unix.SIGHUP))
			must(t, d.cmd.Process.Signal(sig))
			d.wantLine("watch-ended: " + unix.SignalName(sig) + " has ended the watch; the watched processes continue to run; watched for ")
			d.ends()
		})
	}
}

// When systemd stops a unit, the watch and its target both get TERM; the watch still reports the end of the target.
func TestDetachedAtTheStopOfAUnit(t *testing.T) {
	c := startChild(t)
	d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, verbose(c.pid(), "growth=1073741824")), false)
	d.execed()
	d.wantLine("started: ")
	must(t, d.cmd.Process.Signal(unix.SIGTERM))
	_ = c.in.Close()
	d.wantLine("exited: ")
	d.ends()
}

// A watch that was stopped by a signal reports how long it took no sample.
func TestDetachedStopped(t *testing.T) {
	c := startChild(t)
	d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, verbose(c.pid(), "growth=1073741824")), false)
	d.execed()
	d.wantLine("started: ")
	d.gaps = true
	must(t, d.cmd.Process.Signal(unix.SIGSTOP))
	time.Sleep(leastGap + 100*time.Millisecond) // while the watch is stopped it takes no samples, so the samples have a gap of this length
	must(t, d.cmd.Process.Signal(unix.SIGCONT))
	d.wantLine("gap: no sample for ", ", although the interval is 2ms; ")
	_ = c.in.Close()
	d.wantLine("exited: ")
	d.ends()
}

// If the target's exec failed, there is nothing to watch, and the watch prints nothing.
func TestDetachedStartThatFailed(t *testing.T) {
	c := startChild(t)
	d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, verbose(c.pid(), "virtual=1")), false)
	_, err := d.config.Write([]byte("x"))
	must(t, err)
	d.ends()
}

func TestDetachedGarbage(t *testing.T) {
	for name, message := range map[string]string{
		"nothing":           "",
		"half a length":     "\x00\x00",
		"half an object":    "\x00\x00\x00\x10{\"PID\":",
		"no object":         "\x00\x00\x00\x03abc",
		"a gigantic length": "\xff\xff\xff\xff{}",
		"no interval":       "\x00\x00\x00\x02{}",
	} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t)
			d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), []byte(message), false)
			d.execed()
			d.ends()
		})
	}
}

func TestDetachedSaysWhenItIsReady(t *testing.T) {
	c := startChild(t)
	d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, verbose(c.pid(), "growth=1073741824")), true)
	if word, err := io.ReadAll(d.ready); err != nil || string(word) != "ready\n" {
		t.Fatalf("the watch says %q, %v", word, err)
	}
	d.execed()
	d.wantLine("started: ")
	_ = c.in.Close()
	d.wantLine("exited: ")
	d.ends()
}

// badLogs are paths of logs that cannot be written, with a part of the message about each.
func badLogs(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mkfifo(dir+"/unread", 0o600))
	return map[string]string{dir + "/none/log": "no such file", dir: "is a directory", dir + "/unread": "no such device", "/dev/full": "no space left"}
}

// If the launch waits for the watch, it gets the reason why the watch cannot work, and the watch ends.
func TestDetachedSaysWhyItCannot(t *testing.T) {
	for log, why := range badLogs(t) {
		t.Run(why, func(t *testing.T) {
			c := startChild(t)
			cfg := verbose(c.pid(), "virtual=1")
			cfg.Log.To = log
			d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, cfg), true)
			word, _ := io.ReadAll(d.ready)
			if !strings.HasPrefix(string(word), fmt.Sprintf("log file %q cannot be ", log)) || !strings.Contains(string(word), why) || strings.Count(string(word), "\n") != 1 {
				t.Errorf("the watch says %q", word)
			}
			d.ends()
		})
	}
}

// If the launch does not wait for the watch, stderr gets one line about the log that cannot be written, and all events.
func TestDetachedGoesOnWithoutItsLog(t *testing.T) {
	for log, why := range badLogs(t) {
		t.Run(why, func(t *testing.T) {
			c := startChild(t)
			cfg := verbose(c.pid(), "virtual=1")
			cfg.Log.To, cfg.Budget.Action, cfg.Budget.Grace = log, "terminate", time.Hour
			d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, cfg), false)
			d.execed()
			d.wantLine("started: ")
			d.wantLine("log-failed: ", log, why)
			d.wantLine("breach: ")
			d.wantLine("SIGTERM sent")
			d.wantLine("exited: ")
			d.ends()
		})
	}
}

func TestDetachedWithoutATarget(t *testing.T) {
	d := startDetached(t, 1234567, nil, framed(t, verbose(1234567, "virtual=1")), false)
	d.execed()
	d.wantLine("arenacap: authserver[1234567]: watch-failed: the launch passed no pidfd of the target")
	d.ends()
}

// With the /proc of another PID namespace, a watch process reports the failure and ends.
func TestDetachedWithTheProcOfAnotherNamespace(t *testing.T) {
	testenv.NeedRoot(t) // only root may create a PID namespace
	c := startChild(t)
	d := prepareDetached(t, 1, pidfdOf(t, c.pid()), false)
	d.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	d.start(framed(t, verbose(1, "virtual=1")))
	d.execed()
	d.wantLine("arenacap: authserver[1]: watch-failed: /proc belongs to another PID namespace, where this process has PID ")
	d.ends()
}

// If the kernel has no pidfds, the launch passes a descriptor of the target's /proc folder.
func TestDetachedWithAFolder(t *testing.T) {
	c := startChild(t)
	folder, err := os.Open(fmt.Sprintf("/proc/%d", c.pid()))
	must(t, err)
	defer folder.Close()
	d := startDetached(t, c.pid(), folder, framed(t, verbose(c.pid(), "growth=1073741824")), false)
	d.execed()
	d.wantLine("started: ")
	c.kill(t)
	d.wantLine("exited: ")
	d.ends()
}

// A command starts with every signal at its default action and none blocked, even if the launch had ignored or
// blocked signals. The test reads them from /proc/PID/status (proc_pid_status(5)).
func TestDetachedCommandsSignals(t *testing.T) {
	c := startChild(t)
	cfg := verbose(c.pid(), "virtual=1")
	cfg.Verbose, cfg.Budget.Command, cfg.Budget.Timeout = false, []string{"/bin/grep", "^Sig[BI]", "/proc/self/status"}, time.Hour
	var log *bufio.Reader
	cfg.Log.To, log = fifo(t)
	d := prepareDetached(t, c.pid(), pidfdOf(t, c.pid()), false)
	// A shell ignores the signals and then execs the watch. The test must not ignore them itself, because
	// signal.Reset does not undo that for the tests that follow.
	exe, err := os.Executable()
	must(t, err)
	d.cmd.Path, d.cmd.Args = "/bin/bash", []string{"bash", "-c", `trap '' HUP INT QUIT PIPE TERM USR1 XFSZ; exec -a "$0" "$1"`, d.cmd.Args[0], exe}
	testenv.Need(t, d.cmd.Path)
	withBlocked(t, func() { d.start(framed(t, cfg)) })
	d.execed()
	wantIn(t, log, "breach: ")
	for _, want := range []string{"SigBlk:\t0000000000000000\n", "SigIgn:\t0000000000000000\n"} {
		if got := nextLine(t, log); got != want {
			t.Errorf("the command has %q, want %q", got, want)
		}
	}
}

// withBlocked calls f with two signals blocked in this thread. Processes that f starts inherit the mask.
func withBlocked(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, block unix.Sigset_t
	block.Val[0] = 1<<(unix.SIGHUP-1) | 1<<(unix.SIGUSR2-1)
	must(t, unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before))
	defer func() { must(t, unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)) }()
	f()
}

// If the target ends before its watch has started, the watch reports both its start and its end.
func TestDetachedTooLate(t *testing.T) {
	c := startChild(t)
	handle := pidfdOf(t, c.pid())
	c.kill(t)
	d := startDetached(t, c.pid(), handle, framed(t, verbose(c.pid(), "virtual=1")), false)
	d.execed()
	d.wantLine("started: ")
	d.wantLine("exited: ")
	d.ends()
}

// A watch that outlives the target closes the target's stderr, and continues to write to its log file. Without a log
// file and without an action it ends with the target.
func TestDetachedOutlivesTheTarget(t *testing.T) {
	for _, to := range []string{"stderr", "file"} {
		t.Run(to, func(t *testing.T) {
			c := startChild(t)
			cfg := verbose(c.pid(), oneAndAHalf(t, c))
			// This child is older than the target's program, so the watch does not count it. It is started for the sake of
			// the next child: at the first start of a child os/exec forks another process to test pidfds, and the watch
			// would count that process with the size of its parent.
			awaitAge(t, mustFork(t, c, "fork"), 2*proc.Tick)
			cfg.Budget.Scope, cfg.Budget.WarnAt = "tree", onlyBreach
			var log *bufio.Reader
			if to == "file" {
				cfg.Log.To, log = fifo(t)
			}
			d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, cfg), true)
			_, _ = io.ReadAll(d.ready)
			d.execed()
			if to == "stderr" {
				log = d.stderr
			} else if rest, err := io.ReadAll(d.stderr); len(rest) > 0 || err != nil { // stderr ends although the watch still runs
				t.Errorf("stderr has %q, %v", rest, err)
			}
			wantIn(t, log, "started: ")
			middle := mustFork(t, c, "fork")
			wantIn(t, log, "breach: ") // the watch has found the child and counts it
			c.ask(t, "leave", "ok")
			left := map[string]string{"file": "processes that still run and are watched: 1", "stderr": `still runs and is not watched; write to = "FILE" in [log]`}
			for !strings.Contains(nextLine(t, log), left[to]) {
			}
			if to == "file" {
				must(t, middle.signal(syscall.SIGKILL))
			} else {
				wantIn(t, log, "exited: ")
			}
			d.ends()
		})
	}
}

// The target's process may be much older than its program, for example a shell that execs arenacap. settle counts
// from the start of the program, and earlier children of the shell do not count.
func TestDetachedInAnOldProcess(t *testing.T) {
	c := startChild(t)
	older := mustFork(t, c, "fork")
	cfg := testConfig(oneAndAHalf(t, c))
	cfg.PID, cfg.Budget.Scope, cfg.Budget.Settle, cfg.Budget.WarnAt = c.pid(), "tree", 200*time.Millisecond, onlyBreach
	awaitAge(t, older, cfg.Budget.Settle)
	d := startDetached(t, c.pid(), pidfdOf(t, c.pid()), framed(t, cfg), false)
	began := time.Now() // the settle time begins after this line, and before the watch logs the event "started"
	d.execed()
	d.wantLine(`"event":"started"`)
	mustFork(t, c, "fork")
	breach := d.line()
	if after := timeOf(t, breach).Sub(began); after < cfg.Budget.Settle-time.Millisecond { // events have a resolution of milliseconds
		t.Errorf("settle ended %s after the start, want %s", after, cfg.Budget.Settle)
	}
	if !strings.Contains(breach, `"event":"breach"`) || !strings.Contains(breach, `"processes":2`) {
		t.Errorf("%s: want a breach of the target and its younger child", breach)
	}
}

func awaitAge(t *testing.T, p *process, age time.Duration) {
	t.Helper()
	for sinceBoot()-p.born <= age {
		time.Sleep(time.Millisecond)
	}
}

func timeOf(t *testing.T, line string) time.Time {
	t.Helper()
	var e struct{ Time time.Time }
	must(t, json.Unmarshal([]byte(line), &e))
	return e.Time
}

// fifo makes a log that is a FIFO, so that the test can wait for its lines.
func fifo(t *testing.T) (path string, lines *bufio.Reader) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log")
	must(t, unix.Mkfifo(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	must(t, f.SetReadDeadline(time.Now().Add(patience)))
	return path, bufio.NewReader(f)
}

func wantIn(t *testing.T, log *bufio.Reader, part string) {
	t.Helper()
	if line := nextLine(t, log); !strings.Contains(line, part) {
		t.Fatalf("the log has %q, without %q", line, part)
	}
}

func nextLine(t *testing.T, log *bufio.Reader) string {
	t.Helper()
	line, err := log.ReadString('\n')
	if err != nil {
		t.Fatalf("the log ends after %q: %v", line, err)
	}
	if isGap(line) {
		return nextLine(t, log)
	}
	return line
}

// isGap reports whether a line is a gap event, which occurs on a busy machine.
func isGap(line string) bool {
	return strings.Contains(line, ": gap: no sample") || strings.Contains(line, `"event":"gap"`)
}

// If a launch cannot start a watch, the event watch-failed goes to the log file.
func TestFailed(t *testing.T) {
	cfg := testConfig("virtual=1")
	cfg.Log.To = filepath.Join(t.TempDir(), "log")
	cfg.PID = 42
	cfg.Failed("arenacap is PID 1 here")
	if log := readFile(t, cfg.Log.To); !strings.Contains(log, `"service":"authserver","pid":42,"event":"watch-failed","message":"arenacap is PID 1 here"}`) {
		t.Errorf("the log has %q", log)
	}
}
