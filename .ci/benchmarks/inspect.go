// Inspect measures what a look into live processes takes, with "arenacap inspect" and "arenacap ps", beside
// "pmap -X", gdb calling malloc_info and "ps aux", and what it costs the process that is looked at. Within one
// run all take turns in a random order; the table has medians, and in brackets multiples of arenacap's.
//
//	inspect -arenacap FILE -authserver FILE -arenas FILE -mappings FILE -forest FILE [-runs N] [-seconds S] [-check]
//
// The files are programs: arenacap itself, that of examples/authserver, launcher/arena/testdata/probe.c,
// launcher/inspect/testdata/mappings.c and forest.c. With -check it holds the multiples against the least that
// they may be, each row up to three times before it fails, and leaves out what takes long. The rows of heaps also
// have the most memory that each tool had resident: a look at every chunk must not take more of it than one at the
// arenas.
package main

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	arenacap   = flag.String("arenacap", "", "")
	authserver = flag.String("authserver", "", "")
	arenas     = flag.String("arenas", "", "")
	mappings   = flag.String("mappings", "", "")
	forest     = flag.String("forest", "", "")
	runs       = flag.Int("runs", 15, "how often each tool looks at each process")
	checks     = flag.Bool("check", false, "fail where another tool is faster than it may be")
	peaks      = flag.Bool("peak", false, "run the rest of the command line, and print its most resident memory in MiB")
	seconds    = flag.Float64("seconds", 0.5, "how long each round of the server's work takes")
)

// target is a program that waits for lines on its stdin and answers them.
type target struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func start(env []string, argv ...string) *target {
	t := &target{cmd: exec.Command(argv[0], argv[1:]...)}
	t.cmd.Env, t.cmd.Stderr = append(env, "PATH="+os.Getenv("PATH")), io.Discard
	in, err := t.cmd.StdinPipe()
	check(err)
	out, err := t.cmd.StdoutPipe()
	check(err)
	check(t.cmd.Start())
	t.in, t.out = in, bufio.NewReader(out)
	return t
}

func (t *target) end() {
	_ = t.cmd.Process.Kill()
	_ = t.cmd.Wait()
}

// ask gives a line and returns the one that begins with ok.
func (t *target) ask(line string) string {
	if line != "" {
		_, err := io.WriteString(t.in, line+"\n")
		check(err)
	}
	for {
		answer, err := t.out.ReadString('\n')
		check(err)
		if strings.HasPrefix(answer, "ok") {
			return answer
		}
	}
}

// tool is one way to look.
type tool struct {
	name  string
	argv  func(pid string) []string
	part  int     // of the runs, one in so many
	least float64 // it takes at least so many times the CPU of the first tool: about half of what it was seen to take
}

// words is a command of fixed words, of which PID is replaced.
func words(line string) func(pid string) []string {
	return func(pid string) []string { return strings.Fields(strings.ReplaceAll(line, "PID", pid)) }
}

func inspectTool() tool { return tool{"arenacap inspect", words(*arenacap + " inspect PID"), 1, 0} }

func pmap(least float64) tool { return tool{"pmap -X", words("pmap -X PID"), 1, least} }

func gdb(least float64) tool {
	return tool{"gdb malloc_info", func(pid string) []string {
		return []string{"gdb", "-nx", "-batch", "-p", pid, "-ex", "handle all nostop noprint pass",
			"-ex", `set $f = ((void *(*)(const char *, const char *))fopen)("/dev/null", "w")`,
			"-ex", "print ((int (*)(int, void *))malloc_info)(0, $f)"}
	}, 4, least}
}

// able leaves gdb's call out where it fails. gdb 13 cannot call into a process where the processor has more state than
// it knows ("Couldn't write extended state status"), as with the tiles of AMX.
func able(tools ...tool) []tool {
	return slices.DeleteFunc(tools, func(l tool) bool { return l.name == gdb(0).name && !gdbCalls() })
}

var gdbCalls = sync.OnceValue(func() bool {
	t := idle(nil, []string{*arenas}, "threads 1 1")()
	defer t.end()
	argv := gdb(0).argv(strconv.Itoa(t.cmd.Process.Pid))
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		why := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(line string) bool { return strings.HasPrefix(line, "[") })
		fmt.Printf("gdb malloc_info: not measured, gdb fails here (%v): %s\n", err, strings.Join(why, "; "))
	}
	return err == nil
})

func deepTool() tool {
	return tool{"arenacap inspect --deep", words(*arenacap + " inspect --deep PID"), 1, 0}
}

// coreTool reads what the walk reads, and writes it to nowhere.
func coreTool(least float64) tool {
	return tool{"gdb generate-core-file", func(pid string) []string {
		return []string{"gdb", "-nx", "-batch", "-p", pid, "-ex", "generate-core-file /dev/null"}
	}, 1, least}
}

// cost is what one run took.
type cost struct{ wall, cpu time.Duration }

// look runs the tool once. A status of 1 is a cap that is not kept.
func (l tool) look(pid int) cost {
	argv := l.argv(strconv.Itoa(pid))
	cmd := exec.Command(argv[0], argv[1:]...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		check(fmt.Errorf("%v: %w\n%s", argv, err, out))
	}
	return cost{took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// peak is the most memory that the tool has resident, in MiB. It is started by a program that has less itself: what
// the starter had at its most counts for what it starts (exec_mmap in fs/exec.c).
func (l tool) peak(pid int) (mib float64) {
	out, err := exec.Command("/proc/self/exe", append([]string{"-peak"}, l.argv(strconv.Itoa(pid))...)...).Output()
	check(err)
	_, err = fmt.Sscan(string(out), &mib)
	check(err)
	return mib
}

// printPeak is the program that peak starts.
func printPeak(argv []string) {
	cmd := exec.Command(argv[0], argv[1:]...)
	check(cmd.Run())
	fmt.Println(float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / (1 << 10)) // it is in KiB
}

// row is a process, or a host, and the tools that look at it. Rows that take long are not checked.
type row struct {
	name  string
	start func() *target
	tools []tool
	long  bool
	looks int // how often each tool looks; 0 is as often as asked for
}

// idle is a target that is ready after some lines.
func idle(env []string, argv []string, lines ...string) func() *target {
	return func() *target {
		t := start(env, argv...)
		if len(lines) == 0 || lines[0] != "login alice" {
			t.ask("")
		}
		for _, line := range lines {
			t.ask(line)
		}
		return t
	}
}

func rows() []row {
	server := func(threads string) []string { return []string{*authserver, "-t", threads} }
	logins := slices.Repeat([]string{"login alice"}, 256)
	list := []row{
		{"authserver, 64 threads", idle(nil, server("64"), logins...), able(inspectTool(), pmap(0.7), gdb(25)), false, 0},
		{"authserver, 128 threads", idle(nil, server("128"), logins...), able(inspectTool(), pmap(0), gdb(0)), true, 0},
	}
	for _, n := range []int{1, 16, 128, 1024} {
		r := row{fmt.Sprintf("%d arenas, as many threads", n),
			idle([]string{"MALLOC_ARENA_MAX=" + strconv.Itoa(n)}, []string{*arenas}, fmt.Sprintf("threads %d 1", n)),
			able(inspectTool(), pmap(1.3), gdb(12)), n != 1024, 0}
		list = append(list, r)
	}
	for _, n := range []int{100, 1000, 10000, 65000} {
		r := row{fmt.Sprintf("%d mappings", n), idle(nil, []string{*mappings, strconv.Itoa(n)}), []tool{inspectTool(), pmap(4.9)}, n != 65000, 0}
		list = append(list, r)
	}
	for _, n := range []string{"1000", "2000", "5000"} {
		r := row{n + " processes, every 50th with arenas", idle(nil, []string{*forest, n, "50", "8"}),
			[]tool{{"arenacap ps", words(*arenacap + " ps"), 1, 0}, {"ps aux", words("ps aux"), 1, 0.25}}, n != "2000", 0}
		list = append(list, r)
	}
	return append(list, heapRows()...)
}

// heapRows are of four arenas with chunks that hold 24 bytes, which a walk takes longest for, and 60,000. The largest
// heap is left out where the machine has not half as much memory again.
func heapRows() (list []row) {
	for _, h := range []struct {
		name   string
		gib    float64
		pieces int // in each of four threads
		kib    int // of a piece; 0 is the smallest
		looks  int
	}{
		{"0.5 GiB of heap in chunks of 32 bytes", 0.5, 1 << 22, 0, 0},
		{"2 GiB of heap in chunks of 32 bytes", 2, 1 << 24, 0, 5},
		{"2 GiB of heap in chunks of 60 KiB", 2, 1 << 29 / (60 << 10), 60, 5},
		{"8 GiB of heap in chunks of 32 bytes", 8, 1 << 26, 0, 3},
	} {
		if available() < 1.5*h.gib {
			fmt.Printf("%-40s  left out: there are %.1f GiB of memory\n", h.name, available())
			continue
		}
		fill := slices.Repeat([]string{fmt.Sprintf("hold %d %d", h.pieces, h.kib)}, 4)
		tools := []tool{deepTool(), inspectTool(), coreTool(0.65)}
		list = append(list, row{h.name, idle([]string{"MALLOC_ARENA_MAX=5"}, []string{*arenas}, fill...), tools, h.gib > 0.5, h.looks})
	}
	return list
}

// available is the memory that may be had without swapping, in GiB: a line "MemAvailable:   23632 kB" of
// proc_meminfo(5).
func available() (gib float64) {
	text, err := os.ReadFile("/proc/meminfo")
	check(err)
	_, line, _ := strings.Cut(string(text), "MemAvailable:")
	_, err = fmt.Sscan(line, &gib)
	check(err)
	return gib / (1 << 20)
}

// patience is how long a checked row may take before it makes do with the runs that it has, on a busy machine.
const patience = 5 * time.Second

// compare prints a row: each tool's medians on one target. It reports whether every tool took as much as it must: in
// CPU, and with room to spare in time, which has more noise where others are at work on the machine too.
func (r row) compare() (ok bool) {
	t := r.start()
	defer t.end()
	walls, cpus := make([][]time.Duration, len(r.tools)), make([][]time.Duration, len(r.tools))
	began := time.Now()
	for run := 0; run < cmp.Or(r.looks, *runs) && !(*checks && run > 0 && time.Since(began) > patience); run++ {
		for _, i := range rand.Perm(len(r.tools)) {
			if l := r.tools[i]; run%l.part == 0 {
				c := l.look(t.cmd.Process.Pid)
				walls[i], cpus[i] = append(walls[i], c.wall), append(cpus[i], c.cpu)
			}
		}
	}
	fmt.Printf("%-40s", r.name)
	ok = true
	for i, l := range r.tools {
		wall, cpu := median(walls[i]), median(cpus[i])
		fmt.Printf("  %s %.1f ms", l.name, float64(wall.Microseconds())/1000)
		if i == 0 {
			continue
		}
		times, cpuTimes := float64(wall)/float64(median(walls[0])), float64(cpu)/float64(max(median(cpus[0]), 1))
		fmt.Printf(" (× %.2f, CPU × %.2f)", times, cpuTimes)
		if *checks && (cpuTimes < l.least || times < l.least/3) {
			fmt.Printf(", must be × %.2f and × %.2f at least", l.least/3, l.least)
			ok = false
		}
	}
	fmt.Println()
	return r.bounded(t.cmd.Process.Pid) && ok
}

// bounded prints how much memory a walk over all chunks takes, and reports whether it is about what a look without
// one takes.
func (r row) bounded(pid int) bool {
	if r.tools[0].name != deepTool().name {
		return true
	}
	deep, plain := deepTool().peak(pid), inspectTool().peak(pid)
	fmt.Printf("%-40s  arenacap inspect --deep has %.1f MiB resident at its most, inspect %.1f MiB (× %.2f)\n", "", deep, plain, deep/plain)
	return deep <= mostMemory*plain
}

// mostMemory is how many times as much a walk may take, be the heap as large as it may: it was seen to take 1.5 times
// as much, 3.5 MiB more.
const mostMemory = 2

// checkAll measures the rows that are quick, each again where it fails: three times in a row is no noise.
func checkAll() {
	failed := false
	for _, r := range rows() {
		if !r.long && !r.compare() && !r.compare() && !r.compare() {
			fmt.Printf("FAILED three times: %s\n", r.name)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func median[T float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// share prints the throughput of the 128-thread server while it is looked at without a pause, as a share of that
// while it is not. Server and tool have a core each, so that the tool takes no time from the server but what
// looking costs inside the kernel.
func share() {
	if runtime.NumCPU() < 2 {
		fmt.Println("what it costs the server: not measured, there is one core only")
		return
	}
	server := start(nil, "taskset", "-c", "0", *authserver, "-t", "128")
	defer server.end()
	churn := "churn " + strconv.Itoa(calibrate(server))
	list := able(inspectTool(), pmap(0), gdb(0))
	names := []string{"nothing"}
	for _, l := range list {
		names = append(names, l.name)
	}
	shares, looks := make([][]float64, len(names)), make([]int, len(names))
	for range 15 {
		var bare float64
		for i := range names {
			stop, stopped := make(chan bool), make(chan int)
			go func() { stopped <- lookUntil(stop, list[max(i-1, 0)], server.cmd.Process.Pid, i > 0) }()
			r := rate(server.ask(churn))
			close(stop)
			looks[i] += <-stopped
			if i == 0 {
				bare = r
			}
			shares[i] = append(shares[i], r/bare) // of the same round: the machine has other work too
		}
	}
	fmt.Printf("\nthroughput of the 128-thread server while it is looked at without a pause, as a share of that while it is not\n")
	for i, name := range names {
		m := median(shares[i])
		n := len(shares[i])
		fmt.Printf("%-32s  %.3f (quartiles %.3f to %.3f), %d looks\n", name, m, shares[i][n/4], shares[i][3*n/4], looks[i])
	}
}

// lookUntil looks again and again from the second core, or only waits.
func lookUntil(stop chan bool, l tool, pid int, looks bool) (n int) {
	for looks {
		select {
		case <-stop:
			return n
		default:
			tool{argv: func(pid string) []string { return append([]string{"taskset", "-c", "1"}, l.argv(pid)...) }}.look(pid)
			n++
		}
	}
	<-stop
	return 0
}

// calibrate is how many rounds of work take the seconds that were asked for.
func calibrate(server *target) int {
	for n := 10; ; n *= 2 {
		began := time.Now()
		server.ask("churn " + strconv.Itoa(n))
		if took := time.Since(began).Seconds(); took > *seconds/4 {
			return int(float64(n) * *seconds / took)
		}
	}
}

// rate reads "ok 409600 sessions in 0.215 s".
func rate(answer string) float64 {
	var sessions, took float64
	_, err := fmt.Sscanf(answer, "ok %f sessions in %f s", &sessions, &took)
	check(err)
	return sessions / took
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "inspect-bench:", err)
		os.Exit(1)
	}
}

func main() {
	flag.Parse()
	if *peaks {
		printPeak(flag.Args())
		return
	}
	if *checks {
		checkAll()
		return
	}
	for _, r := range rows() {
		r.compare()
	}
	share()
}
