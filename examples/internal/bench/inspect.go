package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// This file prints the tables of inspections of live processes: arenacap inspect and arenacap ps compared with pmap -X,
// with gdb that calls malloc_info or writes a core, and with ps aux.

// look is a row of a table: a process, and the tools that inspect it, arenacap first.
type look struct {
	name  string
	start func() *program
	tools []tool
	quick bool // the row is measured with -check too
}

// tool is one way to inspect a process. In its command line, PID stands for the PID of the process, and a tab for a
// space within a word.
type tool struct {
	name, line string
	least      float64 // lower bound of the tool's CPU time as a multiple of arenacap's, about half of what was measured; -check fails below this bound; 0: no check
}

func pmap(least float64) tool { return tool{"pmap -X", "pmap -X PID", least} }

func writeCore(least float64) tool {
	return tool{"gdb writing a core", "gdb -nx -batch -p PID -ex generate-core-file\t/dev/null", least}
}

func mallocInfo(least float64) tool {
	return tool{"gdb calling malloc_info", "gdb -nx -batch -p PID -ex handle\tall\tnostop\tnoprint\tpass" +
		" -ex set\t$f=((void*(*)(const\tchar*,const\tchar*))fopen)(\"/dev/null\",\"w\")" +
		" -ex print\t((int(*)(int,void*))malloc_info)(0,$f)", least}
}

const (
	// mostMemory is the upper bound of the memory of inspect --deep, which walks all chunks, as a multiple of the memory of
	// inspect. The measured value was 1.5, which is 3.5 MiB more, for heaps of every size.
	mostMemory = 2
	// patience limits the time for the runs of a row; the runs that ended by then count.
	patience = 20 * time.Second
)

func inspectTables(b *built, args []string) bool {
	if len(args) > 1 && args[0] == "peak" { // this process was started by the function "peak"
		printPeak(args[1:])
		return true
	}
	fmt.Print("medians of runs in random order; in parentheses the time and the processor time as multiples of arenacap's\n\n")
	head("process", "arenacap", "beside it")
	var bounds []bound
	for _, l := range looks(b) {
		if l.quick || !*checks {
			bounds = append(bounds, l.compare()...)
		}
	}
	fmt.Println()
	return hold(bounds...)
}

func looks(b *built) []look {
	server, arenas := b.c("examples/authserver/src/authserver.c"), b.c("launcher/arena/testdata/probe.c")
	mappings, forest := b.c("launcher/inspect/testdata/mappings.c"), b.c("launcher/inspect/testdata/forest.c")
	inspect, ps := tool{"inspect", b.release() + " inspect PID", 0}, tool{"ps", b.release() + " ps", 0}
	return append([]look{
		{"64 threads", ready(server, nil, []string{"-t", "64"}, slices.Repeat([]string{"login alice"}, 256)...),
			[]tool{inspect, pmap(0.5), mallocInfo(12)}, true},
		{"1,024 arenas", ready(arenas, []string{"MALLOC_ARENA_MAX=1024"}, nil, "", "threads 1024 1"),
			[]tool{inspect, pmap(1), mallocInfo(6)}, true},
		{"65,000 mappings", ready(mappings, nil, []string{"65000"}, ""), []tool{inspect, pmap(3)}, true},
		{"1,000 processes, every 50th with arenas", ready(forest, nil, []string{"1000", "50", "8"}, ""),
			[]tool{ps, {"ps aux", "ps aux", 0.2}}, true},
		{"5,000 processes, every 50th with arenas", ready(forest, nil, []string{"5000", "50", "8"}, ""),
			[]tool{ps, {"ps aux", "ps aux", 0}}, false},
	}, heaps(b, arenas, inspect)...)
}

// heaps returns the rows for processes with four arenas beside the main one. Their chunks have either 32 bytes, the
// size with which a walk takes longest, or 60 KiB. A row is left out if less than 1.5 times the memory of its process
// is available.
func heaps(b *built, arenas string, inspect tool) (list []look) {
	for _, h := range []struct {
		name         string
		gib          float64
		pieces, size int // pieces: number of chunks in each of four threads; size: size of a chunk in KiB, 0 for the smallest chunk
	}{
		{"0.5 GiB of 32-byte chunks", 0.5, 1 << 22, 0},
		{"2 GiB of 32-byte chunks", 2, 1 << 24, 0},
		{"2 GiB of 60 KiB chunks", 2, 1 << 29 / (60 << 10), 60},
		{"8 GiB of 32-byte chunks", 8, 1 << 26, 0},
	} {
		if available() < 1.5*h.gib {
			fmt.Printf("%s: left out, there are %.1f GiB of memory\n", h.name, available())
			continue
		}
		fill := append([]string{""}, slices.Repeat([]string{fmt.Sprintf("hold %d %d", h.pieces, h.size)}, 4)...)
		deep := tool{"inspect --deep", b.release() + " inspect --deep PID", 0}
		list = append(list, look{h.name, ready(arenas, []string{"MALLOC_ARENA_MAX=5"}, nil, fill...), []tool{deep, writeCore(0.4), inspect}, h.gib < 1})
	}
	return list
}

// ready returns a function that starts a program, sends it the lines one by one, and waits for the answer to each. For an
// empty line it sends nothing and only waits.
func ready(path string, env, args []string, lines ...string) func() *program {
	return func() *program {
		p := begin(path, env, args...)
		for _, line := range lines {
			p.ask(line)
		}
		return p
	}
}

// available is the memory available without swapping, in GiB, from the line "MemAvailable:   23632 kB" of
// proc_meminfo(5).
func available() (gib float64) {
	text, err := os.ReadFile("/proc/meminfo")
	check(err)
	return float64(field(string(text), "MemAvailable:")) / (1 << 20)
}

// compare prints a row and returns the bounds of arenacap's cost in it.
func (l look) compare() (bounds []bound) {
	p := l.start()
	defer p.end()
	list := l.able()
	var tools []*timed
	for _, t := range list {
		tools = append(tools, t.command(p))
	}
	takeTurns(tools, cmp.Or(*runs, 15), patience)
	ours := tools[0]
	var others []string
	for i, t := range tools[1:] {
		cpu := times(median(t.cpu), median(ours.cpu))
		others = append(others, fmt.Sprintf("%s %s (× %.2f, × %.2f)", t.name, ms(median(t.took)), times(median(t.took), median(ours.took)), cpu))
		if least := list[i+1].least; least > 0 {
			bounds = append(bounds, bound{l.name + ": processor time as a multiple of that of " + t.name, 1 / cpu, 1 / least})
		}
	}
	row(l.name, ours.name+" "+ms(median(ours.took)), strings.Join(others, ", "))
	if ours.name == "inspect --deep" {
		deep, plain := peak(ours.argv), peak(tools[2].argv)
		bounds = append(bounds, bound{fmt.Sprintf("%s: memory of inspect --deep, %.1f MiB, as a multiple of that of inspect", l.name, deep), deep / plain, mostMemory})
	}
	return bounds
}

func (t tool) command(p *program) *timed {
	line := strings.ReplaceAll(t.line, "PID", strconv.Itoa(p.cmd.Process.Pid))
	c := words(t.name, strings.ReplaceAll(line, "\t", "\x00"))
	for i := range c.argv {
		c.argv[i] = strings.ReplaceAll(c.argv[i], "\x00", " ")
	}
	return c
}

// able leaves out gdb's call if it fails. It tries the call on a separate process, because a failure may end the process.
// gdb 13 cannot call functions on processors with state that it does not know ("Couldn't write extended state status"), such
// as AMX tiles.
func (l look) able() []tool {
	return slices.DeleteFunc(slices.Clone(l.tools), func(t tool) bool {
		if t.name != mallocInfo(0).name {
			return false
		}
		p := l.start()
		defer p.end()
		argv := t.command(p).argv
		return exec.Command(argv[0], argv[1:]...).Run() != nil
	})
}

// peak is the peak resident memory of a command, in MiB. A new process of bench, which is small, starts the command,
// because a child's peak includes its parent's memory until the exec (exec_mmap in fs/exec.c).
func peak(argv []string) (mib float64) {
	out, err := exec.Command("/proc/self/exe", append([]string{"inspect", "peak"}, argv...)...).Output()
	check(err)
	_, err = fmt.Sscan(string(out), &mib)
	check(err)
	return mib
}

// printPeak runs in the process that the function "peak" starts: it runs the command and prints the command's peak.
func printPeak(argv []string) {
	cmd := exec.Command(argv[0], argv[1:]...)
	check(cmd.Run())
	fmt.Println(float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / (1 << 10)) // Maxrss is in KiB; the result is in MiB
}
