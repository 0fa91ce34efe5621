// This command executes its arguments, as the command exec does, but is linked with the libraries of arenacap. It
// measures the cost of their initialisation for a launch. Without arguments it sleeps, to measure their memory.
package main

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/go-analyze/charts"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
	"golang.org/x/perf/benchmath"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

func main() {
	if len(os.Args) == 0 {
		use() // never runs, but keeps the linker from removing the libraries
	}
	for len(os.Args) == 1 {
		time.Sleep(time.Hour)
	}
	_ = syscall.Exec(os.Args[1], os.Args[1:], syscall.Environ())
	os.Exit(126)
}

// use calls functions of each library that arenacap uses.
func use() {
	var v map[string]any
	_, err := toml.Decode("", &v)
	n, _ := cpu.CountsWithContext(context.Background(), true)
	m, _ := mem.VirtualMemoryWithContext(context.Background())
	_, _, _ = term.GetSize(0)
	_ = unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(n+smetrics.WagnerFischer("", "", 1, 1, 1)), uintptr(m.Total), 0, 0)
	median := benchmath.AssumeNothing.Summary(benchmath.NewSample(nil, &benchmath.DefaultThresholds), 0.95)
	_ = charts.NewPainter(charts.PainterOptions{}).CandlestickChart(charts.NewCandlestickOptionWithData([]charts.OHLCData{{Open: median.Center}}))
	_ = (&cli.App{Action: func(*cli.Context) error { return err }}).Run(nil)
}
