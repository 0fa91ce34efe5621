package arena

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// walk calls Inspect and Walk.
func walk(t *testing.T, pid int) *Process {
	t.Helper()
	got, err := Inspect(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Walk(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestWalkEqualsMallocInfo compares the walk with malloc_info. In the output of malloc_info, "rest" is the bytes in bins
// and the top chunk, and "fast" the bytes in fastbins, which the arena counts as in use.
func TestWalkEqualsMallocInfo(t *testing.T) {
	cases := []struct {
		name     string
		flags    []string
		env      string
		commands []string
	}{
		{"untouched", nil, "", nil},
		{"held", nil, "MALLOC_ARENA_MAX=3", []string{"threads 4 3000"}},
		{"partly freed", nil, "MALLOC_ARENA_MAX=3", []string{"threads 4 3000", "free"}},
		{"small chunks partly freed", nil, "MALLOC_ARENA_MAX=3", []string{"hold 20000 1", "free"}},
		{"several heaps partly freed", nil, "MALLOC_ARENA_MAX=4", []string{"threads 3 80000", "free"}},
		{"all freed", nil, "MALLOC_ARENA_MAX=3", []string{"threads 4 3000", "end"}},
		{"after churn", nil, "MALLOC_ARENA_MAX=4", []string{"churn 8", "end"}},
		{"main arena only", nil, "MALLOC_ARENA_MAX=1", []string{"threads 4 3000", "free"}},
		{"huge pages", nil, "GLIBC_TUNABLES=glibc.malloc.hugetlb=2:glibc.malloc.arena_max=3", []string{"threads 3 9000", "free"}},
		{"static", []string{"-static"}, "MALLOC_ARENA_MAX=2", []string{"threads 4 3000", "free"}},
		{"32-bit", []string{"-m32"}, "MALLOC_ARENA_MAX=3", []string{"threads 4 3000", "free"}},
		{"32-bit after churn", []string{"-m32"}, "MALLOC_ARENA_MAX=3", []string{"churn 4", "end"}},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, []string{tt.env}, compile(t, "testdata/probe.c", tt.flags...))
			for _, command := range tt.commands {
				p.do(command)
			}
			inside := strings.Split(p.do("info"), "<heap nr=")[1:]
			got := walk(t, p.pid())
			if len(inside) != len(got.Arenas) {
				t.Fatalf("%d arenas, malloc_info says %d", len(got.Arenas), len(inside))
			}
			for i, a := range got.Arenas {
				_, rest, _ := strings.Cut(inside[i], `<total type="rest" `)
				_, fast, _ := strings.Cut(inside[i], `<total type="fast" `)
				c := a.Chunks
				if a.Main && a.Reserved != a.SystemMem && c.InUse == 0 && c.Unknown != 0 && strings.Contains(tt.env, "hugetlb=2") {
					continue // the main arena's memory is in separate huge pages, at unknown addresses
				}
				// malloc_info adds up the sizes of free chunks with their flags: each has PREV_INUSE (1), some have
				// NON_MAIN_ARENA (4)
				if flags := number(t, rest, `size="`) - c.Free - c.Top; flags < uint64(c.FreeCount) || flags > 5*uint64(c.FreeCount) || (flags-uint64(c.FreeCount))%4 != 0 {
					t.Errorf("arena %d: %d bytes free and %d in the top chunk; malloc_info says %d (and %d in fastbins): %+v",
						i, c.Free, c.Top, number(t, rest, `size="`), number(t, fast, `size="`), c)
				}
				if want := int(number(t, rest, `count="`)); a.SystemMem > 0 && c.FreeCount+1 != want {
					t.Errorf("arena %d: %d free chunks and the top one; malloc_info says %d", i, c.FreeCount, want)
				}
				if c.Breaks != 0 || c.Moved || c.Unknown != 0 {
					t.Errorf("arena %d of a quiet process was not walked completely: %+v", i, c)
				}
				if sum := c.InUse + c.Free + c.Top + c.Overhead + c.Unknown; sum != a.SystemMem {
					t.Errorf("arena %d: the fields add up to %d bytes, the arena has %d: %+v", i, sum, a.SystemMem, c)
				}
			}
		})
	}
}

// TestTrimmable compares Trimmable with the bytes by which malloc_trim reduces the resident size.
func TestTrimmable(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=4"}, compile(t, "testdata/probe.c"))
	for _, command := range []string{"threads 3 40000", "hold 5000 8", "free"} {
		p.do(command)
	}
	var promised uint64
	for _, a := range walk(t, p.pid()).Arenas {
		promised += a.Chunks.Trimmable
	}
	before := inArenas(t, p)
	p.do("trim")
	given := before - inArenas(t, p)
	if promised == 0 || given != promised {
		t.Errorf("Trimmable is %d bytes, malloc_trim gave back %d", promised, given)
	}
}

// inArenas returns the resident bytes of all arenas.
func inArenas(t *testing.T, p *program) (sum uint64) {
	t.Helper()
	got, err := Inspect(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range got.Arenas {
		sum += a.Resident
	}
	return sum
}

func TestWalkWhileTheProgramRuns(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=4"}, compile(t, "testdata/probe.c"))
	p.do("churn 8")
	for range 30 {
		for _, a := range walk(t, p.pid()).Arenas {
			c := a.Chunks
			if c == nil {
				t.Fatal("an arena was not walked")
			}
			if c.Sure() < 0 || c.Sure() > 1 || c.Fragmentation() < 0 || c.Fragmentation() > 1 {
				t.Errorf("%+v: sure %v, fragmentation %v", c, c.Sure(), c.Fragmentation())
			}
		}
	}
}

// TestWalkInBoundedMemory: the memory of a walk does not grow with the number of chunks.
func TestWalkInBoundedMemory(t *testing.T) {
	bin := compile(t, "testdata/probe.c")
	taken := func(command string) (bytes uint64, chunks int) {
		p := start(t, nil, bin)
		p.do(command)
		got, err := Inspect(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err = got.Walk(t.Context(), nil)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got.Arenas {
			chunks += a.Chunks.Count
		}
		return after.TotalAlloc - before.TotalAlloc, chunks
	}
	small, few := taken("hold 400000 0") // 12 MiB in chunks of 32 bytes
	large, many := taken("hold 4000000 0")
	if few < 400_000 || many < 4_000_000 || large > small+256<<10 || large > 8<<20 {
		t.Errorf("the walk allocated %d bytes for %d chunks and %d for %d; want about as many", small, few, large, many)
	}
}

func TestWalkStops(t *testing.T) {
	p := start(t, nil, compile(t, "testdata/probe.c"))
	p.do("threads 3 50000")
	got, err := Inspect(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var calls int
	var last uint64
	err = got.Walk(ctx, func(done, total uint64) {
		if calls++; calls == 3 {
			cancel()
		}
		if done < last || done > total {
			t.Errorf("progress went from %d to %d of %d", last, done, total)
		}
		last = done
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	if err := got.Walk(t.Context(), nil); err == nil {
		t.Error("the walk of an ended process returned no error")
	}
}
