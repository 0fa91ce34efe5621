package arena

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"arenacap/launcher/testenv"
)

var built testenv.Compiled

func TestMain(m *testing.M) {
	testenv.Reset()
	status := m.Run()
	built.Remove()
	os.Exit(status)
}

// compile builds a C program with gcc.
func compile(t testing.TB, source string, flags ...string) string {
	t.Helper()
	return built.Program(t, "gcc", source, append(flags, "-ldl")...)
}

// program is a running test program. It reads one command a line and answers when the command is done.
type program struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs the program with PATH and these variables as its only environment.
func start(t testing.TB, env []string, argv ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	p.answer()
	return p
}

func (p *program) pid() int { return p.cmd.Process.Pid }

// do sends a command and returns the program's answer up to the line "ok".
func (p *program) do(command string) string {
	p.t.Helper()
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		p.t.Fatalf("%s: %v", command, err)
	}
	return p.answer()
}

func (p *program) answer() string {
	p.t.Helper()
	var all strings.Builder
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			p.t.Fatalf("the test program ended (%v) after it wrote %q", err, all.String())
		}
		if line == "ok\n" {
			return all.String()
		}
		all.WriteString(line)
	}
}

// number returns the decimal number in text right after the first occurrence of the string label.
func number(t testing.TB, text, label string) uint64 {
	t.Helper()
	_, rest, ok := strings.Cut(text, label)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if !ok || end < 1 {
		t.Fatalf("no number after %q in %q", label, text)
	}
	n, err := strconv.ParseUint(rest[:end], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
