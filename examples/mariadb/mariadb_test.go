// Package mariadb_test runs the example: MariaDB from the distribution's package on a new data folder, under sysbench,
// with and without a cap.
package mariadb_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/arena"
	"arenacap/launcher/testenv"
)

// connections is the number of sysbench's connections; each is a thread of the server.
const connections = 64

// TestMariaDB runs arenasUnderLoad and budgets on one data folder, because creating it takes seconds.
func TestMariaDB(t *testing.T) {
	testenv.Need(t, "go", "mariadbd", "mariadb", "mariadb-install-db", "sysbench", "getconf")
	dir := lab.Dir(t)
	arenacap, err := lab.Arenacap(dir)
	if err != nil {
		t.Fatal(err)
	}
	file, err := lab.Copy("policy.toml", dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx := lab.Within(t, 5*time.Minute)
	t.Setenv("TMPDIR", t.TempDir()) // user mysql cannot write to it
	db, err := lab.NewDatabase(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("arenas under load", func(t *testing.T) { arenasUnderLoad(ctx, t, db, arenacap, file) })
	t.Run("budgets", func(t *testing.T) { budgets(ctx, t, db, arenacap, file) })
}

func arenasUnderLoad(ctx context.Context, t *testing.T, db *lab.Database, arenacap, file string) {
	run := func(flags ...string) []string {
		return append(append([]string{arenacap, "run", "--policy", file}, flags...), "--")
	}
	own, err := lab.GlibcLimit(ctx, connections)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		prefix []string
		arenas int
		full   bool
	}{
		{"without arenacap", nil, own, false},
		{"glibc's own limit", run("--arenas", "glibc"), own, true},
		{"capped at 1", run("--arenas", "1"), 1, true},
		{"capped at 2", run("--arenas", "2"), 2, true},
		{"capped at 4 by the service", run("--service", "mariadb", "--budget", "off"), 4, false},
	} {
		if c.full && !testenv.Full() {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			m := start(ctx, t, db, c.prefix)
			before := count(t, m)
			rate, err := m.Sysbench(ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			after := count(t, m)
			t.Logf("%d arenas before and %d after %.0f queries a second", before, after, rate)
			if before > c.arenas || after != c.arenas {
				t.Errorf("%d arenas before the load and %d after, want %d at the end and no more before", before, after, c.arenas)
			}
			stop(ctx, t, m)
		})
	}
}

// start also checks that the previous run ended cleanly: otherwise InnoDB would log a recovery.
func start(ctx context.Context, t *testing.T, db *lab.Database, prefix []string) *lab.MariaDB {
	t.Helper()
	m, err := db.Start(ctx, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	for _, line := range m.Lines() {
		if strings.Contains(line, "crash recovery") {
			t.Errorf("the last shutdown was not clean: %s", line)
		}
	}
	return m
}

func stop(ctx context.Context, t *testing.T, m *lab.MariaDB) {
	t.Helper()
	if status, err := m.Stop(ctx); status != 0 || err != nil {
		t.Errorf("SIGTERM ended it with %d, %v", status, err)
	}
}

func count(t *testing.T, m *lab.MariaDB) int {
	t.Helper()
	census, err := arena.Count(m.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return census.Arenas
}

// budgets runs the server under the policy with shorter times and an additional limit on `virtual`. The server exceeds
// that limit even without any connection, so policy.toml has no limit on `virtual`. Here every sample after `settle` is
// over the limit, so the breach tells the test that `settle` has ended.
func budgets(ctx context.Context, t *testing.T, db *lab.Database, arenacap, file string) {
	m, err := lab.UpBeforeSettle(2*time.Second, func(settle string) (*lab.MariaDB, error) {
		_, err := lab.Copy("policy.toml", filepath.Dir(file), `settle   = "30s"`, `settle   = "`+settle+`"`, `interval = "1s"`, `interval = "50ms"`,
			`budget.growth `, "budget.virtual = \"256MiB\"\nbudget.growth ")
		if err != nil {
			return nil, err
		}
		return start(ctx, t, db, []string{arenacap, "run", "--policy", file, "--service", "mariadb", "--"}), nil
	}, func(m *lab.MariaDB) { stop(ctx, t, m) })
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.AwaitEvent(ctx, "breach", "virtual")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("virtual: %d MiB before the first query", e.Value>>20)

	if _, err := m.Sysbench(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(m.Events(), func(e lab.Event) bool { return e.Event == "breach" && e.Metric != "virtual" }); i >= 0 {
		t.Errorf("an ordinary load: %+v", m.Events()[i])
	}

	release, err := m.Hold(ctx, 10) // 640 MiB
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range []string{"growth", "data"} {
		if _, err := m.AwaitEvent(ctx, "breach", metric); err != nil {
			t.Error(err)
		}
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	for _, metric := range []string{"growth", "data"} {
		if _, err := m.AwaitEvent(ctx, "recovered", metric); err != nil {
			t.Error(err)
		}
	}
	stop(ctx, t, m)
	if _, err := m.AwaitEvent(ctx, "exited", ""); err != nil {
		t.Error(err)
	}
}
