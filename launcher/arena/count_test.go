package arena

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"arenacap/launcher/proc"
	"arenacap/launcher/testenv"
)

// heapsInside counts the arenas and the heaps in the output of malloc_info(3): it has an element <heap> for each arena and,
// since glibc 2.27, an element with the number of heaps for each arena except the main arena.
func heapsInside(t *testing.T, info string) (arenas, heaps int) {
	t.Helper()
	arenas = strings.Count(info, "<heap nr=")
	for _, part := range strings.Split(info, `<aspace type="subheaps" `)[1:] {
		heaps += int(number(t, part, `size="`))
	}
	return arenas, heaps
}

func TestCountEqualsMallocInfo(t *testing.T) {
	amd64 := compile(t, "testdata/probe.c")
	builds := []struct {
		name  string
		bin   func(t *testing.T) string
		small bool // heaps of 1 MiB
		full  bool
	}{
		{"dynamic", func(*testing.T) string { return amd64 }, false, false},
		{"static", func(t *testing.T) string { return compile(t, "testdata/probe.c", "-static") }, false, false},
		{"static-pie", func(t *testing.T) string { return compile(t, "testdata/probe.c", "-static-pie") }, false, true},
		{"32-bit", func(t *testing.T) string { return compile(t, "testdata/probe.c", "-m32") }, true, false},
		{"32-bit static", func(t *testing.T) string { return compile(t, "testdata/probe.c", "-m32", "-static") }, true, true},
	}
	cases := []struct {
		name     string
		env      string
		commands []string
		arenas   int // 0: as many as malloc_info reports
	}{
		{"main only", "", nil, 1},
		{"one thread", "MALLOC_ARENA_MAX=9", []string{"threads 1 10"}, 2},
		{"cap 1", "MALLOC_ARENA_MAX=1", []string{"threads 5 10"}, 1},
		{"cap 2", "MALLOC_ARENA_MAX=2", []string{"threads 5 10"}, 2},
		{"cap 8", "MALLOC_ARENA_MAX=8", []string{"threads 9 10"}, 8},
		{"cap 40", "MALLOC_ARENA_MAX=40", []string{"threads 64 10"}, 40},
		{"tunable 3", "GLIBC_TUNABLES=glibc.malloc.arena_max=3", []string{"threads 9 10"}, 3},
		{"glibc's own limit", "", []string{"threads 40 10"}, 0},
		{"mallopt over the environment", "MALLOC_ARENA_MAX=7", []string{"mallopt 4", "threads 9 10"}, 4},
		{"several heaps", "MALLOC_ARENA_MAX=4", []string{"threads 3 80000"}, 4},
		{"several heaps given back", "MALLOC_ARENA_MAX=4", []string{"threads 3 80000", "end"}, 4},
		{"threads gone", "MALLOC_ARENA_MAX=6", []string{"threads 9 100", "end"}, 6},
		{"threads come back", "MALLOC_ARENA_MAX=6", []string{"threads 5 100", "end", "threads 5 100"}, 6},
		{"forged", "MALLOC_ARENA_MAX=5", []string{"threads 3 100", "forge"}, 5},
		{"full heaps", "MALLOC_ARENA_MAX=3", []string{"hold 16384 4", "hold 16384 4"}, 3},
		{"huge pages asked for", "GLIBC_TUNABLES=glibc.malloc.hugetlb=2:glibc.malloc.arena_max=4", []string{"threads 6 100"}, 4},
		{"huge pages and several heaps", "GLIBC_TUNABLES=glibc.malloc.hugetlb=2:glibc.malloc.arena_max=3", []string{"threads 3 20000"}, 3},
		{"transparent huge pages", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.arena_max=4", []string{"threads 6 100"}, 4},
		{"names in maps", "GLIBC_TUNABLES=glibc.mem.decorate_maps=1:glibc.malloc.arena_max=4", []string{"threads 6 100"}, 4},
	}
	for _, b := range builds {
		if b.full && !testenv.Full() {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			bin := b.bin(t)
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					p := start(t, []string{c.env}, bin)
					for _, command := range c.commands {
						if b.small { // less memory, since the address space has 4 GiB
							command = strings.ReplaceAll(command, "80000", "2500")
						}
						p.do(command)
					}
					arenas, heaps := heapsInside(t, p.do("info"))
					if c.arenas != 0 && arenas != c.arenas {
						t.Fatalf("malloc_info reports %d arenas; the commands of this case should make %d", arenas, c.arenas)
					}
					got, err := Count(p.pid())
					if err != nil {
						t.Fatal(err)
					}
					if got.Arenas != arenas || got.Heaps != heaps {
						t.Errorf("counted %d arenas with %d heaps; malloc_info in the process reports %d with %d", got.Arenas, got.Heaps, arenas, heaps)
					}
					checkInspect(t, p, got)
					checkQueries(t, p.pid(), got, !strings.Contains(b.name, "static") && c.name != "forged")
				})
			}
		})
	}
}

// checkInspect compares Inspect with malloc_info and the kernel's figures.
func checkInspect(t *testing.T, p *program, count Census) {
	t.Helper()
	info := p.do("info")
	got, err := Inspect(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	if got.Census() != count {
		t.Errorf("Inspect finds %+v, Count %+v", got.Census(), count)
	}
	var system []string
	for _, part := range strings.Split(info, "<heap nr=")[1:] {
		system = append(system, fmt.Sprint(number(t, part, `<system type="current" size="`)))
	}
	for i, a := range got.Arenas {
		if fmt.Sprint(a.SystemMem) != system[i] {
			t.Errorf("arena %d: system memory %d, malloc_info says %s", i, a.SystemMem, system[i])
		}
		if !a.Settled || a.Top == 0 && a.SystemMem != 0 {
			t.Errorf("arena %d of a quiet process has inconsistent sizes: %+v", i, a)
		}
	}
	checkSums(t, p.pid(), got)
	checkResident(t, p.pid())
}

// checkSums compares the virtual size and the data size with the kernel's figures, and the sums over the parts with the
// totals.
func checkSums(t *testing.T, pid int, got *Process) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, vmSize, _ := strings.Cut(string(status), "VmSize:")
	if want := number(t, strings.TrimLeft(vmSize, " \t"), "") << 10; got.Virtual != want || !got.Exact {
		t.Errorf("virtual %d (exact %v), VmSize is %d", got.Virtual, got.Exact, want)
	}
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	sizes, ok := proc.ParseStatm(statm)
	if !ok {
		t.Fatalf("statm of process %d is %q", pid, statm)
	}
	var virtual, data, resident uint64
	for _, part := range got.Parts {
		virtual += part.Virtual
		data += part.Data
		resident += part.Resident
		if part.Resident > part.Virtual {
			t.Errorf("more resident than virtual bytes: %+v", part)
		}
	}
	if want := sizes.Data.Bytes(); data != want {
		t.Errorf("data of the parts adds up to %d, statm has %d", data, want)
	}
	if virtual != got.Virtual || resident != got.Resident {
		t.Errorf("parts add up to %d, %d resident; the process has %d and %d", virtual, resident, got.Virtual, got.Resident)
	}
}

func TestCountSeesNamespaces(t *testing.T) {
	testenv.Need(t, "gcc")
	libc, err := exec.Command("gcc", "-print-file-name=libc.so.6").Output()
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"MALLOC_ARENA_MAX=2"}, compile(t, "testdata/probe.c"))
	p.do("threads 2 10")
	p.do("namespace " + strings.TrimSpace(string(libc)))
	got, err := Count(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	if want := (2 + 2); got.Arenas != want { // a cap of 2 applies to each libc separately
		t.Errorf("counted %d arenas of two libcs, want %d", got.Arenas, want)
	}
	found, err := Inspect(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	if !found.Arenas[0].Main || !found.Arenas[1].Main || found.Arenas[2].Main {
		t.Errorf("want two main arenas first: %+v", found.Arenas)
	}
	if own, other := found.Arenas[0], found.Arenas[1]; own.Libc != 0 || own.Reserved == 0 || other.Libc != 1 || other.Reserved != 0 {
		t.Errorf("only the first libc should have the brk heap: %+v, %+v", own, other)
	}
}

func TestCountWhileTheProgramRuns(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=7"}, compile(t, "testdata/probe.c"))
	p.do("churn 12")
	for range 200 {
		got, err := Count(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		if got.Arenas != 7 || got.Heaps < 6 {
			t.Fatalf("counted %+v in a program with 7 arenas", got)
		}
	}
	for range 20 {
		got, err := Inspect(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		var sum uint64
		for _, part := range got.Parts {
			sum += part.Virtual
		}
		if len(got.Arenas) != 7 || sum != got.Virtual {
			t.Fatalf("%d arenas, parts of %d bytes in %d", len(got.Arenas), sum, got.Virtual)
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	bin := compile(t, "testdata/probe.c")
	t.Run("gone", func(t *testing.T) {
		p := start(t, nil, bin)
		p.cmd.Process.Kill()
		p.cmd.Wait()
		if _, err := Count(p.pid()); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%v, want ESRCH", err)
		}
	})
	t.Run("zombie", func(t *testing.T) {
		p := start(t, nil, bin)
		p.cmd.Process.Kill()
		waitState(t, p.pid(), "Z")
		if _, err := Inspect(p.pid()); !errors.Is(err, ErrNoMemory) {
			t.Errorf("%v, want ErrNoMemory", err)
		}
	})
	t.Run("kernel thread", func(t *testing.T) {
		if name, err := os.ReadFile("/proc/2/comm"); err != nil || string(name) != "kthreadd\n" {
			t.Skip("process 2 is not kthreadd here (a PID namespace)")
		}
		if _, err := Inspect(2); !errors.Is(err, ErrNoMemory) {
			t.Errorf("%v, want ErrNoMemory", err)
		}
	})
	t.Run("other user's", func(t *testing.T) {
		// Root may read every process, so the test binary executes itself as the user nobody.
		if os.Getuid() != 0 {
			t.Skip("needs root, to run the test as another user")
		}
		if pid := os.Getenv("ARENA_TEST_PID"); pid != "" {
			return
		}
		p := start(t, nil, bin)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "reader")
		data, err := os.ReadFile(self)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, data, 0o755); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(copied)
		for _, d := range []string{filepath.Dir(dir), dir} { // t.TempDir makes two nested folders
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(copied, "-test.run", "^TestReadAsSomebodyElse$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), fmt.Sprintf("ARENA_TEST_PID=%d", p.pid()))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// TestReadAsSomebodyElse is the part of TestWhatCannotBeRead that runs as another user.
func TestReadAsSomebodyElse(t *testing.T) {
	var pid int
	if _, err := fmt.Sscan(os.Getenv("ARENA_TEST_PID"), &pid); err != nil {
		t.Skip("runs as a child of TestWhatCannotBeRead")
	}
	_, err := Inspect(pid)
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "run as root") {
		t.Errorf("%v, want permission denied, with the hint \"run as root\"", err)
	}
}

// waitState waits until the process is in the state, which must be one that it does not leave again.
func waitState(t *testing.T, pid int, state string) {
	t.Helper()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, _ := strings.Cut(string(text), ") "); strings.HasPrefix(rest, state) {
			return
		}
		runtime.Gosched()
	}
}
