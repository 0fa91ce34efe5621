// Package lab starts the servers of the examples, loads them and reads their memory, for the examples' tests and for the
// README's tables.
package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
)

// The servers inherit the same environment in the tests and in the benchmarks.
func init() { testenv.Reset() }

// Dir returns a temporary folder with mode 0755. Other users may enter it, so that servers can run as another user. They
// may not write to it, because arenacap as root refuses a policy file that other users can replace.
func Dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Within returns a context that ends with the test or after the limit. Call it after building programs, because with an
// empty build cache and other builds at the same time, go build alone may take minutes.
func Within(t testing.TB, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// Arenacap builds arenacap into the folder dir, where every user can run it, and returns its path.
func Arenacap(dir string) (string, error) {
	path := filepath.Join(dir, "arenacap")
	return path, testenv.Arenacap(path, nil)
}

// Exporter builds arenacap-exporter into the folder with go run, as testenv.Arenacap does, and returns its path. The
// program is static, as the release is.
func Exporter(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "arenacap-exporter")
	build := exec.CommandContext(ctx, "go", "run", "-exec", "cp", "arenacap/cmd/arenacap-exporter", path)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	return path, run(build)
}

// Copy copies a file of an example into the folder, readable for all users, and replaces texts: pairs alternates old and
// new texts. It fails if an old text is not in the file, because the test would then test something else.
func Copy(from, dir string, pairs ...string) (string, error) {
	text, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	out := string(text)
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(out, pairs[i]) {
			return "", fmt.Errorf("%s: no %q to replace", from, pairs[i])
		}
		out = strings.ReplaceAll(out, pairs[i], pairs[i+1])
	}
	path := filepath.Join(dir, filepath.Base(from))
	return path, os.WriteFile(path, []byte(out), 0o644)
}

// UpBeforeSettle starts a server that must be up before the time `settle` of its budget ends, because growth is measured
// from then on. If the server was too slow, it is stopped and started again with twice the time.
func UpBeforeSettle[S any](settle time.Duration, start func(settle string) (S, error), stop func(S)) (S, error) {
	for ; ; settle *= 2 {
		began := time.Now()
		server, err := start(settle.String())
		if err != nil || time.Since(began) < settle {
			return server, err
		}
		stop(server)
	}
}

// Memory is VmSize and VmRSS of a process in bytes.
func Memory(pid int) (virtual, resident uint64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, 0, err
	}
	s, ok := proc.ParseStatm(text)
	if !ok {
		return 0, 0, fmt.Errorf("/proc/%d/statm: %q", pid, text)
	}
	return s.Size.Bytes(), s.Resident.Bytes(), nil
}

// GlibcLimit returns the number of arenas that glibc uses without a cap on this machine, in a program with the given number
// of threads beside the main thread.
func GlibcLimit(ctx context.Context, threads int) (int, error) {
	// getconf prints "glibc 2.36" as the version and "2" as the number of CPUs. To count the CPUs it calls
	// sysconf(3) of the glibc whose limit is computed.
	out, err := exec.CommandContext(ctx, "getconf", "GNU_LIBC_VERSION").Output()
	if err != nil {
		return 0, fmt.Errorf("getconf GNU_LIBC_VERSION: %w", err)
	}
	g := glibc.Reported(strings.TrimPrefix(strings.TrimSpace(string(out)), "glibc "), 64)
	if !g.Known() {
		return 0, fmt.Errorf("getconf GNU_LIBC_VERSION: %q", out)
	}
	if out, err = exec.CommandContext(ctx, "getconf", "_NPROCESSORS_ONLN").Output(); err != nil {
		return 0, fmt.Errorf("getconf _NPROCESSORS_ONLN: %w", err)
	}
	cpus, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return 0, err
	}
	n, ok := g.DefaultArenas(cpus)
	if !ok {
		return threads + 1, nil
	}
	return min(n, threads+1), nil
}

// ProcFile returns the text of a process's file in /proc.
func ProcFile(t testing.TB, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Environ returns the environment that a process was started with; of duplicate names the last counts.
func Environ(pid int) (map[string]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	vars := map[string]string{}
	for _, entry := range proc.ParseEnviron(text) {
		if name, value, ok := strings.Cut(entry, "="); ok {
			vars[name] = value
		}
	}
	return vars, err
}

// run runs a command to its end; an error contains its output.
func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
