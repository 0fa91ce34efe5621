package inspect

import (
	"bufio"
	"io"
	"os"
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

// probeSource is a program that makes threads, arenas and heaps on command.
const probeSource = "../arena/testdata/probe.c"

// build compiles a C program or library that every user may use.
func build(t testing.TB, compiler, source string, flags ...string) string {
	t.Helper()
	return built.Program(t, compiler, source, flags...)
}

// program is a running test program. It prints "ok" when it is ready, and after the answer to each command.
type program struct {
	t       testing.TB
	process *os.Process
	in      *os.File
	out     *bufio.Reader
	said    *os.File // the process's stderr
}

// start starts argv with exactly this environment, duplicates included.
func start(t testing.TB, env []string, argv ...string) *program {
	t.Helper()
	inside, in := pipe(t)
	out, outside := pipe(t)
	said, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Env: env, Files: []*os.File{inside, outside, said}})
	if err != nil {
		t.Fatal(err)
	}
	inside.Close()
	outside.Close()
	p := &program{t: t, process: process, in: in, out: bufio.NewReader(out), said: said}
	t.Cleanup(p.end)
	p.answer()
	return p
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// end ends the program; it may be called before the end of the test.
func (p *program) end() {
	if p.in == nil {
		return
	}
	p.in.Close()
	p.said.Close()
	p.in = nil
	_ = p.process.Kill()
	_, _ = p.process.Wait()
}

// do sends commands and returns the answer to the last one.
func (p *program) do(commands ...string) (answer string) {
	p.t.Helper()
	for _, command := range commands {
		if _, err := io.WriteString(p.in, command+"\n"); err != nil {
			p.t.Fatalf("%s: %v", command, err)
		}
		answer = p.answer()
	}
	return answer
}

func (p *program) answer() string {
	p.t.Helper()
	var all strings.Builder
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			said, _ := os.ReadFile(p.said.Name())
			p.t.Fatalf("the test program ended (%v) after it wrote %q to stdout and %q to stderr", err, all.String(), said)
		}
		if line == "ok\n" {
			return all.String()
		}
		all.WriteString(line)
	}
}
