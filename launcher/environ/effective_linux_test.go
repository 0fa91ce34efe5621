package environ

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"arenacap/launcher/environ/glibc"
	"arenacap/launcher/testenv"
	"arenacap/policy"
)

// probeThreads exceeds the default limit of a machine with up to 8 CPUs. With more CPUs it limits the arenas, in the model
// and in the probe alike.
const probeThreads = 70

// TestEffectiveIsWhatTheRealGlibcDoes compares the model with this machine's glibc.
func TestEffectiveIsWhatTheRealGlibcDoes(t *testing.T) {
	probe := buildProbe(t)
	for _, env := range hostile() {
		t.Run(fmt.Sprintf("%q", env), func(t *testing.T) {
			t.Parallel()
			bare := probe.run(t, env)
			if want := predict(Effective(env, bare.version), bare); bare.arenas != want {
				t.Errorf("glibc 2.%d made %d arenas, the model says %d", bare.version.Minor, bare.arenas, want)
			}
			for _, limit := range []int{1, 4} {
				plan := policy.Plan{Mode: policy.Fixed, ArenaMax: limit, ArenaTest: max(1, limit-1)}
				if capped := probe.run(t, Apply(env, plan).Env); capped.arenas != limit {
					t.Errorf("under a cap of %d glibc made %d arenas", limit, capped.arenas)
				}
			}
			free := probe.run(t, Apply(env, glibcs).Env)
			if want := predict(Setting{}, free); free.arenas != want {
				t.Errorf("under its own limit glibc made %d arenas, not %d", free.arenas, want)
			}
		})
	}
}

// TestRejoinUndoesWhatTheRealLoaderCuts compares the environment in /proc with the one passed to execve.
func TestRejoinUndoesWhatTheRealLoaderCuts(t *testing.T) {
	probe := buildProbe(t)
	for _, tunables := range []string{
		"glibc.malloc.arena_max=3",
		"glibc.malloc.arena_max=3:glibc.malloc.tcache_count=2",
		"foo=1:glibc.malloc.tcache_count=2:glibc.malloc.arena_max=3:glibc.malloc.arena_test=2",
		"glibc.malloc.arena_max=0:glibc.unknown.item=2:glibc.malloc.arena_max=5",
	} {
		env := []string{"A=1", "GLIBC_TUNABLES=" + tunables, "B=1", "GLIBC_TUNABLES=" + tunables}
		shown := probe.run(t, env).environ
		if got := Rejoin(shown); !slices.Equal(got, env) {
			t.Errorf("/proc shows %q\nrejoined   %q\ngiven      %q", shown, got, env)
		}
	}
}

// predict returns the number of arenas of probeThreads threads (glibc: malloc/arena.c, arena_get2).
func predict(s Setting, on probed) int {
	limit, _ := on.version.Arenas(int(min(s.Max.N, 1<<20)), int(min(s.Test.N, 1<<20)), on.cpus)
	return min(limit, probeThreads+1)
}

// probe is the path of the C program in testdata.
type probe string

type probed struct {
	version glibc.Version
	cpus    int
	arenas  int
	environ []string
}

func buildProbe(t *testing.T) probe {
	t.Helper()
	testenv.Need(t, "gcc")
	path := filepath.Join(t.TempDir(), "arenas")
	if out, err := exec.Command("gcc", "-O1", "-pthread", "-o", path, "testdata/arenas.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return probe(path)
}

// run starts the probe with exactly this environment. os/exec would remove duplicates.
func (p probe) run(t *testing.T, env []string) probed {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	process, err := os.StartProcess(string(p), []string{"arenas", strconv.Itoa(probeThreads)},
		&os.ProcAttr{Env: env, Files: []*os.File{nil, w, os.Stderr}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if state, err := process.Wait(); err != nil || !state.Success() {
		t.Fatalf("the probe ended with %v, %v", state, err)
	}
	first, rest, _ := strings.Cut(string(out), "\n")
	got := probed{environ: strings.Split(strings.TrimSuffix(rest, "\x00"), "\x00")}
	if _, err := fmt.Sscanf(first, "%d.%d %d %d", &got.version.Major, &got.version.Minor, &got.cpus, &got.arenas); err != nil {
		t.Fatalf("the probe printed %q: %v", first, err)
	}
	return got
}
