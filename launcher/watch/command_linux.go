package watch

// The operator's command of a breach: its environment, its start and its end.

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/relay"
)

// command is the operator's program that runs before the action.
type command struct {
	cmd      *exec.Cmd
	pidfd    int // -1 is none: its end is then looked for at every wake-up
	deadline time.Duration
	timedOut bool // it was ended after its timeout
}

// commands are those of this process's children that the watch starts and reaps.
var commands children

type children struct {
	mu   sync.Mutex
	pids map[int]bool
}

// Children calls reap, which may reap all children of this process but those that own names: they are the watch's
// commands. While one of these is being started it calls nothing and returns false.
func Children(reap func(own func(pid int) bool)) bool {
	if !commands.mu.TryLock() {
		return false
	}
	defer commands.mu.Unlock()
	reap(func(pid int) bool { return commands.pids[pid] })
	return true
}

// start begins with no signal blocked, whatever this thread has blocked.
func (c *children) start(cmd *exec.Cmd) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	relay.Unblocked(func() { err = cmd.Start() })
	if err == nil {
		if c.pids == nil {
			c.pids = map[int]bool{}
		}
		c.pids[cmd.Process.Pid] = true
	}
	return err
}

func (c *children) wait(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pids, cmd.Process.Pid)
	return cmd.Wait()
}

// placeholders are what a command's arguments and its environment can say, by the names of policy.Placeholders.
func placeholders(c change, of subject) map[string]string {
	return map[string]string{
		"pid": strconv.Itoa(of.pid), "service": of.service, "event": c.kind, "metric": c.metric,
		"value": strconv.FormatUint(c.value, 10), "limit": strconv.FormatUint(c.limit, 10),
	}
}

// expand replaces {pid}, {service}, {event}, {metric}, {value} and {limit}, the last two in bytes. What is
// put in is not looked at again, and other braces stay as they are.
func expand(args []string, values map[string]string) []string {
	var pairs []string
	for name, value := range values {
		pairs = append(pairs, "{"+name+"}", value)
	}
	replacer := strings.NewReplacer(pairs...)
	var out []string
	for _, arg := range args {
		out = append(out, replacer.Replace(arg))
	}
	return out
}

// defaultPath is what libc takes where PATH is not set (confstr(3), _CS_PATH).
const defaultPath = "/bin:/usr/bin"

// environment is all that a command gets: PATH and ARENACAP_ variables. ARENACAP_SERVICE and
// ARENACAP_POLICY are those that arenacap itself reads.
func environment(cfg Config, values map[string]string) []string {
	env := []string{"PATH=" + cmp.Or(cfg.Path, defaultPath)}
	for _, name := range []string{"pid", "event", "metric", "value", "limit"} {
		env = append(env, "ARENACAP_"+strings.ToUpper(name)+"="+values[name])
	}
	if cfg.Service != "" {
		env = append(env, "ARENACAP_SERVICE="+cfg.Service)
	}
	if cfg.PolicyFile != "" {
		env = append(env, "ARENACAP_POLICY="+cfg.PolicyFile)
	}
	return env
}

// startCommand starts it in a session and group of its own, with /dev/null or the text log for its words.
func startCommand(cfg Config, values map[string]string, log *eventLog, now time.Duration) (*command, error) {
	args := expand(cfg.Budget.Command, values)
	path, err := lookPath(args[0], cmp.Or(cfg.Path, defaultPath))
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: args, Env: environment(cfg, values), Dir: "/", SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if log.path != "" && cfg.Log.Format != "json" {
		own, err := unix.FcntlInt(uintptr(log.fd), unix.F_DUPFD_CLOEXEC, 3)
		if err == nil {
			f := os.NewFile(uintptr(own), log.path)
			defer f.Close()
			cmd.Stdout, cmd.Stderr = f, f
		}
	}
	if err := commands.start(cmd); err != nil {
		return nil, err
	}
	c := &command{cmd: cmd, pidfd: -1, deadline: now + cfg.Budget.Timeout}
	if fd, err := unix.PidfdOpen(cmd.Process.Pid, 0); err == nil {
		c.pidfd = fd
	}
	return c, nil
}

// lookPath finds a name without a slash in path, the PATH that the command gets.
func lookPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(path, ":") {
		if found, err := exec.LookPath(dir + "/" + name); err == nil && dir != "" {
			return found, nil
		}
	}
	return "", fmt.Errorf("%q is not in PATH %q", name, path)
}

// finished reports whether the command has ended, without reaping it. Where a seccomp filter refuses waitid(2), it cannot
// be known without a pidfd, and the command counts as ended: the watch does not wait for it.
func (c *command) finished() bool {
	var info unix.Siginfo
	switch err := unix.Waitid(unix.P_PID, c.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err {
	case nil:
		return info.Signo != 0
	case unix.EINTR:
		return false
	}
	n, err := poll(c.pidfd)
	return c.pidfd < 0 || err != nil || n > 0
}

// expire kills the command and what it started, once its time is up. It is not reaped yet, so the group is
// certainly its own.
func (c *command) expire(now time.Duration) {
	if now >= c.deadline && !c.timedOut {
		c.timedOut = true
		_ = unix.Kill(-c.cmd.Process.Pid, unix.SIGKILL)
	}
}

// end reaps the command and says how it ended; failed is false for status 0.
func (c *command) end(timeout time.Duration) (words string, failed bool) {
	if c.pidfd >= 0 {
		_ = unix.Close(c.pidfd)
	}
	err := commands.wait(c.cmd)
	var status *exec.ExitError
	switch {
	case c.timedOut:
		return fmt.Sprintf("was killed after its timeout of %s", timeout), true
	case err == nil:
		return "ended with status 0", false
	case errors.As(err, &status):
		return "ended with " + strings.Replace(status.Error(), "exit status", "status", 1), true
	}
	return "ended with a status that is not known: " + err.Error(), true
}
