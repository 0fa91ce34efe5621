// Command table measures the example servers without arenacap and under several caps, and prints the table of the
// README as Markdown. Every round runs all caps one after the other, each round beginning with another one, and a ratio
// is taken within its round, so that a machine that is busy for a while does not favour one cap.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/arena"
)

// caps as they are given to --arenas; "" is without arenacap and comes first, as the ratios refer to it.
var caps = []string{"", "glibc", "1/core", "4", "2", "1"}

// sample is one run of one server under one cap.
type sample struct {
	arenas            int
	virtual, resident uint64  // bytes, after the load
	rate              float64 // a second
}

// server is a row group of the table: how one run goes.
type server struct {
	name string
	note string // what has to be known of its rows, below the table
	run  func(ctx context.Context, prefix []string) (sample, error)
}

func main() {
	rounds := flag.Int("rounds", 5, "rounds; the table shows medians")
	seconds := flag.Int("seconds", 2, "seconds of load in each run of MariaDB")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := table(ctx, *rounds, *seconds); err != nil {
		fmt.Fprintf(os.Stderr, "table: %v\n", err)
		os.Exit(1)
	}
}

func table(ctx context.Context, rounds, seconds int) error {
	dir, err := os.MkdirTemp("", "arenacap-table-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // MariaDB runs as another user
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	arenacap, err := lab.Arenacap(ctx, dir)
	if err != nil {
		return err
	}
	servers, err := prepare(ctx, dir, seconds)
	if err != nil {
		return err
	}
	describe(ctx, rounds)
	fmt.Println("| server | cap | arenas | virtual | resident | throughput, × without (least–most) |")
	fmt.Println("|---|---|--:|--:|--:|--:|")
	for _, s := range servers {
		if err := s.measure(ctx, arenacap, rounds); err != nil {
			return err
		}
	}
	for _, s := range servers {
		if s.note != "" {
			fmt.Println("\n" + s.note)
		}
	}
	return nil
}

// prepare compiles the one server and, where MariaDB is installed, makes a database for the other.
func prepare(ctx context.Context, dir string, seconds int) ([]server, error) {
	program, err := lab.CompileAuthServer(ctx, filepath.Join("examples", "authserver", "src", "authserver.c"), dir)
	if err != nil {
		return nil, err
	}
	auth := server{name: "authserver, 128 threads, 1 KiB each", run: func(ctx context.Context, prefix []string) (sample, error) {
		return runAuthServer(ctx, program, prefix)
	}}
	if _, err := exec.LookPath("mariadbd"); err != nil {
		fmt.Fprintln(os.Stderr, "table: mariadbd is not installed: its rows are left out")
		return []server{auth}, nil
	}
	db, err := lab.NewDatabase(ctx, dir)
	if err != nil {
		return nil, err
	}
	maria := server{
		name: "MariaDB " + db.Version(ctx) + ", 64 connections",
		note: "MariaDB runs with `innodb_buffer_pool_size_max=32M`; without it, it reserves 8 TiB more under every cap.",
		run: func(ctx context.Context, prefix []string) (sample, error) {
			return runMariaDB(ctx, db, seconds, prefix)
		},
	}
	return []server{auth, maria}, nil
}

func runAuthServer(ctx context.Context, program string, prefix []string) (s sample, err error) {
	a, err := lab.StartAuthServer(ctx, program, prefix)
	if err != nil {
		return s, err
	}
	defer a.Kill()
	for range 128 {
		if err := a.Login(); err != nil {
			return s, err
		}
	}
	r, err := a.Report()
	if err != nil {
		return s, err
	}
	s.arenas, s.virtual, s.resident = r.Arenas, r.Virtual, r.Resident
	if _, err := a.Churn(500); err != nil { // to warm up
		return s, err
	}
	if s.rate, err = a.Churn(8000); err != nil {
		return s, err
	}
	_, err = a.Stop(ctx)
	return s, err
}

func runMariaDB(ctx context.Context, db *lab.Database, seconds int, prefix []string) (s sample, err error) {
	// Without the reservation of 8 TiB for a larger buffer pool, which would hide everything else in VmSize. "loose": a
	// version that does not know the option has no such reservation.
	m, err := db.Start(ctx, prefix, "--loose-innodb-buffer-pool-size-max=32M")
	if err != nil {
		return s, err
	}
	defer m.Kill()
	if s.rate, err = m.Sysbench(ctx, seconds); err != nil {
		return s, err
	}
	census, err := arena.Count(m.Pid)
	if err != nil {
		return s, err
	}
	s.arenas = census.Arenas
	if s.virtual, s.resident, err = lab.Memory(m.Pid); err != nil {
		return s, err
	}
	_, err = m.Stop(ctx)
	return s, err
}

// measure runs all caps in every round and prints one row a cap.
func (s server) measure(ctx context.Context, arenacap string, rounds int) error {
	samples := make([][]sample, len(caps))
	for round := range rounds {
		for i := range caps {
			i = (i + round) % len(caps)
			c := caps[i]
			var prefix []string
			if c != "" {
				prefix = []string{arenacap, "run", "--arenas", c, "--budget", "off", "--"}
			}
			one, err := s.run(ctx, prefix)
			if err != nil {
				return fmt.Errorf("%s, cap %q: %w", s.name, c, err)
			}
			samples[i] = append(samples[i], one)
		}
	}
	for i, c := range caps {
		fmt.Println(row(s.name, c, samples[i], samples[0]))
	}
	return nil
}

func row(name, c string, runs, without []sample) string {
	var arenas, virtual, resident, ratio []float64
	for round, r := range runs {
		arenas = append(arenas, float64(r.arenas))
		virtual = append(virtual, float64(r.virtual)/(1<<20))
		resident = append(resident, float64(r.resident)/(1<<20))
		ratio = append(ratio, r.rate/without[round].rate)
	}
	if c == "" {
		c = "without arenacap"
	} else {
		name, c = "", "`"+c+"`"
	}
	return fmt.Sprintf("| %s | %s | %.0f | %.0f MiB | %.1f MiB | %.2f (%.2f–%.2f) |", name, c, median(arenas), median(virtual),
		median(resident), median(ratio), slices.Min(ratio), slices.Max(ratio))
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// describe says what the figures below were measured on.
func describe(ctx context.Context, rounds int) {
	say := func(name string, args ...string) string {
		out, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return name + " unknown"
		}
		return strings.TrimSpace(string(out))
	}
	load, _, _ := strings.Cut(say("cat", "/proc/loadavg"), " ")
	fmt.Printf("%s online CPUs, %s, Linux %s, load average %s before; medians of %d interleaved rounds.\n\n",
		say("getconf", "_NPROCESSORS_ONLN"), say("getconf", "GNU_LIBC_VERSION"), say("uname", "-r"), load, rounds)
}
