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

// This file prints the tables of watches: the cost of a watch while nothing happens, in memory and in CPU time, which
// is read from the kernel's statistics of each thread.

// Upper bounds of the cost of an idle watch.
const (
	watchTimes    = 4.0  // CPU time, as a multiple of the CPU time of the C program testdata/statm.c
	watchResident = 0.8  // resident memory, as a multiple of the memory of the sleeping Go program (folder "linked")
	watchShare    = 8.0  // processor time in % of a core, for 10,000 targets
	watchMemory   = 50.0 // MiB resident, for 10,000 targets
)

// warmUp is how long a watch runs before it is measured. By then its start is over, the settle time of the policy has
// passed, and the watch has returned memory to the kernel, which takes at most eleven seconds. The measurement of
// services waits a third of it after quietWatch.
const warmUp = 15 * time.Second

// competitor is one of several programs that are measured at the same time.
type competitor struct {
	name string
	pid  int
}

func watchTables(b *built, _ []string) bool {
	check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) // become the parent of the watch of a launch, which is an orphan
	policy := b.write("watch.toml", "[budget]\nvirtual = \"4GiB\"\nsettle = \"1s\"\n")
	ok, slow := sideBySide(b, policy)
	ok = manyTargets(b, policy, slow) && ok
	return manyServices(b, slow) && ok
}

// quiet is the CPU time of the C program testdata/statm.c on an idle machine, in µs per second.
const quiet = 50

// sideBySide runs several programs at the same time and measures them; one is the C program. The factor "slow" is the C
// program's CPU time relative to an idle machine, at least 1. manyTargets and manyServices measure without the C
// program, so they multiply their bounds in % of a core by this factor.
func sideBySide(b *built, policy string) (ok bool, slow float64) {
	targets, end := start(b, 1)
	defer end()
	target := spawn(b.release(), "run", "--policy", policy, "--", "/bin/sleep", "1000")
	list := []competitor{
		{"a C program: `usleep` and `pread`", spawn(b.c("examples/internal/bench/testdata/statm.c"), targets[0])},
		{"**the watch of a launch**", watchOf(target)},
		{"a Go program with the same libraries, asleep", spawn(b.goBuild("relea-linked", "./examples/internal/bench/linked", true))},
	}
	if monit, err := exec.LookPath("monit"); err == nil {
		list = append(list, competitor{"monit, one process a second", spawn(monit, "-I", "-c", monitrc(b, targets[0]))})
	}
	defer stop(append(list, competitor{pid: target})...)
	time.Sleep(warmUp)
	costs := measure(list)
	head("one sample a second", "processor time", "× the C program", "resident", "× the sleeping program", "threads")
	for i, c := range costs {
		row(list[i].name, fmt.Sprintf("%.0f µs/s", c.micros), fmt.Sprintf("%.1f", times(c.micros, costs[0].micros)),
			fmt.Sprintf("%.1f MiB", c.mib()), fmt.Sprintf("%.2f", times(c.rss, costs[2].rss)), strconv.Itoa(c.threads))
	}
	fmt.Println()
	return hold(bound{"processor time of a watch, as a multiple of the C program's", times(costs[1].micros, costs[0].micros), watchTimes},
		bound{"memory of a watch, as a multiple of that of a sleeping Go program with the same libraries", times(costs[1].rss, costs[2].rss), watchResident}), max(1, costs[0].micros/quiet)
}

// manyTargets watches increasing numbers of processes with one watch. The bounds are for 10,000 processes.
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
	return hold(bound{"processor time of a watch of 10,000 targets, in % of a core", c.micros / 1e4, watchShare * slow},
		bound{"memory of a watch of 10,000 targets, in MiB", c.mib(), watchMemory})
}

func watchMany(b *built, policy string, n int) cost {
	targets, end := start(b, n)
	defer end()
	watch := []competitor{{pid: spawn(b.release(), append([]string{"watch", "--policy", policy}, targets...)...)}}
	defer stop(watch...)
	time.Sleep(warmUp)
	return measure(watch)[0]
}

// cost is the cost of one process.
type cost struct {
	micros       float64 // CPU time in µs per second
	rss, threads int     // rss in kB
}

func (c cost) mib() float64 { return float64(c.rss) / 1024 }

// measure returns the cost of each process. The CPU time is the median of several periods of one second, because a
// short pause of the whole machine does not change the median.
func measure(list []competitor) []cost {
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

// spent is the sum of the CPU times of all threads, in nanoseconds: the first number of schedstat, "1234567 8900 12"
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

func read(pid int, name string) string { return readFile(fmt.Sprintf("/proc/%d/%s", pid, name)) }

func readFile(path string) string {
	text, err := os.ReadFile(path)
	check(err)
	return string(text)
}

// field returns the number after a name.
func field(text, name string) (n int) {
	_, rest, _ := strings.Cut(text, name)
	_, err := fmt.Sscan(rest, &n)
	check(err)
	return n
}

// start starts n idle processes to watch or inspect; args are further arguments of forest.c.
func start(b *built, n int, args ...string) (pids []string, end func()) {
	forest := begin(b.c("launcher/inspect/testdata/forest.c"), nil, append([]string{strconv.Itoa(n)}, args...)...)
	forest.ask("")
	parent := forest.cmd.Process.Pid
	pids = strings.Fields(read(parent, fmt.Sprintf("task/%d/children", parent)))
	if len(pids) != n {
		check(fmt.Errorf("%d processes could be started, want %d", len(pids), n))
	}
	return pids, func() { // forest.c ends and reaps them
		check(forest.in.Close())
		check(forest.cmd.Wait())
	}
}

// spawn starts a program that is killed when this process ends.
func spawn(path string, args ...string) int {
	attr := &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{null.Fd(), null.Fd(), 2}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
	pid, err := syscall.ForkExec(path, append([]string{path}, args...), attr)
	check(err)
	return pid
}

// watchOf returns the PID of the arenacap that watches the target.
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

func stop(list ...competitor) {
	for _, p := range list {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	for _, p := range list {
		_, _ = syscall.Wait4(p.pid, nil, 0, nil)
	}
}

// monitrc makes monit check some processes and their memory once a second.
func monitrc(b *built, pids ...string) string {
	dir := b.folder("monit")
	text := "set daemon 1\nset pidfile DIR/own\nset idfile DIR/id\nset statefile DIR/state\nset logfile DIR/log\n"
	for i, pid := range pids {
		check(os.WriteFile(fmt.Sprintf("%s/%d", dir, i), []byte(pid+"\n"), 0o600))
		text += fmt.Sprintf("check process target%d with pidfile DIR/%[1]d\n  if totalmem > 4 GB for 3 cycles then alert\n", i)
	}
	check(os.WriteFile(dir+"/monitrc", []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600))
	return dir + "/monitrc"
}

// program is a running program that answers lines on its stdin, and is killed when this process ends.
type program struct {
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

func begin(path string, env []string, args ...string) *program {
	p := &program{cmd: exec.Command(path, args...)}
	p.cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = os.Stderr
	in, write, err := os.Pipe()
	check(err)
	out, err := p.cmd.StdoutPipe()
	check(err)
	p.cmd.Stdin, p.in, p.out = in, write, bufio.NewReader(out)
	check(p.cmd.Start())
	check(in.Close())
	return p
}

// ask writes a line, unless it is empty, and reads until a line that begins with "ok".
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
