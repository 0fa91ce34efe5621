package watch

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arenacap/launcher/testenv"
	"arenacap/launcher/watch/protocol"
)

// childVariable makes the test binary a child process that obeys commands on its stdin, one per line.
const childVariable = "ARENACAP_TEST_CHILD"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(childVariable) != "":
		obey(os.Stdin)
		os.Exit(0)
	case strings.HasPrefix(os.Args[0], protocol.ProcessName):
		Detached(func(cfg Config, env []string) []string {
			return []string{fmt.Sprintf("judged %s with %d variables, first %s", cfg.Program, len(env), env[0])}
		})
	}
	testenv.Reset()
	testenv.SideBySide(4)
	os.Exit(m.Run())
}

// obey is the main function of the child. It answers each command with one line ("catch" with two), and returns at the
// end of its input.
func obey(in io.Reader) {
	var mapped []byte
	var middle *child
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "map", "touch":
			mapped = mapBytes(words[1], words[0] == "touch")
			fmt.Println("ok")
		case "unmap":
			_ = unix.Munmap(mapped)
			fmt.Println("ok")
		case "catch":
			fmt.Println(catch(words[1:]))
		case "ignore":
			signal.Ignore(unix.SignalNum(words[1]))
			fmt.Println("ok")
		case "fork":
			middle = newLastingChild()
			fmt.Println(middle.cmd.Process.Pid)
		case "tell": // passes a command on to the child's own child
			fmt.Println(middle.mustAsk(strings.Join(words[1:], " ")))
		case "name":
			_ = os.WriteFile("/proc/self/comm", []byte(strings.Join(words[1:], " ")), 0)
			fmt.Println("ok")
		case "quotedname": // the name is given as strconv.Quote writes it
			name, _ := strconv.Unquote(strings.TrimPrefix(lines.Text(), words[0]+" "))
			_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
			fmt.Println("ok")
		case "leave": // this process ends at once; its children continue to run
			fmt.Println("ok")
			os.Exit(0)
		case "attach":
			pid, _ := strconv.Atoi(words[1])
			_, err := Attach(pid)
			fmt.Println(err)
		case "reap":
			_ = middle.cmd.Wait()
			fmt.Println("ok")
		}
	}
}

func mapBytes(size string, touch bool) []byte {
	n, err := strconv.Atoi(size)
	if err != nil {
		panic(err)
	}
	prot := unix.PROT_NONE
	if touch {
		prot = unix.PROT_READ | unix.PROT_WRITE
	}
	m, err := unix.Mmap(-1, 0, n, prot, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		panic(err)
	}
	for i := 0; touch && i < n; i += os.Getpagesize() {
		m[i] = 1
	}
	return m
}

// catch prints that it is ready, waits for one of these signals, and returns its number.
func catch(names []string) string {
	c := make(chan os.Signal, 1)
	for _, name := range names {
		sig, err := parseSignal(name)
		if err != nil {
			panic(err)
		}
		signal.Notify(c, sig)
	}
	fmt.Println("ready")
	return strconv.Itoa(int((<-c).(syscall.Signal)))
}

type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func newChild() *child {
	c := &child{cmd: exec.Command("/proc/self/exe")}
	c.cmd.Env = []string{childVariable + "=1", "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0", "MALLOC_ARENA_MAX=4"}
	c.cmd.Stderr = os.Stderr
	return c.start()
}

// newLastingChild returns a child that does not end with its parent, because it has the write end of its own input
// open.
func newLastingChild() *child {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	c := &child{cmd: exec.Command("/proc/self/exe"), in: w}
	c.cmd.Env, c.cmd.Stdin, c.cmd.ExtraFiles = os.Environ(), r, []*os.File{w}
	out, err1 := c.cmd.StdoutPipe()
	if err := c.cmd.Start(); err != nil || err1 != nil {
		panic(fmt.Sprint(err, err1))
	}
	c.out = bufio.NewReader(out)
	return c
}

func (c *child) start() *child {
	in, err1 := c.cmd.StdinPipe()
	out, err2 := c.cmd.StdoutPipe()
	if err := c.cmd.Start(); err != nil || err1 != nil || err2 != nil {
		panic(fmt.Sprint(err, err1, err2))
	}
	c.in, c.out = in, bufio.NewReader(out)
	return c
}

func (c *child) mustAsk(command string) string {
	if _, err := io.WriteString(c.in, command+"\n"); err != nil {
		panic(err)
	}
	return c.answer()
}

func (c *child) answer() string {
	line, err := c.out.ReadString('\n')
	if err != nil {
		panic(fmt.Sprintf("the child did not answer: %v", err))
	}
	return strings.TrimSuffix(line, "\n")
}

// startChild starts a child that ends with the test.
func startChild(t testing.TB) *child {
	t.Helper()
	c := newChild()
	t.Cleanup(func() {
		_ = c.in.Close()
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	})
	c.mustAsk("ignore SIGPIPE") // the child's answer shows that the child runs
	return c
}

func (c *child) ask(t testing.TB, command, want string) {
	t.Helper()
	if got := c.mustAsk(command); got != want {
		t.Fatalf("%s: the child says %q, want %q", command, got, want)
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// mustFork makes the child start a child of its own, which ends with the test.
func mustFork(t testing.TB, c *child, command string) *process {
	t.Helper()
	pid, err := strconv.Atoi(c.mustAsk(command))
	if err != nil {
		t.Fatal(err)
	}
	p, err := hold(pid, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.signal(syscall.SIGKILL)
		p.release()
	})
	return p
}

// kill ends the child and reaps it.
func (c *child) kill(t testing.TB) syscall.WaitStatus {
	t.Helper()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	return c.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// patience limits each wait; only a failing test reaches it.
const patience = 30 * time.Second
