package arena

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"arenacap/launcher/proc/vma"
	"arenacap/launcher/testenv"
)

// TestHugePages compares the bytes in huge pages of each arena except the main one with what /proc/PID/smaps reports at
// the addresses of the arena's heaps.
func TestHugePages(t *testing.T) {
	mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || strings.Contains(string(mode), "[never]") || os.Getpagesize() != 4096 {
		testenv.Lack(t, "the kernel gives no transparent huge pages of 2 MiB: %s %v", mode, err)
	}
	bin := compile(t, "testdata/probe.c")
	t.Run("asked for by the program", func(t *testing.T) {
		p := start(t, []string{"MALLOC_ARENA_MAX=3", "MALLOC_MMAP_THRESHOLD_=30000000"}, bin)
		p.do("huge 2 8192")
		p.do("threads 1 100")
		got := checkHuge(t, p)
		if got.Arenas[1].Huge+got.Arenas[2].Huge < 2<<20 || got.Arenas[0].Huge != 0 {
			t.Errorf("%d and %d bytes in huge pages in the arenas, %d in the main one", got.Arenas[1].Huge, got.Arenas[2].Huge, got.Arenas[0].Huge)
		}
	})
	t.Run("none", func(t *testing.T) {
		p := start(t, []string{"MALLOC_ARENA_MAX=3"}, bin)
		p.do("threads 3 100")
		if got := checkHuge(t, p); strings.Contains(string(mode), "[madvise]") && got.Arenas[1].Huge+got.Arenas[2].Huge != 0 {
			t.Errorf("huge pages that the program did not ask for, in %+v", got.Arenas)
		}
	})
	t.Run("glibc.malloc.hugetlb=1", func(t *testing.T) {
		loader, libraries := testenv.NewerGlibc(t, 43) // 2.43 is the first release in which glibc.malloc.hugetlb=1 also gives arenas huge pages
		p := start(t, []string{"GLIBC_TUNABLES=glibc.malloc.hugetlb=1"}, loader, "--library-path", libraries, bin)
		p.do("threads 3 100")
		if got := checkHuge(t, p); got.Arenas[1].Huge+got.Arenas[2].Huge+got.Arenas[3].Huge < 2<<20 {
			t.Errorf("no huge pages in %+v", got.Arenas)
		}
	})
}

// checkHuge compares the huge pages of the arenas except the main one with the lines AnonHugePages of /proc/PID/smaps,
// which it parses itself.
func checkHuge(t *testing.T, p *program) *Process {
	t.Helper()
	got, err := Inspect(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	checkResident(t, p.pid())
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]uint64, len(got.Arenas))
	var m mapping
	for line := range strings.Lines(string(text)) {
		var kib uint64
		if maps, err := vma.ParseMaps(nil, []byte(line)); err == nil {
			m = maps[0]
		} else if n, _ := fmt.Sscanf(line, "AnonHugePages: %d kB", &kib); n == 1 {
			for i, a := range got.Arenas {
				for _, h := range a.Heaps {
					if m.Start >= h.Addr && m.End <= h.Addr+h.Reserved {
						want[i] += kib << 10
					}
				}
			}
		}
	}
	for i, a := range got.Arenas[1:] {
		if a.Huge != want[i+1] || a.Huge > a.Resident {
			t.Errorf("arena %d: %d bytes in huge pages of %d resident, smaps says %d", i+1, a.Huge, a.Resident, want[i+1])
		}
	}
	return got
}
