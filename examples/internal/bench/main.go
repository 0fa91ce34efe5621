// Command bench prints the tables of the READMEs as Markdown: the cost of a launch, a watch, an inspection and a scrape
// compared with other tools, and the effect of a cap on the example servers. Compared programs take turns, or run at
// the same time, so that other work on the machine affects all alike. So the ratios are more reliable than the times.
//
//	bench [-check [-room X]] [-runs N] [-seconds N] launch|watch|services|inspect|exporter|servers
//	bench sweeps FILE.json…
//
// "bench watch" prints the table of "bench services" too, as its last. With -check, bench tests the upper bounds of the
// cost, each multiplied by -room, and leaves out long measurements. The status is 1 if a bound fails three times in a
// row. The current folder must be the top of the repository. This file contains the flags and the code that all tables
// share.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

var (
	checks  = flag.Bool("check", false, "check the bounds: fail if one does not hold, and skip the long measurements")
	room    = flag.Float64("room", 1, "with -check, multiply the bounds by this factor: a busy machine needs 2 or 3")
	runs    = flag.Int("runs", 0, "the number of runs of each command; 0: as many as its table needs")
	seconds = flag.Int("seconds", 0, "the duration of each measurement of a watch and of each load of MariaDB; 0: as long as its table needs")
)

// tables maps the name on the command line to the function that prints the table. The function returns false if a bound
// failed.
var tables = map[string]func(b *built, args []string) bool{
	"launch":   launchTable,
	"watch":    watchTables,
	"services": servicesTable,
	"inspect":  inspectTables,
	"exporter": exporterTable,
	"servers":  serversTable,
	"sweeps":   sweepsTable,
}

// Children end with the thread that started them (PR_SET_PDEATHSIG), so lock this goroutine to its thread.
func init() { runtime.LockOSThread() }

func main() {
	flag.Parse()
	table := tables[flag.Arg(0)]
	if table == nil {
		fmt.Fprintln(os.Stderr, "usage: bench [flags] launch|watch|services|inspect|exporter|servers, or bench sweeps FILE.json…")
		flag.PrintDefaults()
		os.Exit(2)
	}
	os.Exit(status(table))
}

// failure is an error that ends the measurement, as a panic, so that deferred functions clean up.
type failure struct{ error }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func status(table func(*built, []string) bool) (status int) {
	b := &built{}
	defer func() {
		err := recover()
		if f, ok := err.(failure); ok {
			fmt.Fprintln(os.Stderr, "bench:", f.error)
			status = 2
		} else if err != nil {
			panic(err)
		}
		check(b.remove())
	}()
	for range 3 {
		if table(b, flag.Args()[1:]) || !*checks {
			return 0
		}
	}
	return 1
}

// bound is a measured value, in most cases a ratio, and its upper bound.
type bound struct {
	what        string
	value, most float64
}

// hold prints the bounds and reports whether all hold.
func hold(bounds ...bound) bool {
	fine := true
	for _, b := range bounds {
		word := "fine"
		if b.value > b.most*(*room) {
			word, fine = "TOO MUCH", false
		}
		fmt.Printf("%s: %s: %.2f, at most %.2f", word, b.what, b.value, b.most)
		if *room != 1 {
			fmt.Printf(" (× %.2g for other work on the machine)", *room)
		}
		fmt.Println()
	}
	fmt.Println()
	return fine
}

// head prints the first lines of a table: its first column is aligned left, the others right.
func head(columns ...string) {
	row(columns...)
	fmt.Println("|---|" + strings.Repeat("--:|", len(columns)-1))
}

func row(cells ...string) { fmt.Println("| " + strings.Join(cells, " | ") + " |") }

// number is a type whose values have a median.
type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func median[T number](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
