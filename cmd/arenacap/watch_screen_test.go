package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
)

// screen is what a person sees of a terminal that knows only the control sequences that arenacap uses.
type screen struct {
	size   windowSize
	lines  [][]rune // all lines since the start
	top    int      // index in lines of the first line that the window shows
	x, y   int      // y counts from the first line ever printed
	noWrap bool
}

// windowSize is the size of a terminal. It applies to the output from the byte offset start on.
type windowSize struct{ start, width, height int }

// sequence is a control sequence or a character.
var sequence = regexp.MustCompile(`^(?:\x1b\[(\??)(\d*)([A-Za-z])|[^\x1b])`)

// render is the screen after an output.
func render(t *testing.T, output string, sizes []windowSize) *screen {
	t.Helper()
	s := &screen{size: sizes[0], lines: [][]rune{nil}}
	for at := 0; ; {
		for len(sizes) > 0 && at >= sizes[0].start {
			s.size, sizes = sizes[0], sizes[1:]
			s.top = max(s.top, s.y-s.size.height+1)
		}
		m := sequence.FindStringSubmatch(output[at:])
		if m == nil { // the output ends here, perhaps in the middle of a sequence
			return s
		}
		at += len(m[0])
		n, _ := strconv.Atoi(m[2])
		if !s.control(m[0], m[1]+m[3], n) {
			t.Fatalf("the terminal does not know %q", m[0])
		}
	}
}

// control does what a control character or sequence says, or prints the character.
func (s *screen) control(text, final string, n int) bool {
	switch {
	case text == "\r":
		s.x = 0
	case text == "\n":
		s.newline()
	case text == "\b":
		s.x = max(s.x-1, 0)
	case text < " " && final == "":
		return text == "\a"
	case final == "A":
		s.y = max(s.y-n, s.top)
	case final == "K", final == "J":
		s.lines[s.y] = s.lines[s.y][:min(s.x, len(s.lines[s.y]))]
		if final == "J" {
			s.lines = s.lines[:s.y+1]
		}
	case final == "?l" && n == 7, final == "?h" && n == 7:
		s.noWrap = final == "?l"
	case final == "":
		s.print([]rune(text)[0])
	default:
		return final == "m"
	}
	return true
}

func (s *screen) newline() {
	if s.y++; s.y == len(s.lines) {
		s.lines = append(s.lines, nil)
	}
	s.top = max(s.top, s.y-s.size.height+1)
}

func (s *screen) print(r rune) {
	if s.x >= s.size.width {
		if s.x = s.size.width - 1; !s.noWrap {
			s.x = 0
			s.newline()
		}
	}
	line := &s.lines[s.y]
	for len(*line) <= s.x {
		*line = append(*line, ' ')
	}
	(*line)[s.x] = r
	s.x++
}

// String is the text in the window and the text that has scrolled out above the window.
func (s *screen) String() string {
	var lines []string
	for _, line := range s.lines {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return strings.Join(lines, "\n")
}

// screenSession is a terminal session that checks the rendered screen instead of the output.
type screenSession struct {
	*terminalSession
	sizes []windowSize
}

func openScreen(t *testing.T) *screenSession {
	testenv.Need(t, "bash")
	s := newScreenSession(interactive(t))
	s.run("stty noflsh; echo o''k", "ok\r\n$ ") // with noflsh a key such as Ctrl-C does not discard output
	return s
}

func newScreenSession(terminal *terminalSession) *screenSession {
	s := &screenSession{terminalSession: terminal}
	s.resize(80, 24)
	s.t.Cleanup(func() { // a hangup does not end a watch
		s.control(func(fd int) error {
			group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
			if err == nil && group > 1 {
				_ = unix.Kill(-group, unix.SIGKILL)
			}
			return nil
		})
	})
	return s
}

// control calls the function f with the terminal's descriptor.
func (s *screenSession) control(f func(fd int) error) {
	s.t.Helper()
	conn, err := s.master.SyscallConn()
	if err == nil {
		_ = conn.Control(func(fd uintptr) { err = f(int(fd)) })
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *screenSession) resize(width, height int) {
	s.t.Helper()
	s.sizes = append(s.sizes, windowSize{s.seen.Len(), width, height})
	s.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(width), Row: uint16(height)})
	})
}

// see waits until the screen is as described and returns it.
func (s *screenSession) see(want string) *screen {
	s.t.Helper()
	pattern := regexp.MustCompile(want)
	_ = s.master.SetReadDeadline(time.Now().Add(patience))
	for buf := make([]byte, 4096); ; {
		now := render(s.t, s.seen.String(), s.sizes)
		if pattern.MatchString(now.String()) {
			return now
		}
		n, err := s.master.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("%v while waiting for %q; the screen:\n%s", err, want, now)
		}
	}
}

// TestWatchTableAtATerminal uses the table as a person does.
func TestWatchTableAtATerminal(t *testing.T) {
	t.Parallel()
	tool, dir := requireTools(t).checked, t.TempDir()
	server := startServer(t, dir)
	policy := writeFile(t, dir+"/policy.toml", fmt.Sprintf(`budget = {interval = "10ms", settle = "0s", breach = "1/1"}
[service.server]
match.exe = %q
budget.virtual = "1KiB"
[service.absent]
budget.resident = "8MiB"
`, server.Path))
	s := openScreen(t)
	s.write("TERM=xterm " + tool + " watch --services --policy " + policy + " --state " + dir + "/state\n")
	const absent = `absent +0 +resident +- +8 MiB +- +not running\n\d\d:\d\d:\d\d; Ctrl-C ends the watch$`
	running := `\n\nSERVICE +PROCESSES +METRIC +VALUE +LIMIT +USED +STATE\nserver +1 +virtual +[\d.]+ MiB +1 KiB +\d+% +breach\n` + absent
	now := s.see(fmt.Sprintf(`\narenacap: server\[%d\]: breach: virtual [^\x00]*`, server.Process.Pid) + running)
	if now.x != 0 || string(now.lines[now.y]) != "" || string(now.lines[now.y+1][:7]) != "SERVICE" {
		t.Errorf("the cursor is not on the empty line above the table, but on line %d", now.y)
	}

	s.resize(20, 24)
	now = s.see(`\n\n\S+  STATE\nserver  breach\nabsent  not running\n\d\d:\d\d:\d\d; Ctrl-C en$`)
	if i := slices.IndexFunc(now.lines[now.y:], func(line []rune) bool { return len(line) >= 20 }); i >= 0 {
		t.Errorf("%q fills the window's last column", string(now.lines[now.y+i]))
	}
	s.resize(80, 5)
	s.see(`\n\nSERVICE [^\n]*\nserver [^\n]* breach\nand 1 more; [^\n]*$`)
	s.resize(80, 24)
	s.see(running)

	s.stop()
	if now := s.see(`\n\$$`).String(); strings.Contains(now, "not running") {
		t.Errorf("the table is still there while the watch is stopped:\n%s", now)
	}
	s.write("fg\n")
	s.see(running)
	_ = server.Process.Kill()
	s.see(`\n\nSERVICE [^\n]*\nserver +0 +virtual +- +1 KiB +- +not running\n` + absent)
	s.write(keyInterrupt)
	now = s.see(`\narenacap: absent: watch-ended: [^$]*\n\$$`)
	if strings.Contains(now.String(), "not running") || now.noWrap {
		t.Errorf("something of the table is left:\n%s", now)
	}
}

// The table of a watch of a process goes away with the process. The stop key has no effect where no shell would
// continue the watch, as in a container.
func TestWatchTableOfAProcess(t *testing.T) {
	t.Parallel()
	server := startServer(t, t.TempDir())
	s := newScreenSession(startBelow(t, "/usr/bin/env", "TERM=xterm", requireTools(t).checked, "watch", "--budget", "1TiB", strconv.Itoa(server.Process.Pid)))
	s.see(fmt.Sprintf(`\n\nPROCESS +PROCESSES +METRIC [^\n]*\nserver\[%d\] +1 +virtual +[\d.]+ MiB +1 TiB +0%% +(settling|ok)\n[^\n]*$`, server.Process.Pid))
	s.write(keyStop)
	s.expect("^Z")
	_ = server.Process.Kill()
	if now := s.see(`: exited: [^$]*\nstatus=0\n$`).String(); strings.Contains(now, "PROCESS") {
		t.Errorf("something of the table is left:\n%s", now)
	}
}

// TestWatchWithoutATable: there is no table under NO_COLOR or TERM=dumb, with -q, for JSON events, and if stderr is a
// pipe.
func TestWatchWithoutATable(t *testing.T) {
	t.Parallel()
	server, dir := startServer(t, t.TempDir()), t.TempDir()
	budget := `budget = {virtual = "1KiB", interval = "10ms", settle = "0s", breach = "1/1"}` + "\n"
	text, json := writeFile(t, dir+"/text.toml", budget), writeFile(t, dir+"/json.toml", budget+`log.format = "json"`)
	for _, how := range []string{"TERM=dumb %s watch --policy " + text, "NO_COLOR=1 TERM=xterm %s watch --policy " + text,
		"TERM=xterm %s watch -q --policy " + text, "TERM=xterm %s watch --policy " + json, "TERM=xterm pipe %s watch --policy " + text} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := openScreen(t)
			s.run(`pipe() { "$@" 2>&1 | (trap '' INT; cat); }; echo o''k`, "ok\r\n")
			s.write(fmt.Sprintf(how+" %d\n", requireTools(t).checked, server.Process.Pid))
			s.expect("breach")
			s.key(keyInterrupt)
			if strings.Contains(s.seen.String(), "\x1b") || !strings.Contains(s.seen.String(), "watch-ended") {
				t.Errorf("the screen:\n%q", s.seen.String())
			}
		})
	}
}

// startServer starts a process named server. Its program is a copy of sleep, so that match.exe selects this process
// only.
func startServer(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	program := dir + "/server"
	if text, err := exec.Command("cp", "/bin/sleep", program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	cmd := exec.Command(program, "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}
