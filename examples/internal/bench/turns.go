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

// This file times commands from their start to their end, in turns of a random order.

// timed is a command and what its runs took.
type timed struct {
	name  string
	argv  []string
	every int             // it runs in every so many turns
	took  []time.Duration // from its start to its end
	cpu   []time.Duration // of all its threads, and of the program that it executes
	all   bool            // what it leaves behind, a watch, has to end too before the next one starts
}

// words is a command of words without blanks, the first of them a path or a name in PATH.
func words(name, line string) *timed {
	argv := strings.Fields(line)
	path, err := exec.LookPath(argv[0])
	check(err)
	argv[0] = path
	return &timed{name: name, argv: argv, every: 1}
}

// takeTurns runs all commands so many times after a tenth of that to warm up, or until the time is over.
func takeTurns(commands []*timed, turns int, patience time.Duration) {
	// The watch of a launch is nobody's child: it comes to us, and is waited for before the next launch, so that it does
	// not run beside it.
	check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer func() { check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)) }()
	began, warm := time.Now(), turns/10
	for turn := range turns + warm {
		for _, i := range rand.Perm(len(commands)) {
			if c := commands[i]; turn%c.every == 0 {
				took, cpu := c.run()
				if turn >= warm {
					c.took, c.cpu = append(c.took, took), append(c.cpu, cpu)
				}
			}
		}
		if turn >= warm && time.Since(began) > patience {
			return
		}
	}
}

// run starts the command, without what os/exec does besides.
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
	for c.all && err == nil { // until there is no child any more
		_, err = syscall.Wait4(-1, nil, 0, nil)
	}
	return took, time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// null is for what programs say.
var null = func() *os.File {
	file, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	check(err)
	return file
}()

// times is how many times as much one number is as another.
func times[T number](a, b T) float64 { return float64(a) / float64(max(b, 1)) }

// ms has three digits where there are as many before the point or fewer.
func ms(d time.Duration) string {
	v := d.Seconds() * 1000
	return strconv.FormatFloat(v, 'f', max(0, 2-len(strconv.Itoa(int(v)))+1), 64) + " ms"
}
