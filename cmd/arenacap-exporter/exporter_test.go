package main

// These tests run the exporter as a program, and its code with a fake host. hostile_test.go has the tests with hostile
// clients and processes.

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"arenacap/launcher/metrics"
	"arenacap/launcher/testenv"
)

// patience bounds the wait for an event. On an idle machine the events come at once.
const patience = time.Minute

const asExporter = "ARENACAP_TEST_EXPORTER"

// TestMain runs the exporter instead of the tests if the variable asExporter is set.
func TestMain(m *testing.M) {
	if os.Getenv(asExporter) != "" {
		main()
	}
	testenv.Reset()
	status := m.Run()
	built.Remove()
	os.Exit(status)
}

var built testenv.Compiled

// exporter is a running exporter.
type exporter struct {
	address string
	pid     int
	log     *lockedBuffer
	end     func() // kills the exporter, and waits for the rest of its log
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

var listening = regexp.MustCompile(`"?address"?[=:]"?(127\.0\.0\.1:\d+)`)

// start starts the exporter on a free port and waits until it listens.
func start(t *testing.T, flags ...string) *exporter {
	t.Helper()
	return startAs(t, nil, flags...)
}

// startAs starts the exporter like the function "start", with the user and the capabilities that attr gives.
func startAs(t *testing.T, attr *syscall.SysProcAttr, flags ...string) *exporter {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", append([]string{"--web.listen-address", "127.0.0.1:0", "--scrape-timeout", "1s"}, flags...)...)
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), asExporter+"=1"), attr
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &exporter{pid: cmd.Process.Pid, log: &lockedBuffer{}}
	found, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(e.log, lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil && len(found) == 0 {
				found <- m[1]
			}
		}
	}()
	e.end = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	t.Cleanup(e.end)
	select {
	case e.address = <-found:
	case <-ended:
		t.Fatalf("the exporter has ended: %s", e.log)
	case <-time.After(patience):
		t.Fatalf("the exporter does not listen: %s", e.log)
	}
	return e
}

// get returns the status and the body of a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (e *exporter) get(t *testing.T, path string) (int, string) {
	t.Helper()
	return get(t, "http://"+e.address+path)
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPages(t *testing.T) {
	e := start(t)
	status, body := e.get(t, "/metrics")
	if status != 200 || !strings.Contains(body, "\narenacap_build_info{goversion=\"go") || !strings.Contains(body, "\narenacap_unreadable_processes ") {
		t.Errorf("status %d: %s", status, body)
	}
	if regexp.MustCompile(`(?m)^[^#\n]*\bpid=`).MatchString(body) {
		t.Errorf("a label is a PID: %s", body)
	}
	if status, body := e.get(t, "/"); status != 200 || !strings.Contains(body, `href="metrics"`) && !strings.Contains(body, `href="/metrics"`) {
		t.Errorf("the landing page: status %d: %s", status, body)
	}
	for path, want := range map[string]int{"/etc/passwd": 404, "/metrics/x": 404, "/debug/pprof/": 404, "/-/reload": 404} {
		if status, _ := e.get(t, path); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		request, _ := http.NewRequest(method, "http://"+e.address+"/metrics", strings.NewReader("x"))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != 405 {
			t.Errorf("%s: status %d, want 405", method, response.StatusCode)
		}
	}
	promtoolAccepts(t, body)
}

func promtoolAccepts(t *testing.T, body string) {
	t.Helper()
	testenv.Need(t, "promtool")
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(body)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v: %s", err, out)
	}
}

// certificate writes a certificate of 127.0.0.1 and its key to a folder, and returns a client that trusts it.
func certificate(t *testing.T, dir string) *http.Client {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	writeFile(t, dir+"/server.crt", string(text))
	writeFile(t, dir+"/server.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// TestWebConfig sets TLS and a password with --web.config.file. The hash is that of "alice123", with bcrypt's lowest cost.
func TestWebConfig(t *testing.T) {
	dir := t.TempDir()
	client := certificate(t, dir)
	config := writeFile(t, dir+"/web.yml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"+
		"basic_auth_users: {alice: $2a$04$3HnBZEduUXBT36UETuZYNubqKqXgHc6tBVOTiYRwZy2JeJsNad9KC}\n")
	e := start(t, "--web.config.file", config)
	for password, want := range map[string]int{"alice123": 200, "alice1234": 401} {
		request, _ := http.NewRequest("GET", "https://"+e.address+"/metrics", nil)
		request.SetBasicAuth("alice", password)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != want {
			t.Errorf("password %q: status %d, want %d", password, response.StatusCode, want)
		}
	}
	if status, _ := e.get(t, "/metrics"); status != 400 {
		t.Errorf("without TLS: status %d, want 400", status)
	}
}

// TestSystemdSocket passes a listening socket to the exporter as systemd does (sd_listen_fds(3)).
func TestSystemdSocket(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --web.systemd-socket`, own)
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), asExporter+"=1"), []*os.File{file}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if status, body := get(t, "http://"+listener.Addr().String()+"/metrics"); status != 200 || !strings.Contains(body, "arenacap_build_info") {
		t.Errorf("status %d: %s", status, body)
	}
}

// As the user nobody, the exporter reads root's processes with the two capabilities of its unit; without capabilities
// it counts processes as unreadable.
func TestRights(t *testing.T) {
	testenv.NeedRoot(t)
	name := fmt.Sprintf("others-%d", os.Getpid())
	startProbe(t, name, nil)
	for _, test := range []struct {
		capabilities []uintptr
		sees         bool
	}{{nil, false}, {[]uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}, true}} {
		e := startAs(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: test.capabilities}, "--group-by", "name", "--scrape-timeout", "1m")
		status, body := e.get(t, "/metrics")
		unreadable := regexp.MustCompile(`(?m)^arenacap_unreadable_processes [1-9]`).MatchString(body)
		if sees := seriesOf(body, name) != nil; status != 200 || sees != test.sees || !sees && !unreadable {
			t.Errorf("with the capabilities %v: status %d: %s", test.capabilities, status, body)
		}
		e.end()
	}
}

// The default address is reachable from this machine only.
func TestDefaultAddress(t *testing.T) {
	if host, _, err := net.SplitHostPort(defaultAddress); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("%s, %v", defaultAddress, err)
	}
	if got := fmt.Sprint(flags()[0].(*cli.StringSliceFlag).Value.Value()); got != "["+defaultAddress+"]" {
		t.Errorf("the default of --web.listen-address is %s", got)
	}
}

// TestLogFormat checks the two formats of the log.
func TestLogFormat(t *testing.T) {
	for format, want := range map[string]string{"logfmt": " level=INFO msg=starting version=", "json": `,"level":"INFO","msg":"starting","version":`} {
		e := start(t, "--log.format", format)
		e.end()
		for line := range strings.Lines(e.log.String()) {
			if json.Valid([]byte(line)) != (format == "json") {
				t.Errorf("%s: %s", format, line)
			}
		}
		if !strings.Contains(e.log.String(), want) {
			t.Errorf("%s: no %s in %s", format, want, e.log)
		}
	}
}

// A scrape that runs out of time returns what was read until then, and logs the timeout.
func TestScrapeTimeout(t *testing.T) {
	e := start(t, "--scrape-timeout", "1ns")
	status, body := e.get(t, "/metrics")
	if status != 200 || !regexp.MustCompile(`(?m)^arenacap_unreadable_processes [1-9]`).MatchString(body) {
		t.Errorf("status %d: %s", status, body)
	}
	e.end()
	if log := e.log.String(); !strings.Contains(log, "the scrape timed out ") {
		t.Errorf("the log is %s", log)
	}
}

func newTestHost(look func(context.Context, metrics.Options) ([]metrics.Family, []error, error)) *host {
	h := newHost("", time.Minute, slog.New(slog.DiscardHandler))
	h.look = look
	return h
}

var oneFamily = []metrics.Family{{Name: "arenacap_x", Help: "X.", Samples: []metrics.Sample{{Labels: []string{"group", "a\n\"b"}, Value: 1}}}}

// Clients that come while the host is being read share the result.
func TestSharedLook(t *testing.T) {
	var looks, waiting atomic.Int32
	release := make(chan struct{})
	h := newTestHost(func(context.Context, metrics.Options) ([]metrics.Family, []error, error) {
		looks.Add(1)
		<-release
		return oneFamily, nil, nil
	})
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			r := h.join()
			if waiting.Add(1) == 10 {
				close(release)
			}
			if <-r.done; len(r.families) != 1 {
				t.Error("no series")
			}
		})
	}
	clients.Wait()
	if n := looks.Load(); n != 1 {
		t.Errorf("the host was read %d times for 10 clients, want 1", n)
	}
	<-h.join().done
	if n := looks.Load(); n != 2 {
		t.Errorf("the host was read %d times after a later client, want 2", n)
	}
}

// If the host cannot be read, there are no series and the status is 500. If the scrape timed out, the series are there.
func TestFailedLook(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want int
	}{"no host": {errors.New("cannot list the processes"), 500}, "too late": {nil, 200}} {
		t.Run(name, func(t *testing.T) {
			h := newTestHost(func(context.Context, metrics.Options) ([]metrics.Family, []error, error) {
				return oneFamily, []error{errors.New("the scrape timed out")}, test.err
			})
			server, err := newServer(h, "/metrics", h.log)
			if err != nil {
				t.Fatal(err)
			}
			web := httptest.NewServer(server.Handler)
			defer web.Close()
			status, body := get(t, web.URL+"/metrics")
			if has := strings.Contains(body, `arenacap_x{group="a\n\"b"} 1`); status != test.want || has != (test.want == 200) {
				t.Errorf("status %d: %s", status, body)
			}
		})
	}
}

func TestWrongUse(t *testing.T) {
	for line, want := range map[string]string{
		"--version":                     "0 arenacap-exporter ",
		"--help":                        "0 NAME:",
		"--nonsense":                    "2 arenacap-exporter: flag provided but not defined: -nonsense",
		"operand":                       `2 arenacap-exporter: the exporter takes no operands; remove "operand"`,
		"--log.level=loud":              `2 arenacap-exporter: --log.level: unknown level "loud"; write debug, info, warn or error`,
		"--log.format=xml":              `2 arenacap-exporter: --log.format: unknown format "xml"; write logfmt or json`,
		"--group-by=pid":                `2 arenacap-exporter: --group-by: unknown key "pid"; write service, unit, name`,
		"--scrape-timeout=0s":           "2 arenacap-exporter: --scrape-timeout: 0s is too short; write for example 8s",
		"--web.telemetry-path=x":        `2 arenacap-exporter: --web.telemetry-path: "x" is not a path below "/"; write for example /metrics`,
		"--policy=/nowhere/policy.toml": "1 arenacap-exporter: ",
	} {
		var out, errs bytes.Buffer
		status := run([]string{name, line}, &out, &errs)
		if got := fmt.Sprint(status, " ", out.String()+errs.String()); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// TestManual checks that the page has every flag with its default, and no other.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("arenacap-exporter.8")
	if err != nil {
		t.Fatal(err)
	}
	_, options, _ := strings.Cut(strings.ReplaceAll(string(text), `\-`, "-"), "\n.Sh OPTIONS\n")
	options, _, _ = strings.Cut(options, "\n.Sh ")
	documented := map[string]string{}
	for _, item := range strings.Split(options, "\n.It Fl -")[1:] {
		head, body, _ := strings.Cut(item, "\n")
		documented[strings.Fields(head)[0]] = body
	}
	app := newApp(io.Discard, io.Discard)
	app.Setup()
	for _, f := range app.VisibleFlags() {
		flag, name := f.(cli.DocGenerationFlag), f.Names()[0]
		body, ok := documented[name]
		value := strings.Trim(flag.GetValue(), `"`)
		if !ok || flag.TakesValue() && value != "" && !strings.Contains(body, "The default is "+value+".") {
			t.Errorf("--%s, with the default %q, is in the page with %q", name, value, body)
		}
		delete(documented, name)
	}
	if len(documented) > 0 {
		t.Errorf("the page has flags that do not exist: %q", documented)
	}
}
