// Package redis_test runs the example of this folder with fewer requests and rounds. The example is a negative control:
// a cap has no effect, because Redis uses jemalloc.
package redis_test

import (
	"os/exec"
	"strings"
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

// needJemalloc skips the test if this Redis does not use jemalloc.
func needJemalloc(t *testing.T) {
	t.Helper()
	testenv.Need(t, "go", "redis-server", "redis-benchmark")
	out, err := exec.Command("redis-server", "--version").Output()
	if err != nil || !strings.Contains(string(out), "malloc=jemalloc") {
		t.Skipf("this Redis is not built with jemalloc: %s%v", out, err)
	}
}

func TestSweepSaysSoBefore(t *testing.T) {
	needJemalloc(t)
	said := lab.RefusedSweep(t)
	if !strings.Contains(said, "the cap cannot work, because") || !strings.Contains(said, "jemalloc") || !strings.Contains(said, "nothing was run") {
		t.Errorf("it says %q", said)
	}
}

func TestSweepForced(t *testing.T) {
	needJemalloc(t)
	t.Setenv("REQUESTS", "5000")
	s := lab.RunSweep(t, "--force", "--rounds", "3", "--warmup", "0", "--caps", "off,1")
	own, one := s.Of(t, "off"), s.Of(t, "1")
	if own.Arenas != 1 || one.Arenas != 1 || own.Throughput.Median <= 0 || one.Throughput.Median <= 0 {
		t.Errorf("%+v and %+v", own, one)
	}
	if s.Advice.Cap != "" || !strings.Contains(s.Said, "the cap cannot work") {
		t.Errorf("it advises %q and says %q", s.Advice.Cap, s.Said)
	}
}
