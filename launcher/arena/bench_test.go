package arena

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The benchmarks of Inspect also run two other tools on the same process, pmap -X and gdb, which calls malloc_info in
// the process. They report the time of each tool as a multiple of the time of Inspect.

func BenchmarkByMappings(b *testing.B) {
	bin := compile(b, "testdata/probe.c")
	for _, n := range []int{100, 1000, 10000, 65000} {
		p := start(b, []string{"MALLOC_ARENA_MAX=4"}, bin)
		p.do("threads 3 10")
		p.do(fmt.Sprintf("maps %d", n))
		b.Run(fmt.Sprintf("%d/count", n), func(b *testing.B) { benchCount(b, p.pid()) })
		b.Run(fmt.Sprintf("%d/inspect", n), func(b *testing.B) { benchInspect(b, p.pid()) })
	}
}

func BenchmarkByArenas(b *testing.B) {
	bin := compile(b, "testdata/probe.c")
	for _, n := range []int{1, 8, 64, 256, 1024} {
		p := start(b, []string{fmt.Sprintf("MALLOC_ARENA_MAX=%d", n)}, bin)
		p.do(fmt.Sprintf("threads %d 10", n))
		b.Run(fmt.Sprintf("%d/count", n), func(b *testing.B) { benchCount(b, p.pid()) })
		b.Run(fmt.Sprintf("%d/inspect", n), func(b *testing.B) { benchInspect(b, p.pid()) })
	}
}

func benchCount(b *testing.B, pid int) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Count(pid); err != nil {
			b.Fatal(err)
		}
	}
}

func benchInspect(b *testing.B, pid int) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Inspect(pid); err != nil {
			b.Fatal(err)
		}
	}
	each := b.Elapsed() / time.Duration(b.N)
	compareTool(b, each, "pmap", "pmap", "-X", fmt.Sprint(pid))
	compareTool(b, each, "gdb", "gdb", "-q", "-batch", "-p", fmt.Sprint(pid), "-ex", `call (int)malloc_info(0, (void*)fopen("/dev/null", "w"))`)
}

// compareTool runs another tool once and reports its time as a multiple of the time of one Inspect, the argument
// "each".
func compareTool(b *testing.B, each time.Duration, name string, argv ...string) {
	if _, err := exec.LookPath(argv[0]); err != nil {
		return
	}
	began := time.Now()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		b.Fatalf("%s: %v: %s", argv[0], err, out)
	}
	b.ReportMetric(float64(time.Since(began))/float64(each), name+"/inspect")
}

func BenchmarkWalk(b *testing.B) {
	bin := compile(b, "testdata/probe.c")
	// The first command makes chunks of 32 bytes, the second chunks of 60,000 bytes.
	for _, size := range []string{"hold 1000000 0", "threads 1 256000"} {
		b.Run(size, func(b *testing.B) {
			p := start(b, nil, bin)
			p.do(size)
			got, err := Inspect(p.pid())
			if err != nil {
				b.Fatal(err)
			}
			var bytes uint64
			for _, a := range got.Arenas {
				bytes += a.SystemMem
			}
			b.SetBytes(int64(bytes))
			for b.Loop() {
				if err := got.Walk(b.Context(), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCensus compares the two ways to read mappings: one by one (PROCMAP_QUERY), and the text of maps.
func BenchmarkCensus(b *testing.B) {
	bin := compile(b, "testdata/probe.c")
	for _, c := range []struct{ name, commands string }{
		{"main arena only", "trim"},
		{"16 arenas, 16 threads", "threads 16 10"},
		{"16 arenas, 128 threads", "threads 128 10"},
		{"16 arenas, 1000 mappings", "threads 16 10,maps 1000"},
		{"16 arenas, 65000 mappings", "threads 16 10,maps 65000"},
		{"64 arenas", "threads 64 10"},
	} {
		limit := 16
		if c.name == "64 arenas" {
			limit = 64
		}
		p := start(b, []string{fmt.Sprintf("MALLOC_ARENA_MAX=%d", limit)}, bin)
		for command := range strings.SplitSeq(c.commands, ",") {
			if command != "" {
				p.do(command)
			}
		}
		live := opened(b, procRoot, p.pid())
		b.Run(c.name+"/queries", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if q := newQueries(live.maps); !second(q.census(live.mem)) {
					b.Skip(q.err)
				}
			}
		})
		b.Run(c.name+"/text", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				byText(b, live)
			}
		})
	}
}

func second[T any](_ T, ok bool) bool { return ok }

// BenchmarkResident compares the two ways to read resident sizes: PAGEMAP_SCAN and smaps.
func BenchmarkResident(b *testing.B) {
	bin := compile(b, "testdata/probe.c")
	for _, command := range []string{"threads 128 10", "maps 65000", "hold 1000 1024"} {
		p := start(b, nil, bin)
		p.do(command)
		p.do("touch")
		live := opened(b, procRoot, p.pid())
		maps, err := live.readMaps()
		if err != nil {
			b.Fatal(err)
		}
		list := regions(maps, nil)
		pages := live.pagemap()
		b.Cleanup(pages.close)
		b.Run(command+"/pagemap", func(b *testing.B) {
			for b.Loop() {
				if err := pages.scan(list[0].Start, list[len(list)-1].End, credit(list)); err != nil {
					b.Skip(err)
				}
			}
		})
		b.Run(command+"/smaps", func(b *testing.B) {
			for b.Loop() {
				if err := live.addSmaps(list, pages); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
