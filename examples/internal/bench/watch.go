package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file has the tables of watches: what they cost while nothing happens, in processor time by the kernel's account of
// each thread, and in memory.

// The most that a quiet watch may cost.
const (
	watchTimes    = 4.0  // processor time, in multiples of what the C program takes
	watchResident = 0.8  // resident memory, in multiples of the program that links the same libraries and sleeps
	watchShare    = 0.08 // of a core, for 10,000 targets
	watchMemory   = 50.0 // MiB resident, for 10,000 targets
)

// warmUp is for the start, settle, and the memory that is given back at most eleven seconds later.
const warmUp = 15 * time.Second

// beside is what is measured at once, in the table's order.
type beside struct {
	name string
	pid  int
}

func watchTables(b *built, _ []string) bool {
	check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) // the watch of a launch is nobody's child: it comes to us
	policy := b.write("watch.toml", "[budget]\nvirtual = \"4GiB\"\nsettle = \"1s\"\n")
	ok, slow := sideBySide(b, policy)
	return manyTargets(b, policy, slow) && ok
}

// quiet is what the C program takes where nothing else runs, in µs/s.
const quiet = 50

// sideBySide watches one process with everything at once. slow is how many times as long as on a quiet machine the C
// program took: so much more may the rest take, which is measured without it.
func sideBySide(b *built, policy string) (ok bool, slow float64) {
	targets, end := start(b, 1)
	defer end()
	target := spawn(b.release(), "run", "--policy", policy, "--", "/bin/sleep", "1000")
	list := []beside{
		{"a C program: `usleep` and `pread`", spawn(b.c("examples/internal/bench/testdata/statm.c"), targets[0])},
		{"**the watch of a launch**", watchOf(target)},
		{"a Go program with the same libraries, asleep", spawn(b.goBuild("relea-linked", "./examples/internal/bench/linked", true))},
	}
	if monit, err := exec.LookPath("monit"); err == nil {
		list = append(list, beside{"monit, one process a second", spawn(monit, "-I", "-c", monitrc(b, targets[0]))})
	}
	defer stop(append(list, beside{pid: target})...)
	time.Sleep(warmUp)
	costs := measure(list)
	head("one sample a second", "processor time", "× the C program", "resident", "× the sleeping program", "threads")
	for i, c := range costs {
		row(list[i].name, fmt.Sprintf("%.0f µs/s", c.micros), fmt.Sprintf("%.1f", times(c.micros, costs[0].micros)),
			fmt.Sprintf("%.1f MB", float64(c.rss)/1000), fmt.Sprintf("%.2f", times(c.rss, costs[2].rss)), strconv.Itoa(c.threads))
	}
	fmt.Println()
	return hold(bound{"a watch's processor time beside the C program's", times(costs[1].micros, costs[0].micros), watchTimes},
		bound{"a watch's memory beside the sleeping program's", times(costs[1].rss, costs[2].rss), watchResident}), max(1, costs[0].micros/quiet)
}

// manyTargets watches more and more processes with one watch. The bounds are for 10,000, and a check has as many.
func manyTargets(b *built, policy string, slow float64) bool {
	counts := []int{1, 10, 100, 1000, 10000}
	if *checks {
		counts = counts[len(counts)-1:]
	}
	head("one `arenacap watch` of", "% of a core", "resident, MiB")
	var c cost
	for _, n := range counts {
		c = watchMany(b, policy, n)
		row(fmt.Sprint(n), fmt.Sprintf("%.3f", c.micros/1e4), fmt.Sprintf("%.1f", c.mib()))
	}
	fmt.Println()
	return hold(bound{"10,000 targets, in multiples of 8 % of a core", c.micros / 1e6 / watchShare, slow},
		bound{"10,000 targets, in multiples of 50 MiB", c.mib() / watchMemory, 1})
}

func watchMany(b *built, policy string, n int) cost {
	targets, end := start(b, n)
	defer end()
	watch := []beside{{pid: spawn(b.release(), append([]string{"watch", "--policy", policy}, targets...)...)}}
	defer stop(watch...)
	time.Sleep(warmUp)
	return measure(watch)[0]
}

// cost is what one process takes.
type cost struct {
	micros       float64 // of processor time a second
	rss, threads int     // kB
}

func (c cost) mib() float64 { return float64(c.rss) / 1024 }

// measure takes the median of some seconds: where the machine itself is stopped for some milliseconds, that is not counted.
func measure(list []beside) []cost {
	spentIn := make([][]uint64, len(list))
	for range cmp.Or(*seconds, 20) {
		before := make([]uint64, len(list))
		for i, p := range list {
			before[i] = spent(p.pid)
		}
		time.Sleep(time.Second)
		for i, p := range list {
			spentIn[i] = append(spentIn[i], spent(p.pid)-before[i])
		}
	}
	costs := make([]cost, len(list))
	for i, p := range list {
		status := read(p.pid, "status")
		costs[i] = cost{float64(median(spentIn[i])) / 1e3, field(status, "VmRSS:"), field(status, "Threads:")}
	}
	return costs
}

// spent adds up schedstat of all threads, in nanoseconds: "1234567 8900 12", the first number is the time on a processor
// (Linux: Documentation/scheduler/sched-stats.rst).
func spent(pid int) (sum uint64) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	check(err)
	if len(files) == 0 {
		check(fmt.Errorf("process %d has ended", pid))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		var nanos uint64
		_, err = fmt.Sscan(string(text), &nanos)
		check(err)
		sum += nanos
	}
	return sum
}

func read(pid int, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	check(err)
	return string(text)
}

// field is a number after its name.
func field(text, name string) (n int) {
	_, rest, _ := strings.Cut(text, name)
	_, err := fmt.Sscan(rest, &n)
	check(err)
	return n
}

// start begins n processes that wait, to be watched.
func start(b *built, n int) (pids []string, end func()) {
	forest := begin(b.c("launcher/inspect/testdata/forest.c"), nil, strconv.Itoa(n))
	forest.ask("")
	parent := forest.cmd.Process.Pid
	pids = strings.Fields(read(parent, fmt.Sprintf("task/%d/children", parent)))
	if len(pids) != n {
		check(fmt.Errorf("%d processes could be started, want %d", len(pids), n))
	}
	return pids, func() {
		forest.end()
		for range n { // they end by the signal and come to us
			_, _ = syscall.Wait4(-1, nil, 0, nil)
		}
	}
}

// spawn starts a program that ends with us.
func spawn(path string, args ...string) int {
	attr := &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{null.Fd(), null.Fd(), 2}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
	pid, err := syscall.ForkExec(path, append([]string{path}, args...), attr)
	check(err)
	return pid
}

// watchOf finds the watch that stands beside a target.
func watchOf(target int) int {
	name := fmt.Sprintf("arenacap: watch %d", target)
	for range 500 {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		check(err)
		for _, file := range files {
			if line, err := os.ReadFile(file); err == nil && strings.TrimRight(string(line), "\x00") == name {
				pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				check(err)
				return pid
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	check(fmt.Errorf("no watch of process %d", target))
	return 0
}

func stop(list ...beside) {
	for _, p := range list {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	for _, p := range list {
		_, _ = syscall.Wait4(p.pid, nil, 0, nil)
	}
}

// monitrc has monit look once a second at one process and its memory.
func monitrc(b *built, pid string) string {
	dir := b.folder("monit")
	check(os.WriteFile(dir+"/pid", []byte(pid+"\n"), 0o600))
	text := strings.ReplaceAll("set daemon 1\nset idfile DIR/id\nset statefile DIR/state\nset logfile DIR/log\n"+
		"check process target with pidfile DIR/pid\n  if totalmem > 4 GB for 3 cycles then alert\n", "DIR", dir)
	check(os.WriteFile(dir+"/monitrc", []byte(text), 0o600))
	return dir + "/monitrc"
}

// program is one that waits for lines on its stdin and answers them, and ends with us.
type program struct {
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

func begin(path string, env []string, args ...string) *program {
	p := &program{cmd: exec.Command(path, args...)}
	p.cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, write, err := os.Pipe()
	check(err)
	out, err := p.cmd.StdoutPipe()
	check(err)
	p.cmd.Stdin, p.in, p.out = in, write, bufio.NewReader(out)
	check(p.cmd.Start())
	check(in.Close())
	return p
}

// ask writes a line, where there is one, and reads until a line that begins with ok.
func (p *program) ask(line string) {
	if line != "" {
		_, err := p.in.WriteString(line + "\n")
		check(err)
	}
	for {
		answer, err := p.out.ReadString('\n')
		check(err)
		if strings.HasPrefix(answer, "ok") {
			return
		}
	}
}

func (p *program) end() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.in.Close()
}
