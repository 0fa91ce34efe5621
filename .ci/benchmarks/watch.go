// Watch measures what watches cost while nothing happens, over the same seconds: processor time by the kernel's account
// of each thread, and memory.
//
//	watch -arenacap FILE -statm FILE -asleep FILE -children FILE [-monit FILE] [flags]
//
// Status 1 where the watch of arenacap takes more than -times as much processor time as statm, or holds more than
// -resident times as much memory as asleep, or for the largest number of targets more than -share of a core,
// times what statm takes beyond a quiet machine's 50 µs/s, or -most MiB.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	arenacap = flag.String("arenacap", "", "the program")
	statm    = flag.String("statm", "", "statm.c")
	asleep   = flag.String("asleep", "", "linked.go with asleep.go")
	children = flag.String("children", "", "children.c")
	monit    = flag.String("monit", "", "monit; none is left out")
	folder   = flag.String("folder", "", "an empty folder to work in")
	seconds  = flag.Int("seconds", 20, "of each measurement")
	counts   = flag.String("targets", "1,10,100,1000,10000", "the numbers of targets")
	times    = flag.Float64("times", 4, "the most processor time, in multiples of statm")
	resident = flag.Float64("resident", 0.8, "the most resident memory, in multiples of asleep")
	share    = flag.Float64("share", 8, "the most of a core for the largest number of targets, in per cent")
	most     = flag.Float64("most", 50, "the most resident memory for the largest number of targets, in MiB")
)

// warmUp is for the start, settle, and the memory that is given back at most eleven seconds later.
const warmUp = 15 * time.Second

// What is started ends with the thread that started it (PR_SET_PDEATHSIG), which must be one that stays.
func init() { runtime.LockOSThread() }

func main() {
	flag.Parse()
	// We end with the script that started us, however it ends.
	check(unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0))
	// The watch of a launch is nobody's child: it comes to us.
	check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	check(os.WriteFile(policyFile(), []byte("[budget]\nvirtual = \"4GiB\"\nsettle = \"1s\"\n"), 0o600))
	ok, slow := sideBySide()
	if !manyTargets(slow) || !ok {
		os.Exit(1)
	}
}

func policyFile() string { return *folder + "/policy.toml" }

// quiet is what statm.c takes where nothing else runs, in µs/s.
const quiet = 50

// sideBySide watches one process with everything at once. slow is how many times as long statm.c took as on a quiet
// machine: so much more may the rest take, which is measured without it.
func sideBySide() (ok bool, slow float64) {
	end, pids := start(1)
	defer end()
	run := map[string]int{
		"statm.c":      spawn(*statm, pids[0]),
		"asleep":       spawn(*asleep),
		"arenacap run": launched(spawn(*arenacap, "run", "--policy", policyFile(), "--", "/bin/sleep", "1000")),
	}
	names := []string{"statm.c", "arenacap run", "asleep"}
	if *monit != "" {
		run["monit"] = spawn(*monit, "-I", "-c", monitrc(pids[0]))
		names = append(names, "monit")
	}
	time.Sleep(warmUp)
	costs := measure(run)
	fmt.Printf("one target, a sample a second, over %d s\n%-14s %8s %12s %12s %12s %8s %8s\n", *seconds, "", "µs/s", "wake-ups/s", "resident kB", "of no file", "PSS kB", "threads")
	for _, name := range names {
		c := costs[name]
		fmt.Printf("%-14s %8.1f %12.1f %12d %12d %8d %8d\n", name, c.micros, c.wakes, c.rss, c.anon, c.pss, c.threads)
	}
	w := costs["arenacap run"]
	cpu, memory := w.micros/costs["statm.c"].micros, float64(w.rss)/float64(costs["asleep"].rss)
	fmt.Printf("arenacap's watch: %.2f × statm.c's processor time (at most %.1f), %.2f × asleep's memory (at most %.2f)", cpu, *times, memory, *resident)
	if *monit != "" {
		fmt.Printf("; monit: %.0f × its processor time, %.2f × its memory", costs["monit"].micros/w.micros, float64(costs["monit"].rss)/float64(w.rss))
	}
	fmt.Print("\n\n")
	stop(run)
	return cpu <= *times && memory <= *resident, max(1, costs["statm.c"].micros/quiet)
}

// manyTargets watches more and more processes with one watch.
func manyTargets(slow float64) bool {
	fmt.Printf("one watch of many targets, a sample a second of each, over %d s\n%8s %12s %8s %14s %12s %12s\n", *seconds, "targets", "% of a core", "µs each", "resident MiB", "of no file", "descriptors")
	var n int
	var c cost
	for text := range strings.SplitSeq(*counts, ",") {
		var err error
		n, err = strconv.Atoi(text)
		check(err)
		end, pids := start(n)
		run := map[string]int{"watch": spawn(*arenacap, append([]string{"watch", "--policy", policyFile()}, pids...)...)}
		time.Sleep(warmUp)
		c = measure(run)["watch"]
		fmt.Printf("%8d %12.3f %8.1f %14.1f %12.1f %12d\n", n, c.micros/1e4, c.micros/float64(n), float64(c.rss)/1024, float64(c.anon)/1024, c.open)
		stop(run)
		end()
	}
	allowed := *share * slow
	fmt.Printf("%d targets: at most %.3g %% of a core, on a machine that is %.1f times as slow as a quiet one, and %.3g MiB\n", n, allowed, slow, *most)
	return c.micros/1e4 <= allowed && float64(c.rss)/1024 <= *most
}

// cost is what one process took.
type cost struct {
	nanos, slices  uint64
	micros, wakes  float64 // a second
	rss, anon, pss int     // kB
	threads, open  int
}

func measure(run map[string]int) map[string]cost {
	before := map[string]cost{}
	for name, pid := range run {
		before[name] = spent(pid)
	}
	time.Sleep(time.Duration(*seconds) * time.Second)
	costs := map[string]cost{}
	for name, pid := range run {
		c := spent(pid)
		c.micros = float64(c.nanos-before[name].nanos) / 1e3 / float64(*seconds)
		c.wakes = float64(c.slices-before[name].slices) / float64(*seconds)
		status := read(pid, "status")
		c.rss, c.anon, c.threads = field(status, "VmRSS:"), field(status, "RssAnon:"), field(status, "Threads:")
		c.pss = field(read(pid, "smaps_rollup"), "Pss:")
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		check(err)
		c.open = len(fds)
		costs[name] = c
	}
	return costs
}

// spent adds up schedstat of all threads: nanoseconds on a processor, nanoseconds of waiting for one, and how often
// it came to run (Linux: Documentation/scheduler/sched-stats.rst).
func spent(pid int) (c cost) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	check(err)
	if len(files) == 0 {
		check(fmt.Errorf("process %d has ended", pid))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		var nanos, waited, slices uint64
		_, err = fmt.Sscan(string(text), &nanos, &waited, &slices)
		check(err)
		c.nanos, c.slices = c.nanos+nanos, c.slices+slices
	}
	return c
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

// start begins n processes to be watched.
func start(n int) (end func(), pids []string) {
	cmd := exec.Command(*children, strconv.Itoa(n))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	check(err)
	out, err := cmd.StdoutPipe()
	check(err)
	cmd.Stderr = os.Stderr
	check(cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		pids = append(pids, lines.Text())
	}
	if len(pids) != n {
		check(fmt.Errorf("%d processes could be started, want %d", len(pids), n))
	}
	return func() {
		check(in.Close())
		check(cmd.Wait())
		for range n { // they end by the signal and come to us
			_, _ = syscall.Wait4(-1, nil, 0, nil)
		}
	}, pids
}

// spawn starts a program. What it says on stdout, as monit does, is not wanted.
func spawn(path string, args ...string) int {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	check(err)
	defer null.Close()
	attr := &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{null.Fd(), null.Fd(), 2}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
	pid, err := syscall.ForkExec(path, append([]string{path}, args...), attr)
	check(err)
	return pid
}

// watchOf is the watch of each launch.
var watchOf = map[int]int{}

// launched finds the watch that stands beside a target.
func launched(target int) int {
	name := fmt.Sprintf("arenacap: watch %d", target)
	for range 500 {
		dirs, err := filepath.Glob("/proc/[0-9]*")
		check(err)
		for _, dir := range dirs {
			line, err := os.ReadFile(dir + "/cmdline")
			if err == nil && strings.TrimRight(string(line), "\x00") == name {
				pid, err := strconv.Atoi(filepath.Base(dir))
				check(err)
				watchOf[pid] = target
				return pid
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	check(fmt.Errorf("no watch of process %d", target))
	return 0
}

// stop ends what was spawned. A watch ends with its target.
func stop(run map[string]int) {
	for _, pid := range run {
		sig := syscall.SIGKILL
		if target, ok := watchOf[pid]; ok {
			check(syscall.Kill(target, sig))
			_, _ = syscall.Wait4(target, nil, 0, nil)
		} else {
			check(syscall.Kill(pid, sig))
		}
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
}

// monitrc has monit look once a second at one process and its memory.
func monitrc(pid string) string {
	check(os.WriteFile(*folder+"/pid", []byte(pid+"\n"), 0o600))
	file := *folder + "/monitrc"
	text := "set daemon 1\nset idfile " + *folder + "/id\nset statefile " + *folder + "/state\nset logfile " + *folder + "/log\n" +
		"check process target with pidfile " + *folder + "/pid\n  if totalmem > 4 GB for 3 cycles then alert\n"
	check(os.WriteFile(file, []byte(text), 0o600))
	return file
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "watch-bench:", err)
		os.Exit(2)
	}
}
