package main

import (
	"cmp"
	"context"
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

// This file prints the table of the example servers without arenacap and under several caps. Each round runs the server
// under all caps, one after the other, and begins with a different cap than the round before. Ratios are computed
// within a round, so that temporary load on the machine does not favour one cap.

// caps are values of --arenas. "" is without arenacap; it comes first because the ratios refer to it.
var caps = []string{"", "glibc", "1/core", "4", "2", "1"}

// sample is one run of one server under one cap.
type sample struct {
	arenas            int
	virtual, resident uint64  // bytes; authserver: after the logins, MariaDB: after the load
	rate              float64 // sessions or queries per second
}

// server is one measured server: its group of rows in the table, and the function that runs it once.
type server struct {
	name string
	note string // printed below the table
	run  func(ctx context.Context, prefix []string) (sample, error)
}

func serversTable(b *built, _ []string) bool {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	rounds := cmp.Or(*runs, 5)
	servers, err := prepare(ctx, b.folder("servers"), cmp.Or(*seconds, 2))
	check(err)
	describe(ctx, rounds)
	head("server", "cap", "arenas", "virtual", "resident", "throughput, × without (least–most)")
	for _, s := range servers {
		check(s.measure(ctx, b.plain(), rounds))
	}
	for _, s := range servers {
		fmt.Println(s.note)
	}
	return true
}

// prepare compiles authserver and, if MariaDB is installed, creates a database.
func prepare(ctx context.Context, dir string, seconds int) ([]server, error) {
	program, err := lab.CompileAuthServer(ctx, filepath.Join("examples", "authserver", "src", "authserver.c"), dir)
	if err != nil {
		return nil, err
	}
	auth := server{name: "authserver, 128 threads, 1 KiB each", run: func(ctx context.Context, prefix []string) (sample, error) {
		return runAuthServer(ctx, program, prefix)
	}}
	if _, err := exec.LookPath("mariadbd"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: mariadbd is not installed: its rows are left out")
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
	if _, err := a.Churn(500); err != nil { // not measured: warms up
		return s, err
	}
	if s.rate, err = a.Churn(8000); err != nil {
		return s, err
	}
	_, err = a.Stop(ctx)
	return s, err
}

func runMariaDB(ctx context.Context, db *lab.Database, seconds int, prefix []string) (s sample, err error) {
	// By default MariaDB reserves 8 TiB so that the buffer pool can grow; in VmSize that would hide everything else.
	// This option avoids the reservation. With the prefix "loose", versions without the option ignore it; they have no
	// such reservation.
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

// measure runs all caps in every round and prints one row per cap.
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
		s.row(c, samples[i], samples[0])
	}
	return nil
}

func (s server) row(c string, runs, without []sample) {
	var arenas, virtual, resident, ratio []float64
	for round, r := range runs {
		arenas = append(arenas, float64(r.arenas))
		virtual = append(virtual, float64(r.virtual)/(1<<20))
		resident = append(resident, float64(r.resident)/(1<<20))
		ratio = append(ratio, r.rate/without[round].rate)
	}
	name := s.name
	if c == "" {
		c = "without arenacap"
	} else {
		name, c = "", "`"+c+"`"
	}
	row(name, c, fmt.Sprintf("%.0f", median(arenas)), fmt.Sprintf("%.0f MiB", median(virtual)), fmt.Sprintf("%.1f MiB", median(resident)),
		fmt.Sprintf("%.2f (%.2f–%.2f)", median(ratio), slices.Min(ratio), slices.Max(ratio)))
}

// describe prints the machine and versions of the measurement.
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
