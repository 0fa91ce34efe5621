package main

// These tests check job control on a terminal, with --supervise and with a watch beside the target.

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
)

// terminalSession is a command on a pseudo-terminal, mostly an interactive shell, with the test as its user.
type terminalSession struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	seen   strings.Builder // all output so far
	taken  int             // length of the output up to the end of the last text that expect found
}

func startTerminal(t *testing.T, line ...string) *terminalSession {
	t.Helper()
	master, name := openTerminal(t)
	slave, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	// A read of master has no deadline, because os.File.Fd sets blocking mode. So master is replaced by a non-blocking
	// duplicate, which os.NewFile adds to the runtime's poller.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	master.Close()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	s := &terminalSession{t: t, master: os.NewFile(uintptr(fd), name), cmd: exec.Command(line[0], line[1:]...)}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.Env = []string{"PATH=/usr/bin:/bin", "PS1=$ ", "TERM=dumb", "HISTFILE="}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.master.Close() // hangs up the terminal
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	return s
}

// startBelow runs a command on a terminal whose session leader prints its status and stays: when a leader ends, the kernel
// may drop what was just printed (tty_ldisc_hangup in Linux). Because of "stty noflsh", a key such as Ctrl-C does not drop
// output either.
func startBelow(t *testing.T, line ...string) *terminalSession {
	t.Helper()
	return startTerminal(t, append([]string{"/bin/sh", "-c", `stty noflsh; trap : INT; "$@"; echo status=$?; read x`, "sh"}, line...)...)
}

func (s *terminalSession) write(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// expect waits until the text is on the screen, after the previously expected text.
func (s *terminalSession) expect(text string) {
	s.t.Helper()
	_ = s.master.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	for {
		if at := strings.Index(s.seen.String()[s.taken:], text); at >= 0 {
			s.taken += at + len(text)
			return
		}
		n, err := s.master.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("%v while waiting for %q; the screen:\n%s", err, text, s.seen.String())
		}
	}
}

// run types a command and waits for the last text of its output, which the command line must not contain.
func (s *terminalSession) run(command, text string) {
	s.t.Helper()
	s.write(command + "\n")
	s.expect(text)
}

const (
	keyInterrupt = "\x03"
	keyStop      = "\x1a"
	keyQuit      = "\x1c"
	keyEnd       = "\x04"
)

// reader is a command that prints the lines that it reads. Because of the quotes, its output is not part of its command
// line.
const reader = "sh -c 'echo u''p; while read x; do echo g''ot $x; done'"

// key types a key that ends the program, and waits for the shell's prompt, because the terminal may discard input
// that is typed right after such a key.
func (s *terminalSession) key(key string) {
	s.t.Helper()
	s.write(key)
	s.expect("$ ")
}

// stop types the stop key and waits until the shell reports the stopped job.
func (s *terminalSession) stop() {
	s.t.Helper()
	s.ready()
	s.write(keyStop)
	s.expect("Stopped")
	s.expect("\r\n$ ")
}

// ready waits until all supervisors on this terminal catch TSTP. While a supervisor is being continued, TSTP still
// has its default action, and the key would stop the supervisor before its target has stopped (relay.Raise).
func (s *terminalSession) ready() {
	s.t.Helper()
	const tstp = 1 << (unix.SIGTSTP - 1)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		all := true
		pids, _ := proc.Here.Numbers("/proc")
		for _, pid := range pids {
			session, _ := unix.Getsid(pid)
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			if session == s.cmd.Process.Pid && strings.HasPrefix(path.Base(exe), "arenacap") {
				status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				_, caught, _ := strings.Cut(string(status), "SigCgt:\t")
				set, err := strconv.ParseUint(caught[:min(16, len(caught))], 16, 64)
				all = all && (err != nil || set&tstp != 0)
			}
		}
		if all {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("a supervisor does not catch TSTP; the screen:\n%s", s.seen.String())
		}
	}
}

// foreground makes the shell continue the job, which runs the command reader, in the foreground. For fg, bash prints
// the job's command line, which ends with "done'". The terminal keeps input that is typed after this until the job
// reads it.
func (s *terminalSession) foreground() {
	s.t.Helper()
	s.run("fg", "done'")
	s.run("words", "got words\r\n")
}

// TestJobControl uses arenacap in an interactive bash as a user would.
func TestJobControl(t *testing.T) {
	testenv.Need(t, "bash")
	tool := requireTools(t)
	for _, b := range sample(tool) {
		for mode, prefix := range map[string]string{
			"supervise": strings.Join(supervised(b.path), " ") + " ",
			"exec":      b.path + " run --arenas off --budget 1TiB -- ",
		} {
			useShell(t, b.name+"/"+mode, prefix)
		}
		useGroups(t, b.name+"/group", strings.Join(supervised(b.path, "--kill-group"), " ")+" ")
		t.Run(b.name+"/nobody would continue it", func(t *testing.T) {
			t.Parallel()
			// arenacap is the session leader, as in a container. Without arenacap the target would be the session leader, and the
			// kernel would ignore Ctrl-Z.
			s := startTerminal(t, append(supervised(b.path), "sh", "-c", "echo up; while read x; do echo got $x; done")...)
			s.expect("up\r\n")
			s.write(keyStop)
			s.run("words", "got words\r\n")
			s.write(keyEnd)
			if err := s.cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// interactive starts bash on its own terminal.
func interactive(t *testing.T) *terminalSession {
	t.Helper()
	s := startTerminal(t, "/bin/bash", "--norc", "--noprofile", "-i")
	s.expect("$ ")
	return s
}

// useGroups tests job control on commands that begin with the prefix, which starts the target in its own process group.
func useGroups(t *testing.T, name, prefix string) {
	// The target waits until fg has given the terminal to arenacap's group: until field 8 of /proc/PID/stat, tpgid, is the PID
	// of arenacap, its parent. The target cannot wait for SIGCONT, because the shell does not send SIGCONT to a running job.
	const given = "until read l </proc/$$/stat; set -- $l; [ $8 = $PPID ]; do :; done; "
	t.Run(name+"/stopped in the background", func(t *testing.T) {
		t.Parallel()
		s := interactive(t)
		s.run("set -o notify; "+prefix+reader+" &", "up\r\n")
		s.expect("Stopped")
		s.expect("done'") // bash's message "Stopped" ends with the command line, which bash prints again for fg
		useForeground(s)
	})
	t.Run(name+"/running in the background", func(t *testing.T) {
		t.Parallel()
		s := interactive(t)
		s.run(prefix+strings.Replace(reader, "while", given+"while", 1)+" &", "up\r\n")
		useForeground(s)
	})
}

func useForeground(s *terminalSession) {
	s.foreground()
	s.stop()
	s.foreground()
	s.key(keyInterrupt)
	s.run("echo status=$?", "status=130\r\n")
}

// useShell tests job control on commands that begin with the prefix, which starts arenacap.
func useShell(t *testing.T, name, prefix string) {
	t.Run(name, func(t *testing.T) {
		t.Run("keys", func(t *testing.T) {
			t.Parallel()
			for key, status := range map[string]int{keyInterrupt: 130, keyQuit: 131} {
				s := interactive(t)
				s.run(prefix+"sh -c 'echo u''p; exec cat'", "up\r\n")
				s.key(key)
				s.run("echo status=$?", fmt.Sprintf("status=%d\r\n", status))
			}
		})
		t.Run("end of input", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run(prefix+"sh -c 'echo u''p; exec cat'", "up\r\n")
			s.key(keyEnd)
			s.run("echo status=$?", "status=0\r\n")
		})
		t.Run("stop and go on", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run(prefix+reader, "up\r\n")
			for range 3 {
				s.stop()
				s.run("echo status=$?", fmt.Sprintf("status=%d\r\n", 128+int(unix.SIGTSTP)))
				s.foreground()
			}
			s.key(keyInterrupt)
			s.run("echo status=$?", "status=130\r\n")
		})
		t.Run("into the background", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run(prefix+"sh -c 'echo u''p; exec sleep 60'", "up\r\n")
			s.stop()
			s.run("bg; echo back''ground", "background\r\n")
			s.run("jobs", "Running")
			s.run("kill %1; wait %1; echo status=$?", "status=143\r\n")
		})
		t.Run("background and terminal", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run("set -o notify; "+prefix+reader+" &", "up\r\n")
			s.expect("Stopped")
			s.expect("done'") // bash's message "Stopped" ends with the command line, which bash prints again for fg
			useForeground(s)
		})
		t.Run("before a pipe", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run(prefix+reader+" | cat", "up\r\n")
			s.stop()
			s.foreground()
			s.key(keyInterrupt)
			s.run("echo status=${PIPESTATUS[0]}", "status=130\r\n")
		})
		for how, line := range map[string]string{
			"TSTP":      "echo words | " + prefix + "sh -c 'echo rea''dy; while read x; do echo got $x; done </dev/tty'",
			"STOP":      "echo words | " + prefix + buildC(t, "suspender"),
			"STOP, two": "echo words | " + prefix + prefix + buildC(t, "suspender"),
			"TSTP, two": "echo words | " + prefix + prefix + "sh -c 'echo rea''dy; while read x; do echo got $x; done </dev/tty'",
		} {
			t.Run("behind a pipe, stops by "+how, func(t *testing.T) {
				t.Parallel()
				s := interactive(t)
				s.run(line, "ready\r\n")
				for range 2 {
					s.stop()
					s.write("fg\n")
					s.expect("fg\r\n")
					s.expect("\r\n") // the shell has printed the job that it continues
					s.run("words", "got words\r\n")
				}
				s.key(keyInterrupt)
				s.run("echo status=$?", "status=130\r\n")
			})
		}
		t.Run("stops itself behind a pipe", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run("echo words | "+prefix+"sh -c 'echo rea''dy; kill -STOP $$; echo ba''ck'", "ready\r\n")
			s.expect("Stopped")
			s.expect("\r\n$ ")
			s.run("fg", "back\r\n")
			s.expect("$ ")
			s.run("echo status=$?", "status=0\r\n")
		})
		t.Run("before a pager", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run(prefix+"echo words | sh -c 'cat; read x </dev/tty; echo got $x'", "words\r\n")
			s.run("key", "got key\r\n")
		})
		t.Run("behind a pipe", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run("echo words | "+prefix+"sh -c 'cat; read x </dev/tty; echo got $x'", "words\r\n")
			s.run("key", "got key\r\n")
		})
		t.Run("in a script", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run(`sh -c '`+prefix+`sh -c "echo u"p"; exec cat"; echo status=$?; read x; echo got $x'`, "up\r\n")
			s.write(keyEnd)
			s.expect("status=0\r\n")
			s.run("key", "got key\r\n")
		})
		t.Run("a shell inside", func(t *testing.T) {
			t.Parallel()
			s := interactive(t)
			s.run(prefix+"bash --norc --noprofile -i", "$ ")
			s.run(reader, "up\r\n")
			s.stop()
			s.run("echo inner=$?", fmt.Sprintf("inner=%d\r\n", 128+int(unix.SIGTSTP)))
			s.foreground()
			s.key(keyInterrupt)
			s.run("exit 7", "exit\r\n")
			s.expect("$ ")
			s.run("echo status=$?", "status=7\r\n")
		})
	})
}
