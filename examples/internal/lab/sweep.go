package lab

// This file runs arenacap sweep and reads its result.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Sweep holds the fields of arenacap sweep --json that the examples' tests use, and what the sweep printed on stderr.
type Sweep struct {
	Caps   []SweptCap
	Advice struct {
		Cap, Sentence, TOML string
		Noisy               bool
	}

	Said string // stderr
}

// SweptCap is the measurement of one cap.
type SweptCap struct {
	Cap        string
	Throughput struct{ Median float64 }
	Latency    *struct{ Median float64 }
	Virtual    uint64 `json:"virtual_peak_bytes"`
	Resident   uint64 `json:"resident_peak_bytes"`
	Arenas     int
	Runs       int
	Failed     int
}

// RunSweep runs an example's sweep.sh with a newly built arenacap first in PATH. The arguments are those of the script,
// then flags of arenacap sweep.
func RunSweep(t testing.TB, args ...string) Sweep {
	t.Helper()
	dir := Dir(t)
	if _, err := Arenacap(dir); err != nil {
		t.Fatal(err)
	}
	s, err := runSweep(Within(t, 5*time.Minute), dir, args)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Said)
	}
	t.Log(s.Advice.Sentence)
	return s
}

func runSweep(ctx context.Context, dir string, args []string) (s Sweep, err error) {
	html := filepath.Join(dir, "report.html")
	cmd := exec.CommandContext(ctx, "sh", append([]string{"sweep.sh"}, append(args, "--json", "--html", html)...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	cmd.WaitDelay = 10 * time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	s.Said = said.String()
	if err != nil && (cmd.ProcessState.ExitCode() != 1 || out.Len() == 0) { // status 1: no advice, for example
		return s, err
	}
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		return s, fmt.Errorf("%w: %s", err, out.Bytes())
	}
	if page, err := os.ReadFile(html); err != nil || !bytes.Contains(page, []byte("<svg")) {
		return s, fmt.Errorf("the report has no picture: %v", err)
	}
	for _, c := range s.Caps {
		if c.Failed > 0 {
			return s, fmt.Errorf("cap %s: %d runs failed", c.Cap, c.Failed)
		}
	}
	return s, nil
}

// Of returns the measurement of a cap.
func (s Sweep) Of(t testing.TB, cap string) SweptCap {
	t.Helper()
	for _, c := range s.Caps {
		if c.Cap == cap {
			return c
		}
	}
	t.Fatalf("no cap %s in %+v", cap, s.Caps)
	return SweptCap{}
}

// RefusedSweep runs an example's sweep.sh, which must end with status 1 and without a result, and returns its stderr.
func RefusedSweep(t testing.TB, args ...string) string {
	t.Helper()
	dir := Dir(t)
	if _, err := Arenacap(dir); err != nil {
		t.Fatal(err)
	}
	s, err := runSweep(Within(t, time.Minute), dir, args)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("sweep.sh ended with %v, want status 1\n%s", err, s.Said)
	}
	return s.Said
}
