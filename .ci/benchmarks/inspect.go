// Inspect measures what a look into a live process takes, with "arenacap inspect", "pmap -X" and gdb calling
// malloc_info, and what it costs the process that is looked at. All are measured in turns within one run; the
// table has medians, and in brackets multiples of inspect.
//
//	inspect -arenacap FILE -authserver FILE -arenas FILE -mappings FILE [-runs N] [-seconds S]
//
// The files are programs: arenacap itself, that of examples/authserver, launcher/arena/testdata/probe.c and
// launcher/inspect/testdata/mappings.c.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	arenacap   = flag.String("arenacap", "", "")
	authserver = flag.String("authserver", "", "")
	arenas     = flag.String("arenas", "", "")
	mappings   = flag.String("mappings", "", "")
	runs       = flag.Int("runs", 15, "how often each tool looks at each process")
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

// tool is one way to look into a process.
type tool struct {
	name string
	argv func(pid string) []string
	part int // of the runs, one in so many
}

func tools() []tool {
	return []tool{
		{"inspect", func(pid string) []string { return []string{*arenacap, "inspect", pid} }, 1},
		{"pmap -X", func(pid string) []string { return []string{"pmap", "-X", pid} }, 1},
		{"gdb malloc_info", func(pid string) []string {
			return []string{"gdb", "-nx", "-batch", "-p", pid, "-ex", "handle all nostop noprint pass",
				"-ex", `set $f = ((void *(*)(const char *, const char *))fopen)("/dev/null", "w")`,
				"-ex", "print ((int (*)(int, void *))malloc_info)(0, $f)"}
		}, 5},
	}
}

// look runs the tool once. A status of 1 is a cap that is not kept.
func (l tool) look(pid int) time.Duration {
	argv := l.argv(strconv.Itoa(pid))
	began := time.Now()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	took := time.Since(began)
	if err != nil {
		check(fmt.Errorf("%v: %w\n%s", argv, err, out))
	}
	return took
}

// compare prints a row: each tool's median on one process.
func compare(name string, t *target) {
	defer t.end()
	took := make([][]time.Duration, len(tools()))
	for run := range *runs {
		for i, l := range tools() {
			if run%l.part == 0 {
				took[i] = append(took[i], l.look(t.cmd.Process.Pid))
			}
		}
	}
	fmt.Printf("%-32s", name)
	first := float64(median(took[0]))
	for i := range took {
		m := median(took[i])
		fmt.Printf("  %9.1f ms (%5.1f)", float64(m.Microseconds())/1000, float64(m)/first)
	}
	fmt.Println()
}

func median[T float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// cost prints the throughput of the 128-thread server while it is looked at without a pause, as a share of that
// while it is not. Server and tool have a core each, so that the tool takes no time from the server but what
// looking costs inside the kernel.
func cost() {
	if runtime.NumCPU() < 2 {
		fmt.Println("what it costs the server: not measured, there is one core only")
		return
	}
	server := start(nil, "taskset", "-c", "0", *authserver, "-t", "128")
	defer server.end()
	churn := "churn " + strconv.Itoa(calibrate(server))
	list := tools()
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
	fmt.Printf("%-32s", "median (multiple of inspect)")
	for _, l := range tools() {
		fmt.Printf("  %20s", l.name)
	}
	fmt.Println()

	server := start(nil, *authserver, "-t", "128")
	for range 256 {
		server.ask("login alice")
	}
	compare("authserver, 128 threads", server)
	for _, n := range []int{1, 16, 128, 1024} {
		t := start([]string{"MALLOC_ARENA_MAX=" + strconv.Itoa(n)}, *arenas)
		t.ask("")
		t.ask(fmt.Sprintf("threads %d 1", n))
		compare(fmt.Sprintf("%d arenas, as many threads", n), t)
	}
	for _, n := range []int{100, 1000, 10000, 65000} {
		t := start(nil, *mappings, strconv.Itoa(n))
		t.ask("")
		compare(fmt.Sprintf("%d mappings", n), t)
	}
	cost()
}
