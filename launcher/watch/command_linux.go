package watch

// This file runs the command that the policy sets for a breach: its environment, start and end.

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
	"arenacap/launcher/watch/budget"
)

// command is the operator's program that runs before the action.
type command struct {
	cmd      *exec.Cmd
	pidfd    int // descriptor of the process; -1: none, and each turn checks for the end
	deadline time.Duration
	timedOut bool // the watch killed the command at the deadline
}

// commands are the children of this process that the watch starts and reaps.
var commands children

type children struct {
	mu   sync.Mutex
	pids map[int]bool
}

// Children calls the function "reap", which may reap every child of this process except the watch's commands, for which
// the function "own" returns true. If a command is being started or reaped, Children returns false and does not call
// "reap".
func Children(reap func(own func(pid int) bool)) bool {
	if !commands.mu.TryLock() {
		return false
	}
	defer commands.mu.Unlock()
	reap(func(pid int) bool { return commands.pids[pid] })
	return true
}

// start starts the command with no signal blocked, even if this thread blocks some.
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

// placeholders are the values for a command's arguments and environment, by the names that package policy knows.
func placeholders(c budget.Change, of subject) map[string]string {
	return map[string]string{
		"pid": strconv.Itoa(of.pid), "service": of.service, "event": c.Kind, "metric": c.Metric,
		"value": strconv.FormatUint(c.Value, 10), "limit": strconv.FormatUint(c.Limit, 10),
	}
}

// expand replaces {pid}, {service}, {event}, {metric}, {value} and {limit}, the last two in bytes. It does not expand
// inserted text, and keeps other braces.
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

// defaultPath is libc's path if PATH is not set (confstr(3), _CS_PATH).
const defaultPath = "/bin:/usr/bin"

// environment returns the complete environment of a command, which inherits nothing: PATH and the ARENACAP_ variables.
// ARENACAP_SERVICE and ARENACAP_POLICY are also the defaults of --service and --policy. So if the command runs arenacap, it
// uses the same service and policy as the watch.
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

// startCommand starts the command in its own session and process group; its output goes to a text log file or /dev/null.
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

// lookPath resolves a name without a slash in path, the PATH of the command.
func lookPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(path, ":") {
		if found, err := exec.LookPath(dir + "/" + name); err == nil && dir != "" {
			return found, nil
		}
	}
	return "", fmt.Errorf("the program %q is not in PATH %q", name, path)
}

// finished reports whether the command has ended. It does not reap the command, so that its process group stays valid (see
// the method "expire"). If waitid(2) fails, for example because of a seccomp filter, it polls the pidfd. If that is
// impossible too, it returns true: the end cannot be detected, and the watch would ask forever.
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

// expire kills the command's process group after the deadline. The command is not reaped yet, so the kernel cannot have
// reused the group's number.
func (c *command) expire(now time.Duration) {
	if now >= c.deadline && !c.timedOut {
		c.timedOut = true
		_ = unix.Kill(-c.cmd.Process.Pid, unix.SIGKILL)
	}
}

// end reaps the command. It returns a description of how the command ended, and whether that counts as failed: not
// status 0.
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
	return "ended with an unknown status: " + err.Error(), true
}
