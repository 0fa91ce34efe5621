// Package authserver_test runs the example: VmSize of a threaded server depends on its arenas, with and without a cap,
// and a budget reports growth early.
package authserver_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
	"arenacap/policy"
)

const workers = 128

// build builds the two programs and copies the example's policy.
func build(t *testing.T) (ctx context.Context, arenacap, server, file string) {
	t.Helper()
	testenv.Need(t, "go", "gcc", "getconf")
	dir := lab.Dir(t)
	arenacap, err := lab.Arenacap(dir)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = lab.CompileAuthServer(t.Context(), "src/authserver.c", dir); err != nil {
		t.Fatal(err)
	}
	if file, err = lab.Copy("policy.toml", dir); err != nil {
		t.Fatal(err)
	}
	return lab.Within(t, 2*time.Minute), arenacap, server, file
}

func TestEachArenaIs64MiBUntilTheCap(t *testing.T) {
	ctx, arenacap, server, file := build(t)
	run := func(flags ...string) []string {
		return append(append([]string{arenacap, "run", "--policy", file}, flags...), "--")
	}
	own, err := lab.GlibcLimit(ctx, workers)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		prefix []string
		arenas int
	}{
		{"without arenacap", nil, own},
		{"glibc's own limit", run("--arenas", "glibc"), own},
		{"off", run("--arenas", "off"), own},
		{"capped at 1", run("--arenas", "1"), 1},
		{"capped at 4 by the service", run("--service", "authserver"), 4},
		{"per core, of four", run("--arenas", "1/core", "--cores", "4"), 4},
		{"per core, of this machine", run(), planned(t, arenacap, file)},
	} {
		t.Run(c.name, func(t *testing.T) { checkGrowth(ctx, t, server, c.prefix, c.arenas) })
	}
}

// checkGrowth logs in users one by one, and after each compares the kernel's VmSize with the arenas of malloc_info.
func checkGrowth(ctx context.Context, t *testing.T, server string, prefix []string, want int) {
	a, err := lab.StartAuthServer(ctx, server, prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Kill()
	arenas, virtual := observe(t, a)
	if arenas != 1 {
		t.Fatalf("%d arenas before the first login, want 1", arenas)
	}
	for i := range workers {
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
		n, v := observe(t, a)
		switch grew := int64(v - virtual); n - arenas {
		case 1:
			if grew != policy.ArenaHeap {
				t.Fatalf("login %d: a new arena, and VmSize grew by %d bytes, want %d", i, grew, policy.ArenaHeap)
			}
		case 0:
			if grew < 0 || grew > 1<<20 { // the main heap may grow, by 132 KiB at a time
				t.Fatalf("login %d: no new arena, and VmSize grew by %d bytes", i, grew)
			}
		default:
			t.Fatalf("login %d: from %d to %d arenas", i, arenas, n)
		}
		arenas, virtual = n, v
	}
	if arenas != want {
		t.Errorf("%d arenas after %d logins, want %d", arenas, workers, want)
	}
	if status, err := a.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
}

// observe returns the server's number of arenas and the kernel's VmSize.
func observe(t *testing.T, a *lab.AuthServer) (arenas int, virtual uint64) {
	t.Helper()
	r, err := a.Report()
	if err != nil {
		t.Fatal(err)
	}
	virtual, _, err = lab.Memory(a.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return r.Arenas, virtual
}

// planned is the number of arenas under the cap that arenacap plans for the policy's base tables: at most one for each
// worker, and the main one.
func planned(t *testing.T, arenacap, file string) int {
	t.Helper()
	out, err := exec.Command(arenacap, "plan", "--json", "--policy", file).Output()
	if err != nil {
		t.Fatalf("plan: %v\n%s", err, out)
	}
	var plan struct {
		ArenaMax int `json:"arena_max"`
	}
	if err := json.Unmarshal(out, &plan); err != nil || plan.ArenaMax < 1 {
		t.Fatalf("plan: %v in %s", err, out)
	}
	return min(plan.ArenaMax, workers+1)
}

// quick has pairs of texts, old and new, which edit the policy: they shorten the watch's interval and add a limit on
// `virtual` that is always exceeded, so that its breach signals the end of `settle`.
var quick = []string{
	`interval = "1s"`, `interval = "20ms"`,
	`budget.arenas `, "budget.virtual = \"16MiB\"\nbudget.arenas ",
}

// startSettled starts the server under the policy's service and ensures that all its threads exist before `settle`
// ends.
func startSettled(t *testing.T, flags ...string) (context.Context, *lab.AuthServer) {
	t.Helper()
	ctx, arenacap, server, file := build(t)
	prefix := slices.Concat([]string{arenacap, "run", "--policy", file, "--service", "authserver"}, flags, []string{"--"})
	a, err := lab.UpBeforeSettle(2*time.Second, func(settle string) (*lab.AuthServer, error) {
		_, err := lab.Copy("policy.toml", filepath.Dir(file), append(quick, `settle   = "10s"`, `settle   = "`+settle+`"`)...)
		if err != nil {
			return nil, err
		}
		return lab.StartAuthServer(ctx, server, prefix)
	}, (*lab.AuthServer).Kill)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Kill)
	return ctx, a
}

// Without the cap of the policy, its budgets report the growth long before the growth ends.
func TestBudgetTellsInTime(t *testing.T) {
	t.Parallel()
	ctx, a := startSettled(t, "--arenas", "glibc")
	if _, err := a.AwaitEvent(ctx, "breach", "virtual"); err != nil {
		t.Fatal(err)
	}
	const logins = 5 // the fifth arena besides the main one exceeds 256 MiB; glibc allows at least 8
	for range logins {
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
	}
	for _, metric := range []string{"growth", "arenas"} {
		e, err := a.AwaitEvent(ctx, "breach", metric)
		if err != nil {
			t.Fatal(err)
		}
		want := lab.Event{Event: "breach", Service: "authserver", Pid: a.Pid, Metric: metric, Value: logins * policy.ArenaHeap, Limit: 256 << 20}
		if e != want {
			t.Errorf("got  %+v\nwant %+v", e, want)
		}
	}
	if status, err := a.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
	if _, err := a.AwaitEvent(ctx, "exited", ""); err != nil {
		t.Error(err)
	}
}

// With the cap of the policy, there is no breach of the limits that TestBudgetTellsInTime exceeds, and no warning.
func TestCapKeepsTheBudget(t *testing.T) {
	t.Parallel()
	ctx, a := startSettled(t)
	if _, err := a.AwaitEvent(ctx, "breach", "virtual"); err != nil {
		t.Fatal(err)
	}
	for range workers {
		if err := a.Login(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 { // enough work for many samples
		if _, err := a.Churn(500); err != nil {
			t.Fatal(err)
		}
	}
	if status, err := a.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
	if _, err := a.AwaitEvent(ctx, "exited", ""); err != nil {
		t.Error(err)
	}
	for _, e := range a.Events() {
		if e.Metric != "virtual" && (e.Event == "warning" || e.Event == "breach") {
			t.Errorf("under the cap: %+v", e)
		}
	}
}
