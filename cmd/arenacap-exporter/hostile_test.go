package main

// These tests have hostile clients and processes, and a policy that vanishes.

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"arenacap/launcher/metrics"
)

// While clients send twenty requests of 10 MB, and other clients never end a request, read no answer or send bytes of
// another protocol, the exporter answers ten more clients and takes at most 100 MB more memory.
func TestHostileClients(t *testing.T) {
	e := start(t)
	e.get(t, "/metrics")
	before := peak(t, e.pid)
	const size = 10_000_000
	large := strings.Repeat("x", size)
	requests := []string{"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x00\xff\xfe\r\n\r\n"}
	for range 10 {
		requests = append(requests, "GET /metrics?"+large+" HTTP/1.1\r\nHost: x\r\n\r\n",
			fmt.Sprintf("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)+large)
	}
	var clients sync.WaitGroup
	for _, request := range requests {
		c, err := net.Dial("tcp", e.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		clients.Go(func() { _, _ = io.WriteString(c, request) }) // the exporter may close the connection meanwhile
	}
	for range 10 {
		clients.Go(func() {
			if status, body := e.get(t, "/metrics"); status != 200 || !strings.Contains(body, "arenacap_build_info") {
				t.Errorf("status %d: %s", status, body)
			}
		})
	}
	clients.Wait()
	if grown := peak(t, e.pid) - before; grown > 10*size {
		t.Errorf("20 requests of %d bytes took %d bytes", size, grown)
	}
}

// peak is the peak resident memory of a process in bytes, from the line "VmHWM:	    1234 kB" (proc_pid_status(5)).
func peak(t *testing.T, pid int) int {
	t.Helper()
	return number(t, fmt.Sprintf("/proc/%d/status", pid), "VmHWM:") << 10
}

// number returns the number after a name in a file.
func number(t *testing.T, file, name string) (n int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name)
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("%s in %s: %v", name, text, err)
	}
	return n
}

// Clients that send or read a byte at a time lose their connections when the time for a request or an answer is over.
// Each case divides its timeout by 100.
func TestSlowClients(t *testing.T) {
	// This answer is longer than the kernel's buffers hold.
	long := []metrics.Family{{Name: "arenacap_x", Help: "X.", Samples: []metrics.Sample{{Labels: []string{"group", strings.Repeat("x", 16<<20)}, Value: 1}}}}
	for name, test := range map[string]struct {
		request  string // sent at once
		families []metrics.Family
		shorten  func(*http.Server)
		next     func(net.Conn) error // sends or reads one byte
	}{
		"a header":  {"GET /metrics HTTP/1.1\r\nX: ", oneFamily, shortRead, sendByte},
		"a body":    {"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", oneFamily, shortRead, sendByte},
		"an answer": {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", long, func(s *http.Server) { s.WriteTimeout /= 100 }, readByte},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, closed := serveOne(t, test.families, test.shorten)
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, test.request); err != nil {
				t.Fatal(err)
			}
			every, end := time.NewTicker(10*time.Millisecond), time.After(patience)
			defer every.Stop()
			for {
				select {
				case <-closed:
					return
				case <-end:
					t.Fatal("the connection is still open")
				case <-every.C:
					_ = test.next(c) // fails once the exporter has closed the connection
				}
			}
		})
	}
}

func shortRead(s *http.Server) { s.ReadTimeout /= 100 }

func sendByte(c net.Conn) error {
	_, err := c.Write([]byte("x"))
	return err
}

func readByte(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

// serveOne serves the families with changed timeouts. The returned channel receives a value for each connection that the
// server closes.
func serveOne(t *testing.T, families []metrics.Family, change func(*http.Server)) (address string, closed <-chan bool) {
	t.Helper()
	h := newTestHost(func(context.Context, metrics.Options) ([]metrics.Family, []error, error) { return families, nil, nil })
	server, err := newServer(h, "/metrics", h.log)
	if err != nil {
		t.Fatal(err)
	}
	change(server)
	ended := make(chan bool, 10)
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			ended <- true
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String(), ended
}

// probe is a running launcher/arena/testdata/probe.c: it has threads, arenas and forged heaps on command.
type probe struct {
	t   *testing.T
	pid int
	in  io.Writer
	out *bufio.Reader
}

// startProbe starts the probe under a name with a cap of five arenas, and with these variables and arguments.
func startProbe(t *testing.T, name string, env []string, args ...string) *probe {
	t.Helper()
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(built.Program(t, "gcc", "../../launcher/arena/testdata/probe.c", "-ldl"), link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(link, args...)
	cmd.Env = append(env, "MALLOC_ARENA_MAX=5")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := &probe{t, cmd.Process.Pid, in, bufio.NewReader(out)}
	p.answer()
	p.do("threads 5 100")
	return p
}

func (p *probe) do(command string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		p.t.Fatal(err)
	}
	p.answer()
}

func (p *probe) answer() {
	p.t.Helper()
	if line, err := p.out.ReadString('\n'); err != nil || line != "ok\n" {
		p.t.Fatalf("the probe printed %q (%v), want ok", line, err)
	}
}

// switches is the number of context switches of all threads, each of which sleeps. Each stop of a thread causes one
// (proc_pid_status(5)).
func (p *probe) switches() (n int) {
	p.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, file := range files {
		awaitText(p.t, file, "\nState:\tS (sleeping)\n")
		n += number(p.t, file, "\nvoluntary_ctxt_switches:") + number(p.t, file, "nonvoluntary_ctxt_switches:")
	}
	return n
}

// awaitText waits until a file in /proc contains a text.
func awaitText(t *testing.T, file, want string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in %s", want, text)
		}
	}
}

// seriesOf returns the lines of a group, except those whose value the kernel may change at any time: it may reclaim memory,
// or merge pages into huge ones.
func seriesOf(body, group string) []string {
	lines := regexp.MustCompile(`(?m)^arenacap_\w+\{group="`+regexp.QuoteMeta(group)+`"[,}].*`).FindAllString(body, -1)
	return slices.DeleteFunc(lines, func(line string) bool {
		return strings.Contains(line, "resident_bytes{") || strings.Contains(line, "huge_bytes{")
	})
}

// A process with a hostile name and a thousand forged heaps changes no series of another process and adds no group. It
// makes the exporter use at most 32 MiB more memory. The exporter shows nothing of that process's command line and
// environment, and does not stop the other process.
func TestHostileNeighbours(t *testing.T) {
	e := start(t, "--group-by", "name", "--scrape-timeout", "1m")
	name := fmt.Sprintf("honest-%d", os.Getpid())
	honest := startProbe(t, name, nil)
	forged := startProbe(t, fmt.Sprintf("f\n\"\\\x1b\xff}%d", os.Getpid()), []string{"SECRET=variable-9d1c"}, "argument-9d1c\n\"", "x 1\narenacap_arenas{group=\"forged\"} 7")
	group := fmt.Sprintf("f\uFFFD\\\"\\\\\uFFFD\uFFFD}%d", os.Getpid()) // its name, as a label value of the text format
	_, before := e.get(t, "/metrics")
	waited, memory := honest.switches(), peak(t, e.pid)
	const headers = 1000
	forged.do("forge")
	forged.do("headers " + strconv.Itoa(headers))
	_, after := e.get(t, "/metrics")
	if was, is := seriesOf(before, name), seriesOf(after, name); !slices.Equal(was, is) || !slices.Contains(is, `arenacap_cap_kept{group="`+name+`"} 1`) {
		t.Errorf("the other process has %q, before the forgery %q", is, was)
	}
	for _, body := range []string{before, after} {
		if !strings.Contains(body, `arenacap_arenas{group="`+group+`"} 5`+"\n") || strings.Contains(body, "9d1c") || seriesOf(body, "forged") != nil {
			t.Errorf("the forging process has %q in %s", seriesOf(body, group), body)
		}
	}
	if grown := peak(t, e.pid) - memory; grown > 32<<20 {
		t.Errorf("%d forged heaps took %d bytes", headers, grown)
	}
	if n := honest.switches() - waited; n != 0 {
		t.Errorf("%d context switches of a waiting process: the exporter stopped it", n)
	}
	// The loop shows that stopping a process causes context switches, so the check above can fail.
	for end := time.Now().Add(patience); honest.switches() == waited; honest.stop() {
		if time.Now().After(end) {
			t.Fatal("no context switch after a stop")
		}
	}
	promtoolAccepts(t, after)
}

// stop stops the process and continues it.
func (p *probe) stop() {
	p.t.Helper()
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := syscall.Kill(p.pid, sig); err != nil {
			p.t.Fatal(err)
		}
	}
}

// If the policy vanishes or has a mistake, the services stay as they were. A valid policy counts at the next scrape.
func TestPolicyVanishes(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "policy.toml"), "[service.first]\n")
	var log bytes.Buffer
	h := newHost(file, time.Minute, slog.New(slog.NewTextHandler(&log, nil)))
	var services []string
	h.look = func(_ context.Context, o metrics.Options) ([]metrics.Family, []error, error) {
		services = nil
		for _, p := range o.Plans {
			services = append(services, p.Policy.Service)
		}
		return oneFamily, nil, nil
	}
	scrape := func(want string) {
		t.Helper()
		if <-h.join().done; !slices.Equal(services, []string{want}) {
			t.Errorf("the services are %q, want %q", services, want)
		}
	}
	scrape("first")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	scrape("first")
	scrape("first")
	writeFile(t, file, "[budgt]\n")
	scrape("first")
	writeFile(t, file, "[service.second]\n")
	scrape("second")
	if n := strings.Count(log.String(), "the new policy was rejected, the old one remains in force: "); n != 2 {
		t.Errorf("%d log lines about the policy, want one for each of two mistakes: %s", n, &log)
	}
}
