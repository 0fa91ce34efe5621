// Launches measures how long commands take from their start to their end, and how much processor time, in turns of a
// random order, and prints what each adds to the first, /bin/true, in multiples of what others add.
//
//	launches [-runs N] [-limit 'NAME<X*NAME']… NAME=COMMAND…
//
// Status 1 where the first NAME of a limit adds more than X times what the second does, in time and in processor
// time: another's work on the machine delays a launch, but seldom makes it compute more.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type command struct {
	name     string
	argv     []string
	took     []time.Duration
	cpu      []time.Duration // of all its threads, and of the program that it executes
	added    time.Duration   // its median less that of the bare command
	addedCPU time.Duration
}

func main() {
	runs := flag.Int("runs", 400, "runs of each command")
	var limits []limit
	flag.Func("limit", "NAME<X*NAME", func(s string) error { return addLimit(&limits, s) })
	flag.Parse()
	var commands []*command
	for _, arg := range flag.Args() {
		name, line, _ := strings.Cut(arg, "=")
		commands = append(commands, &command{name: name, argv: strings.Fields(line)})
	}
	// The watch of a launch is nobody's child: it comes to us, and is waited for before the next launch,
	// so that it does not run beside it.
	check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	runtime.LockOSThread()
	measure(commands, *runs)
	print(commands)
	if !judge(commands, limits) {
		os.Exit(1)
	}
}

// measure takes turns: whatever else the machine does meets all commands alike. The first tenth warms up.
func measure(commands []*command, runs int) {
	warm := runs / 10
	for turn := range runs + warm {
		for _, i := range rand.Perm(len(commands)) {
			took, cpu := launch(commands[i].argv)
			if turn >= warm {
				commands[i].took = append(commands[i].took, took)
				commands[i].cpu = append(commands[i].cpu, cpu)
			}
		}
	}
	for _, c := range commands {
		c.added = median(c.took) - median(commands[0].took)
		c.addedCPU = median(c.cpu) - median(commands[0].cpu)
	}
}

func launch(argv []string) (took, cpu time.Duration) {
	attr := &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{0, 1, 2}}
	start := time.Now()
	pid, err := syscall.ForkExec(argv[0], argv, attr)
	check(err)
	var ws syscall.WaitStatus
	var used syscall.Rusage
	_, err = syscall.Wait4(pid, &ws, 0, &used)
	took = time.Since(start)
	check(err)
	if ws != 0 {
		check(fmt.Errorf("%v ended with %#x", argv, ws))
	}
	for err == nil { // until there is no child any more
		_, err = syscall.Wait4(-1, nil, 0, nil)
	}
	return took, time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func median(took []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[len(sorted)/2]
}

func find(commands []*command, name string) *command {
	i := slices.IndexFunc(commands, func(c *command) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return commands[i]
}

// times is how many times as much c adds as the command of that name.
func (c *command) times(commands []*command, name string) string {
	other := find(commands, name)
	if other == nil || c == commands[0] {
		return ""
	}
	return fmt.Sprintf("%.2f×", float64(c.added)/float64(other.added))
}

func print(commands []*command) {
	const row = "%-24s %8s %8s %10s %10s %10s %10s\n"
	fmt.Printf(row, "", "median", "adds", "adds CPU", "of env", "of exec", "of linked")
	for _, c := range commands {
		_, build, _ := strings.Cut(c.name, "/")
		build, _, _ = strings.Cut(build, " ")
		fmt.Printf(row, c.name, ms(median(c.took)), ms(c.added), ms(c.addedCPU),
			c.times(commands, "env"), c.times(commands, "exec/"+build), c.times(commands, "linked/"+build))
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

// limit is the most that a command may add, as a multiple of what another adds.
type limit struct {
	name, of string
	most     float64
}

func addLimit(limits *[]limit, s string) (err error) {
	var l limit
	var most string
	l.name, s, _ = strings.Cut(s, "<")
	most, l.of, _ = strings.Cut(s, "*")
	l.most, err = strconv.ParseFloat(most, 64)
	*limits = append(*limits, l)
	return err
}

func judge(commands []*command, limits []limit) bool {
	fine := true
	for _, l := range limits {
		c, of := find(commands, l.name), find(commands, l.of)
		if c == nil || of == nil {
			check(fmt.Errorf("limit: no command is named %q or %q", l.name, l.of))
		}
		wall, cpu := float64(c.added)/float64(of.added), float64(c.addedCPU)/float64(of.addedCPU)
		word := "fine"
		if min(wall, cpu) > l.most {
			word, fine = "TOO MUCH", false
		}
		fmt.Printf("%s: %s adds %.2f× what %s adds, %.2f× in processor time; at most %.2f×\n", word, l.name, wall, l.of, cpu, l.most)
	}
	return fine
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "launches:", err)
		os.Exit(2)
	}
}
