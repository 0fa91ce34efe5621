// Launches measures how long commands take from their start to their end, in turns of a random order, and
// prints what each adds to the first, /bin/true, in multiples of what others add.
//
//	launches [-runs N] [-most X] NAME=COMMAND…
//
// The first command is the bare one. A NAME of the form run/BUILD is judged against linked/BUILD: status 1
// where it adds more than X times as much.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
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
	most := flag.Float64("most", 1.3, "the most that run may add, as a multiple of what linked adds")
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
	if !judge(commands, *most) {
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

func judge(commands []*command, most float64) bool {
	fine := true
	for _, c := range commands {
		build, ok := strings.CutPrefix(c.name, "run/")
		linked := find(commands, "linked/"+build)
		if !ok || linked == nil {
			continue
		}
		if times := float64(c.added) / float64(linked.added); times > most {
			fmt.Printf("%s adds %.2f× what linked/%s adds, more than %.2f×\n", c.name, times, build, most)
			fine = false
		}
	}
	return fine
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "launches:", err)
		os.Exit(2)
	}
}
