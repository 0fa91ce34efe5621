package lab

// This file starts examples/authserver, loads it and reads its report.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// AuthServer is a running examples/authserver and a connection to it.
type AuthServer struct {
	*Process
	conn   net.Conn
	answer *bufio.Scanner
}

// Report is the server's report. It counts arenas with malloc_info(3).
type Report struct {
	Glibc                   string
	Threads, Logins, Arenas int
	Virtual, Resident       uint64 // bytes
}

// Programs builds arenacap and the authserver in dir, for a test of an example that starts the authserver with arenacap.
func Programs(t testing.TB, dir string) (arenacap, server string) {
	t.Helper()
	arenacap, err := Arenacap(dir)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = CompileAuthServer(t.Context(), "../authserver/src/authserver.c", dir); err != nil {
		t.Fatal(err)
	}
	return arenacap, server
}

// CompileAuthServer compiles the source into the folder and returns the program's path.
func CompileAuthServer(ctx context.Context, source, dir string) (string, error) {
	path := filepath.Join(dir, "authserver")
	return path, run(exec.CommandContext(ctx, "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", path, source))
}

// StartAuthServer starts the program and connects to it. The words of prefix, if any, precede the program in the command
// line.
func StartAuthServer(ctx context.Context, program string, prefix []string, env ...string) (*AuthServer, error) {
	socket := filepath.Join(filepath.Dir(program), "auth.sock")
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) { // a killed server leaves its socket
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-t", "128", "-s", socket)
	cmd.Env = append(os.Environ(), env...)
	p, err := Start(cmd, prefix)
	if err != nil {
		return nil, err
	}
	a, err := connectAuthServer(ctx, p, socket)
	if err != nil {
		p.Kill()
	}
	return a, err
}

// connectAuthServer waits until a started server prints that it is ready, and connects to it.
func connectAuthServer(ctx context.Context, p *Process, socket string) (*AuthServer, error) {
	if _, err := p.AwaitText(ctx, " threads, ready"); err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	return &AuthServer{p, conn, bufio.NewScanner(conn)}, conn.SetDeadline(deadline)
}

func (a *AuthServer) ask(format string, args ...any) (string, error) {
	line := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(a.conn, line); err != nil {
		return "", err
	}
	if !a.answer.Scan() {
		return "", fmt.Errorf("%q: no answer: %v", line, a.answer.Err())
	}
	if text := a.answer.Text(); !strings.HasPrefix(text, "error") {
		return text, nil
	}
	return "", fmt.Errorf("%q: %s", line, a.answer.Text())
}

// Login makes the next worker open one session of 1 KiB.
func (a *AuthServer) Login() error {
	_, err := a.ask("login alice")
	return err
}

// Churn makes all workers open and close sessions at the same time, and returns the number per second.
func (a *AuthServer) Churn(rounds int) (perSecond float64, err error) {
	text, err := a.ask("churn %d", rounds)
	if err != nil {
		return 0, err
	}
	var sessions, seconds float64
	if _, err := fmt.Sscanf(text, "ok %g sessions in %g s", &sessions, &seconds); err != nil {
		return 0, fmt.Errorf("%q: %w", text, err)
	}
	return sessions / seconds, nil
}

// Report asks the server about itself.
func (a *AuthServer) Report() (r Report, err error) {
	text, err := a.ask("report")
	if err != nil {
		return r, err
	}
	const format = "glibc %s threads %d sessions %d arenas %d virtual_kib %d resident_kib %d"
	_, err = fmt.Sscanf(text, format, &r.Glibc, &r.Threads, &r.Logins, &r.Arenas, &r.Virtual, &r.Resident)
	if err != nil {
		return r, fmt.Errorf("%q: %w", text, err)
	}
	r.Virtual, r.Resident = r.Virtual<<10, r.Resident<<10
	return r, nil
}

// Stop closes the connection and ends the server.
func (a *AuthServer) Stop(ctx context.Context) (int, error) {
	a.conn.Close()
	return a.Process.Stop(ctx)
}
