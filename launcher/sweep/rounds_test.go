package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
)

func TestMain(m *testing.M) {
	testenv.Reset()
	testenv.SideBySide(8)
	m.Run()
}

// work compiles testdata/work.c.
func work(t *testing.T) string {
	t.Helper()
	testenv.Need(t, "gcc")
	path := filepath.Join(t.TempDir(), "work")
	if out, err := exec.Command("gcc", "-O1", "-Wall", "-pthread", "-o", path, "testdata/work.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func experiment(path string, args ...string) *Experiment {
	x := &Experiment{Path: path, Args: append([]string{"work"}, args...), Metrics: metrics(`^rate: ([0-9]+)`, `p99: (\S+)`), Rounds: 1,
		Timeout: time.Minute, ReadyTimeout: time.Minute, Grace: time.Minute, Seed: 1}
	for _, n := range []int{1, 2, 4} {
		x.Candidates = append(x.Candidates, Candidate{Name: strconv.Itoa(n), ArenaMax: n,
			Env: append(os.Environ(), fmt.Sprintf("MALLOC_ARENA_MAX=%d", n))})
	}
	return x
}

func measure(t *testing.T, x *Experiment) []Run {
	t.Helper()
	runs, err := x.Measure(t.Context(), nil, func(Run) error { return nil }, func(Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// The values recorded for a batch program are those that it prints and those that follow from its cap.
func TestBatch(t *testing.T) {
	t.Parallel()
	x := experiment(work(t), "-t", "8", "-k", "512", "-m", "2000")
	for n, c := range x.Candidates {
		n = 1 << n
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r := x.once(t.Context(), c)
			if r.Cap != c.Name || r.Error != "" || r.Values["throughput"] != 80 || r.Values["latency"] != 0.0015 || r.Exit != 0 {
				t.Errorf("%+v", r)
			}
			if r.Arenas != n || r.ArenaReserved != uint64(n-1)<<26 || n > 1 && r.ArenaResident < 512<<10 {
				t.Errorf("%d arenas, %d bytes reserved, %d resident", r.Arenas, r.ArenaReserved, r.ArenaResident)
			}
			if r.VirtualPeak < uint64(n-1)<<26+8<<23 || r.VirtualFinal > r.VirtualPeak || r.ResidentPeak < 4<<20 || r.ResidentFinal == 0 || r.ResidentFinal > r.ResidentPeak {
				t.Errorf("virtual %d, then %d; resident %d, then %d", r.VirtualPeak, r.VirtualFinal, r.ResidentPeak, r.ResidentFinal)
			}
			if r.Wall < 1 || r.CPU <= 0 || r.MinorFaults < 1000 || r.VoluntarySwitches == 0 || len(r.Memory) < 2 {
				t.Errorf("wall %g, CPU %g, %d faults, %d switches, %d samples", r.Wall, r.CPU, r.MinorFaults, r.VoluntarySwitches, len(r.Memory))
			}
		})
	}
}

// TestPeaksAreTheKernels: the measured peak equals the VmPeak that the program itself reads at its end.
func TestPeaksAreTheKernels(t *testing.T) {
	t.Parallel()
	x := experiment(work(t), "-t", "4", "-m", "2000")
	p, err := start(x.Path, x.Args, x.Candidates[1].Env)
	if err != nil {
		t.Fatal(err)
	}
	var r Run
	stop := observe(p.pid, p.started, 0, &r)
	if err := p.await(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	stop(false)
	p.stop(0, nil)
	found := regexp.MustCompile(`VmPeak:\s+(\d+) kB`).FindSubmatch(p.output.bytes())
	if found == nil {
		t.Fatalf("no VmPeak in %q", p.output.bytes())
	}
	if kib, _ := strconv.ParseUint(string(found[1]), 10, 64); r.VirtualPeak != kib<<10 {
		t.Errorf("a peak of %d bytes, the program says %d KiB", r.VirtualPeak, kib)
	}
}

func TestServer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct{ name, ready string }{{"asked", "test -S " + socket}, {"listens", ""}} {
		t.Run(c.name, func(t *testing.T) {
			x := experiment(work(t), "-t", "6", "-s", socket)
			x.Ready, x.Load = c.ready, `echo "rate: $ARENACAP_CAP"; echo p99: 2ms; kill -0 $ARENACAP_PID`
			for _, r := range measure(t, x) {
				n, _ := strconv.Atoi(r.Cap)
				if r.Error != "" || r.Values["throughput"] != float64(n) || r.Values["latency"] != 0.002 || r.Exit != 0 || r.Arenas != n {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// If --ready succeeds before the sweep has started its server, the sweep might measure another server, so it ends.
func TestStranger(t *testing.T) {
	x := experiment(work(t), "-s", filepath.Join(t.TempDir(), "s"))
	x.Load = "echo rate: 1; echo p99: 1ms"
	for ready, want := range map[string]string{
		"true":                       `--ready: the command "true" succeeded before the server was started; if another server answered, stop that server`,
		`test -z "$ARENACAP_PID"`:    "succeeded before the server was started",
		"false":                      "",
		"test $ARENACAP_PID && true": "",
		"":                           "",
	} {
		x.Ready = ready
		err := x.checkNotReady(t.Context(), time.Minute)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%q: %v, want %q", ready, err, want)
		}
	}
	x.Ready = "sleep 60" // stands for a command that itself waits for a server
	if err := x.checkNotReady(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.checkNotReady(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	x.Ready = "test $ARENACAP_PID && true"
	if runs := measure(t, x); len(runs) != 3 || runs[0].Error != "" {
		t.Errorf("%+v", runs)
	}
}

// suspended is a Perl program that TSTP stops. The kernel does not stop an orphaned process group by TSTP (setpgid(2)). So a
// grandchild, whose parent has another group of the session, joins the group of the program.
const suspended = `
$program = $$;
pipe R, W;
if (!fork) {
	setpgrp 0, 0;
	if (!fork) {
		setpgrp 0, $program;
		syswrite W, "joined";
		sleep 1000;
	}
	wait;
	exit;
}
sysread R, $_, 6;
kill TSTP => $program;`

// A failed run has the reason and the end of the output, and the other runs continue.
func TestFailures(t *testing.T) {
	t.Parallel()
	path := work(t)
	testenv.Need(t, "perl")
	const socket = "s" // replaced by a path in a temporary folder
	for _, c := range []struct {
		name   string
		change func(x *Experiment)
		want   string
		tail   string
	}{
		{"ends with a status", func(x *Experiment) { x.Args = append(x.Args, "-x", "3") }, "the program ended with status 3", "rate: 80"},
		{"takes too long", func(x *Experiment) {
			x.Args, x.Timeout, x.Grace = append(x.Args, "-m", "60000"), 100*time.Millisecond, 0
		}, "the program did not end within 100ms", ""},
		{"prints no number", func(x *Experiment) { x.Metrics = metrics("^tps: (.*)") }, `--metric: nothing in the output matches "^tps: (.*)"`, "rate: 80"},
		{"prints no latency", func(x *Experiment) { x.Metrics = metrics("", "(rate)") }, `--latency: the match "rate" is not a number`, "rate: 80"},
		{"cannot be started", func(x *Experiment) { x.Path = "/nonexistent" }, "no such file", ""},
		{"is never ready", func(x *Experiment) {
			x.Args, x.Load, x.Ready, x.ReadyTimeout = append(x.Args, "-s", socket), "true", "false", 100*time.Millisecond
		}, `the server was not ready within 100ms: "false" never succeeded`, ""},
		{"--ready takes too long", func(x *Experiment) {
			x.Args, x.Load, x.Ready, x.ReadyTimeout = append(x.Args, "-s", socket), "true", "sleep 60", 100*time.Millisecond
		}, "the server was not ready within 100ms", ""},
		{"never listens", func(x *Experiment) {
			x.Args, x.Load, x.ReadyTimeout, x.Grace = append(x.Args, "-m", "60000"), "true", 100*time.Millisecond, 0
		}, "did not listen on a socket within 100ms", ""},
		{"ends before it is ready", func(x *Experiment) { x.Args, x.Load, x.Ready = append(x.Args, "-x", "4"), "true", "false" }, "the server ended with status 4 before", "rate: 80"},
		{"ends under load", func(x *Experiment) { x.Load, x.Ready = "sleep 60", "true" }, "the server ended with status 0 before the load was done; if it goes into the background, start it in the foreground", "rate: 80"},
		{"stops itself", func(x *Experiment) {
			x.Path, x.Args = "/bin/sh", []string{"sh", "-c", `trap "echo was continued; exit" TERM; kill -STOP $$`}
		}, "the program was stopped by SIGSTOP, and nothing continues it", "was continued"},
		{"stops itself by TSTP", func(x *Experiment) { x.Path, x.Args = "/usr/bin/perl", []string{"perl", "-e", suspended} },
			"the program was stopped by SIGTSTP, and nothing continues it", ""},
		{"stops itself before it is ready", func(x *Experiment) {
			x.Path, x.Args, x.Load = "/bin/sh", []string{"sh", "-c", `trap "echo was continued; exit" TERM; kill -STOP $$`}, "true"
		}, "the server was stopped by SIGSTOP, and nothing continues it", "was continued"},
		{"stops itself under load", func(x *Experiment) {
			x.Args, x.Load = append(x.Args, "-s", socket), "kill -STOP $ARENACAP_PID; sleep 60"
		}, "the server was stopped by SIGSTOP", "rate: 80"},
		{"the load stops itself", func(x *Experiment) { x.Args, x.Load = append(x.Args, "-s", socket), "echo waits; kill -STOP $$" },
			"the load was stopped by SIGSTOP", "waits"},
		{"--ready stops itself", func(x *Experiment) {
			x.Args, x.Load, x.Ready = append(x.Args, "-s", socket), "true", "kill -STOP $$"
		}, `--ready: the command "kill -STOP $$" was stopped by SIGSTOP`, ""},
		{"load fails", func(x *Experiment) {
			x.Args, x.Load = append(x.Args, "-s", socket), "echo cannot connect; exit 7"
		}, "the load ended with status 7", "cannot connect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := experiment(path)
			good := *x
			c.change(x)
			if last := len(x.Args) - 1; x.Args[last] == socket {
				x.Args[last] = filepath.Join(t.TempDir(), socket)
			}
			bad := x.once(t.Context(), x.Candidates[1])
			if !strings.Contains(bad.Error, c.want) || !strings.Contains(bad.Tail, c.tail) {
				t.Errorf("%q with the tail %q, want %q with %q", bad.Error, bad.Tail, c.want, c.tail)
			}
			if r := good.once(t.Context(), good.Candidates[1]); r.Error != "" {
				t.Errorf("the next run failed too: %s\n%s", r.Error, r.Tail)
			}
		})
	}
}

// No process that a program leaves behind outlives its run, even in a session of its own.
func TestLeftovers(t *testing.T) {
	before := proc.Here.Children(os.Getpid())
	x := experiment(work(t), "-d", "-m", "50")
	x.Metrics, x.Candidates = x.Metrics[:1], x.Candidates[:1] // one cap, because each run ends with a wait of drainTime
	began := time.Now()
	for _, r := range measure(t, x) {
		if r.Error != "" {
			t.Error(r.Error, r.Tail)
		}
	}
	if left := proc.Here.Children(os.Getpid()); len(left) > len(before) {
		t.Errorf("children %v are left after %v", left, time.Since(began))
	}
}

// Descendants of leftover processes, each in a session of its own, are found too.
func TestLeftoversOfLeftovers(t *testing.T) {
	before := proc.Here.Children(os.Getpid())
	x := experiment("/bin/sh", "-c", `{ setsid sh -c 'setsid sleep 1000 >/dev/null & echo rate: 1; wait' 2>/dev/null & } | head -n 1`)
	x.Args[0], x.Metrics, x.Rounds = "sh", x.Metrics[:1], 1
	for _, r := range measure(t, x) {
		if r.Error != "" {
			t.Error(r.Error, r.Tail)
		}
	}
	if left := proc.Here.Children(os.Getpid()); len(left) > len(before) {
		t.Errorf("children %v are left", left)
	}
}

// A process that ignores TERM is killed after its grace time, or at once.
func TestStop(t *testing.T) {
	now := make(chan struct{})
	close(now)
	for _, c := range []struct {
		grace    time.Duration
		atOnce   chan struct{}
		outlived bool
	}{{time.Millisecond, nil, true}, {time.Minute, now, false}} {
		p, err := shell(`trap "" TERM; kill -STOP $$; while :; do sleep 1; done`, os.Environ())
		if err != nil {
			t.Fatal(err)
		}
		<-p.halted // now it ignores TERM
		if outlived := p.stop(c.grace, c.atOnce); outlived != c.outlived {
			t.Errorf("grace %s: outlived is %t", c.grace, outlived)
		}
		if err := p.ending(); err == nil || err.Error() != "was killed by SIGKILL" {
			t.Errorf("grace %s: %v", c.grace, err)
		}
	}
}

// A sweep that ends at once leaves no process behind: neither a slow program nor its descendants.
func TestAtOnce(t *testing.T) {
	before := proc.Here.Children(os.Getpid())
	atOnce := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	begun := filepath.Join(t.TempDir(), "begun")
	if err := syscall.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = os.ReadFile(begun)
		cancel()
		close(atOnce)
	}()
	x := experiment("/bin/sh", "-c", `trap "" TERM; setsid sleep 1000 & sleep 1000 & echo >"$0"; wait`, begun)
	x.Args[0], x.AtOnce, x.Grace = "sh", atOnce, time.Hour
	if runs, err := x.Measure(ctx, nil, nil, func(Progress) {}); len(runs) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if left := proc.Here.Children(os.Getpid()); len(left) > len(before) {
		t.Errorf("children %v are left", left)
	}
}

// A script without "#!" is run by the shell, as "arenacap run" and execvp(3) do.
func TestScriptWithoutInterpreter(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte(`echo "rate: $#$1"`), 0o755); err != nil {
		t.Fatal(err)
	}
	x := experiment(script, "3", "b")
	x.Metrics = x.Metrics[:1]
	for _, r := range measure(t, x) {
		if r.Error != "" || r.Values["throughput"] != 23 {
			t.Errorf("%+v", r)
		}
	}
}

// An interrupted sweep keeps its runs, and continues from its file.
func TestInterruptAndResume(t *testing.T) {
	x := experiment(work(t), "-m", "20")
	x.Rounds = 3
	file := filepath.Join(t.TempDir(), "runs")
	j, prior, err := OpenRecord(file, x)
	if err != nil || len(prior) != 0 {
		t.Fatal(prior, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	runs, err := x.Measure(ctx, prior, func(r Run) error {
		if n++; n == 4 {
			cancel()
		}
		return j.Add(r)
	}, func(Progress) {})
	if !errors.Is(err, context.Canceled) || len(runs) != 4 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	j.Close()
	cut(t, file)

	again := *x
	again.Seed = 99 // OpenRecord must replace it by the seed of the file
	j, prior, err = OpenRecord(file, &again)
	if err != nil || len(prior) != 4 || again.Seed != x.Seed {
		t.Fatal(len(prior), again.Seed, err)
	}
	runs, err = again.Measure(t.Context(), prior, j.Add, func(Progress) {})
	if err != nil || len(runs) != 9 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, r := range runs {
		c := x.Candidates[order(x.Seed, r.Round, 3)[i%3]]
		if r.Round != i/3+1 || r.Cap != c.Name {
			t.Errorf("run %d is cap %s in round %d", i, r.Cap, r.Round)
		}
	}
	j.Close()
	j, prior, err = OpenRecord(file, &again)
	if err != nil || len(prior) != 9 || again.Missing(prior) != 0 {
		t.Fatalf("%d runs in the file, %v", len(prior), err)
	}
	j.Close()
	again.Warmup = 1
	_, err = again.Measure(t.Context(), prior, nil, func(p Progress) { t.Errorf("%+v, though the record has all runs", p) })
	if err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(x *Experiment){
		"args": func(x *Experiment) { x.Args = []string{"work"} }, "caps": func(x *Experiment) { x.Candidates = x.Candidates[1:] },
		"load": func(x *Experiment) { x.Load = "true" }, "latency": func(x *Experiment) { x.Metrics = x.Metrics[:1] },
	} {
		other := again
		change(&other)
		if _, _, err := OpenRecord(file, &other); err == nil || !strings.Contains(err.Error(), "was written by a sweep with "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cut adds an incomplete line, which a crash during a write leaves behind.
func cut(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"cap":"4","rou`); err != nil {
		t.Fatal(err)
	}
}

// If the first run fails under every cap, the sweep ends. If only one cap fails, the sweep drops that cap after giveUp
// failed runs and continues with the others.
func TestHopeless(t *testing.T) {
	failing := func(condition string) *Experiment {
		x := experiment("/bin/sh", "-c", "test "+condition)
		x.Metrics, x.Rounds = metrics(""), 5
		return x
	}
	firstOf := func(failed string, caps ...string) (prior []Run) {
		for _, cap := range caps {
			prior = append(prior, Run{Cap: cap, Round: 1, Error: failed})
		}
		return prior
	}
	warm := failing("a = b")
	warm.Warmup = 1
	for _, c := range []struct {
		name  string
		x     *Experiment
		prior []Run
		late  bool // MaxTime is over after the first run
		runs  int
		ends  bool
	}{
		{name: "every cap fails in the warm-up", x: warm, ends: true},
		{name: "every cap fails in the warm-up, though the record has good runs", x: warm, prior: firstOf("", "1", "2", "4"), runs: 3, ends: true},
		{name: "one cap fails", x: failing(`"$MALLOC_ARENA_MAX" != 2`), runs: 5 + 5 + giveUp},
		{name: "one cap fails, and only its run is missing in the first round", x: failing(`"$MALLOC_ARENA_MAX" != 2`),
			prior: firstOf("", "1", "4"), runs: 5 + 5 + giveUp},
		{name: "one cap fails, and the record has only failed runs", x: failing("a = b"), prior: firstOf("failed", "1", "4"), runs: 3, ends: true},
		{name: "one cap fails, and the others are too late", x: failing("a = b"), late: true, runs: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs, err := c.x.Measure(t.Context(), c.prior, func(Run) error { return nil }, func(Progress) {
				if c.late {
					c.x.MaxTime = time.Nanosecond
				}
			})
			if ends := strings.Contains(fmt.Sprint(err), "the first run failed under every cap"); ends != c.ends || err != nil && !ends || len(runs) != c.runs {
				t.Errorf("%d runs, want %d; %v", len(runs), c.runs, err)
			}
		})
	}
}

func TestUntilNarrow(t *testing.T) {
	x := experiment(work(t), "-m", "1")
	x.Rounds, x.Until, x.MaxTime = 6, 0.01, time.Minute // all runs have the same rate, so the intervals are narrow at once
	if runs := measure(t, x); len(runs) != 18 {
		t.Errorf("%d runs", len(runs))
	}
	x.Metrics, x.Until = metrics(""), 1e-9 // the wall times differ, so the intervals never get that narrow
	x.MaxTime = 150 * time.Millisecond
	measure(t, x) // returns because of MaxTime
}

// If every cap is given up, because of failures after a successful warm-up, the sweep ends.
func TestUntilAllGaveUp(t *testing.T) {
	x := experiment("/bin/true")
	x.Until, x.Rounds = 0.05, giveUp
	m := &measurement{x: x, began: time.Now()}
	for _, c := range x.Candidates {
		for round := range giveUp {
			if m.complete() {
				t.Errorf("complete after %d runs, before every cap was given up", len(m.runs))
			}
			m.runs = append(m.runs, Run{Cap: c.Name, Round: round + 1, Error: "failed"})
		}
	}
	if m.more(giveUp+1) || !m.complete() {
		t.Error("another round begins, though every cap is given up")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.round(ctx, giveUp+1); !errors.Is(err, context.Canceled) {
		t.Errorf("a round without runs returns %v, want the error of the context", err)
	}
}

// After MaxTime no run starts, neither a warm-up run nor a measured one.
func TestMaxTime(t *testing.T) {
	for _, started := range []int{0, 1, 4, 7} { // number of runs that start before MaxTime is over; the first 6 are warm-up runs
		x := experiment("/bin/true")
		x.Metrics, x.Warmup, x.Rounds = metrics(""), 2, 5
		n := 0
		over := func() {
			if n == started {
				x.MaxTime = time.Nanosecond
			}
		}
		over()
		runs, err := x.Measure(t.Context(), nil, func(Run) error { return nil }, func(Progress) { n++; over() })
		if err != nil || n != started || len(runs) != max(0, started-6) {
			t.Errorf("%d runs started, want %d; %d were kept, %v", n, started, len(runs), err)
		}
	}
}

func TestOrder(t *testing.T) {
	seen := map[string]bool{}
	for round := range 30 {
		o := order(5, round, 4)
		seen[fmt.Sprint(o)] = true
		if !slices.Equal(o, order(5, round, 4)) {
			t.Errorf("round %d has two orders", round)
		}
		slices.Sort(o)
		if !slices.Equal(o, []int{0, 1, 2, 3}) {
			t.Errorf("round %d: %v", round, o)
		}
	}
	if len(seen) < 12 {
		t.Errorf("30 rounds have %d orders", len(seen))
	}
}
