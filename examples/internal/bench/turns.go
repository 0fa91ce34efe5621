package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file measures the time of commands from start to end, in rounds of random order.

// timed is a command and the times of its runs.
type timed struct {
	name string
	argv []string
	took []time.Duration // elapsed time of each run
	cpu  []time.Duration // CPU time of all threads, including the program that the command executes
	all  bool            // wait for the end of the command's watch too before the next command
}

// words makes a command of space-separated words; the first is a path or a name in PATH.
func words(name, line string) *timed {
	argv := strings.Fields(line)
	path, err := exec.LookPath(argv[0])
	check(err)
	argv[0] = path
	return &timed{name: name, argv: argv}
}

// takeTurns runs all commands in rounds, and measures them in as many rounds as the parameter "turns" says. The first
// rounds, a tenth of that number, warm up and are not measured. It stops early once patience has passed, but measures
// at least one round.
func takeTurns(commands []*timed, turns int, patience time.Duration) {
	// The watch of a launch is an orphan. As its subreaper we can wait for it before the next launch, so that the two do not
	// run at the same time.
	check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer func() { check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)) }()
	began, warm := time.Now(), turns/10
	for turn := range turns + warm {
		for _, i := range rand.Perm(len(commands)) {
			c := commands[i]
			took, cpu := c.run()
			if turn >= warm {
				c.took, c.cpu = append(c.took, took), append(c.cpu, cpu)
			}
		}
		if turn >= warm && time.Since(began) > patience {
			return
		}
	}
}

// run starts the command without the overhead of os/exec.
func (c *timed) run() (took, cpu time.Duration) {
	attr := &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent"}, Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}}
	start := time.Now()
	pid, err := syscall.ForkExec(c.argv[0], c.argv, attr)
	check(err)
	var status syscall.WaitStatus
	var used syscall.Rusage
	_, err = syscall.Wait4(pid, &status, 0, &used)
	took = time.Since(start)
	check(err)
	if status != 0 {
		out, err := exec.Command(c.argv[0], c.argv[1:]...).CombinedOutput()
		check(fmt.Errorf("%v ended with status %#x; once more: %v\n%s", c.argv, status, err, out))
	}
	for c.all && err == nil { // wait until no child is left, not even the watch
		_, err = syscall.Wait4(-1, nil, 0, nil)
	}
	return took, time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// null takes the output of programs.
var null = func() *os.File {
	file, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	check(err)
	return file
}()

// times is the ratio of two numbers; a divisor below 1 counts as 1.
func times[T number](a, b T) float64 { return float64(a) / float64(max(b, 1)) }

// ms formats milliseconds with three digits (0.12, 1.23, 12.3), or with all digits before the point if these are more.
func ms(d time.Duration) string {
	v := d.Seconds() * 1000
	return strconv.FormatFloat(v, 'f', max(0, 2-len(strconv.Itoa(int(v)))+1), 64) + " ms"
}
