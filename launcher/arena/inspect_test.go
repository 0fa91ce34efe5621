package arena

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"arenacap/launcher/proc/vma"
	"arenacap/launcher/testenv"
)

func kinds(p *Process) map[string]Part {
	sums := map[string]Part{}
	for _, part := range p.Parts {
		sum := sums[part.Kind]
		sum.Virtual += part.Virtual
		sum.Resident += part.Resident
		sum.Count += part.Count
		sums[part.Kind] = sum
	}
	return sums
}

// stackPointers reads the stack pointer of each waiting thread from the kernel: the next to last number of
// /proc/PID/task/TID/syscall (proc_pid_syscall(5)). Threads may end meanwhile, such as the compiler threads of a JVM.
func stackPointers(t *testing.T, files []string) (list []uint64) {
	t.Helper()
	for _, name := range files {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text))
		if len(fields) < 3 { // for a running thread the kernel gives no registers: the file "syscall" has only the word "running"
			continue
		}
		var sp uint64
		if _, err := fmt.Sscanf(fields[len(fields)-2], "%v", &sp); err != nil {
			t.Fatal(err)
		}
		list = append(list, sp)
	}
	return list
}

func TestThreadStacks(t *testing.T) {
	tests := []struct {
		name     string
		flags    []string
		commands []string
		threads  int
		want     uint64 // bytes of all stacks; 0 is not checked
	}{
		{"none", nil, nil, 0, 0},
		{"the usual size", nil, []string{"threads 128 10"}, 128, 0},
		{"small ones", nil, []string{"stacks 20 256 4096"}, 20, 20 * (256<<10 + 4096)},
		{"large guards", nil, []string{"stacks 5 1024 65536"}, 5, 5 * (1<<20 + 65536)},
		{"several sizes", nil, []string{"stacks 5 1024 4096", "stacks 7 64 8192", "threads 3 10"}, 15, 0},
		{"beside arenas that are full", nil, []string{"threads 3 90000", "stacks 5 300 4096"}, 8, 0},
		{"32-bit", []string{"-m32"}, []string{"stacks 20 256 4096"}, 20, 20 * (256<<10 + 4096)},
		{"static", []string{"-static"}, []string{"threads 12 10"}, 12, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, nil, compile(t, "testdata/probe.c", tt.flags...))
			for _, command := range tt.commands {
				p.do(command)
			}
			got, err := Inspect(p.pid())
			if err != nil {
				t.Fatal(err)
			}
			part := kinds(got)[KindThreadStacks]
			if part.Count != tt.threads || tt.want != 0 && part.Virtual != tt.want {
				t.Errorf("%+v, want %d stacks of %d bytes", part, tt.threads, tt.want)
			}
			checkSums(t, p.pid(), got)
			checkStackPointers(t, p.pid())
		})
	}
}

// checkStackPointers checks that the stack pointer of each thread, as the kernel shows it, lies in one of the stacks that were
// found. It leaves out the first thread, whose stack is the mapping "[stack]", and threads that start during the check.
func checkStackPointers(t *testing.T, pid int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil || len(files) == 0 {
		t.Skip("this kernel has no /proc/PID/task/TID/syscall")
	}
	p, err := open(procRoot, pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	f, maps, err := p.rings(p.readMaps)
	if err != nil {
		t.Fatal(err)
	}
	list, err := arenas(p.mem, f.rings, maps)
	if err != nil {
		t.Fatal(err)
	}
	stacks, err := findStacks(p.mem, without(maps, heapOwners(list)), maps.word(), p.stat.Threads)
	if err != nil {
		t.Fatal(err)
	}
	for _, sp := range stackPointers(t, files) {
		i, ok := maps.at(sp)
		if ok && maps[i].Name == "[stack]" {
			continue
		}
		if !slices.ContainsFunc(stacks, func(s stack) bool { return sp >= s.start+s.guard && sp < s.end }) {
			t.Errorf("the stack pointer %#x of a thread is not in any stack that was found", sp)
		}
	}
}

// TestSinglePagesAreNoStacks: mappings too small for a stack are not among the candidates.
func TestSinglePagesAreNoStacks(t *testing.T) {
	var maps layout
	for i := range uint64(3) {
		at := 0x7f8000000000 + i*0x100000
		maps = append(maps, mapping{Start: at, End: at + minPage}, mapping{Start: at + minPage, End: at + (i+2)*minPage, Perm: anonRW})
	}
	guarded, _ := stackTops(maps, runBottoms(maps))
	if len(guarded) != 2 || guarded[0].bottom != 0x7f8000101000 {
		t.Errorf("%x", guarded)
	}
}

// TestStacksThatGrewTogether puts other memory right above stacks, in a separate mapping and in the same one.
func TestStacksThatGrewTogether(t *testing.T) {
	const size, guard = 64 << 10, minPage
	tests := []struct {
		name  string
		above []uint64 // sizes of the mappings above the stack's own
		grown uint64   // bytes of other memory at the end of the stack's own mapping
	}{
		{"alone", nil, 0},
		{"mapping above", []uint64{0x200000}, 0},
		{"one mapping", nil, 0x150000},
		{"one mapping and another", []uint64{0x3000}, 0x2000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{version: v236}
			add := func(at uint64, grown uint64, above []uint64) {
				f.addMapping(at, guard, 0, "")
				f.addMapping(at+guard, size+grown, anonRW, "")
				for j, field := range []uint64{at, size + guard, guard, guard} {
					f.put(at+guard+size-688+uint64(j)*8, field)
				}
				at += guard + size + grown
				for _, n := range above {
					f.addMapping(at, n, anonRW, "")
					at += n
				}
			}
			add(0x7f8000000000, tt.grown, tt.above)
			add(0x7f9000000000, 0, nil) // a second stack, from which findStacks learns the usual stack size
			got, err := findStacks(f, f.maps, 8, 3)
			if err != nil || len(got) != 2 || got[0] != (stack{0x7f8000000000, 0x7f8000000000 + guard + size, guard}) {
				t.Errorf("%x, %v", got, err)
			}
		})
	}
}

// TestStacksWithoutGuardMappings has stacks as glibc 2.42 makes them on Linux 6.13: the guards are marks in the page table,
// and all stacks share one mapping.
func TestStacksWithoutGuardMappings(t *testing.T) {
	const size, base, n = 1 << 20, uint64(0x7f8000000000), 5
	f := &fake{version: v236}
	f.addMapping(base, 0x5000, anonRW, "") // other memory, merged with the lowest stack
	f.addMapping(base+0x5000, n*size, anonRW, "")
	f.maps = layout{{Start: base, End: base + 0x5000 + n*size, Perm: anonRW}}
	f.addMapping(base+0x5000+n*size, 0x3000, anonRW, "") // other memory right above the highest stack, in a separate mapping
	for i := range uint64(n) {
		block := base + 0x5000 + i*size
		for j, field := range []uint64{block, size, 0x1000, 0x1000} {
			f.put(block+size-688+uint64(j)*8, field)
		}
	}
	got, err := findStacks(f, f.maps, 8, n+1)
	if err != nil || len(got) != n || got[0] != (stack{base + 0x5000, base + 0x5000 + size, 0x1000}) {
		t.Errorf("%x, %v; want %d stacks from %#x on", got, err, n, base+0x5000)
	}
}

func TestFirstThreadEnded(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=4"}, compile(t, "testdata/probe.c"))
	p.do("threads 3 10")
	p.do("nomain") // ends the first thread; another thread answers after it has joined the first one
	waitState(t, p.pid(), "Z")
	got, err := Inspect(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Arenas) != 4 || got.Virtual == 0 || got.Name != "probe" {
		t.Errorf("%+v", got)
	}
	if err := got.Walk(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestHeapsThatVanish(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=4"}, compile(t, "testdata/probe.c"))
	p.do("surge 3")
	most := 0
	for range 300 {
		got, err := Count(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		if got.Arenas != 4 || got.Heaps < 3 || got.Heaps > 6 || got.Unlinked != 0 {
			t.Fatalf("%+v in a program with 4 arenas, of one or two heaps each", got)
		}
		most = max(most, got.Heaps)
	}
	if most < 4 {
		t.Log("no second heap was seen; the machine was too slow or too fast")
	}
	for range 10 {
		got := walk(t, p.pid())
		if len(got.Arenas) != 4 {
			t.Fatalf("%d arenas", len(got.Arenas))
		}
	}
}

func TestReadThroughMem(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=4"}, compile(t, "testdata/probe.c"))
	p.do("threads 3 100000")
	want, err := Count(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	live, err := open(procRoot, p.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer live.close()
	if live.mem.file, err = os.Open(live.mem.path); err != nil { // the method "read" opens this file after EPERM from process_vm_readv
		t.Fatal(err)
	}
	f, maps, err := live.rings(live.readMaps)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.census(maps); got != want {
		t.Errorf("%+v through mem, %+v by process_vm_readv", got, want)
	}
}

// inspected starts a program and inspects it.
func inspected(t *testing.T, env []string, argv ...string) *Process {
	t.Helper()
	got, err := Inspect(start(t, env, argv...).pid())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestNames(t *testing.T) {
	bin := compile(t, "testdata/probe.c")
	t.Run("glibc", func(t *testing.T) {
		testenv.Need(t, "getconf")
		out, err := exec.Command("getconf", "GNU_LIBC_VERSION").Output()
		if err != nil {
			t.Fatal(err)
		}
		got := inspected(t, nil, bin)
		if want := strings.TrimSpace(strings.TrimPrefix(string(out), "glibc ")); got.Libc != "glibc" || got.LibcVersion != want || got.Allocator != "glibc" {
			t.Errorf("%s %s %s, getconf says %s", got.Libc, got.LibcVersion, got.Allocator, want)
		}
	})
	t.Run("musl", func(t *testing.T) {
		testenv.Need(t, "musl-gcc")
		dir := t.TempDir()
		source := filepath.Join(dir, "m.c")
		program := "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { void *p = malloc(100); puts(\"ok\"); fflush(stdout); getchar(); return p == 0; }\n"
		if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("musl-gcc", "-o", filepath.Join(dir, "m"), source).CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
		if got := inspected(t, nil, filepath.Join(dir, "m")); got.Libc != "musl" || got.Allocator != "musl" || len(got.Arenas) != 0 {
			t.Errorf("%s %s, %d arenas", got.Libc, got.Allocator, len(got.Arenas))
		}
	})
	t.Run("jemalloc", func(t *testing.T) {
		const lib = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
		if _, err := os.Stat(lib); err != nil {
			testenv.Lack(t, "%v", err)
		}
		if got := inspected(t, []string{"LD_PRELOAD=" + lib}, bin); got.Libc != "glibc" || got.Allocator != "jemalloc" {
			t.Errorf("%s %s", got.Libc, got.Allocator)
		}
	})
	t.Run("linked into the program", func(t *testing.T) {
		source := filepath.Join(t.TempDir(), "linked.c")
		program := "#include <stdio.h>\nint main(void) { puts(\"ok\"); fflush(stdout); return getchar() == 'x' && puts(\"<jemalloc>: Error\"); }\n"
		if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := inspected(t, nil, compile(t, source)); got.Libc != "glibc" || got.Allocator != "jemalloc" {
			t.Errorf("%s %s", got.Libc, got.Allocator)
		}
	})
	t.Run("Go", func(t *testing.T) {
		dir := t.TempDir()
		source := filepath.Join(dir, "main.go")
		program := "package main\nimport \"os\"\nfunc main() { println; os.Stdout.WriteString(\"ok\\n\"); os.Stdin.Read(make([]byte, 1)) }\n"
		program = strings.Replace(program, "println; ", "", 1)
		if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "g"), source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
		if got := inspected(t, nil, filepath.Join(dir, "g")); got.Libc != "" || got.Allocator != "go" || len(got.Arenas) != 0 {
			t.Errorf("%s %s, %d arenas", got.Libc, got.Allocator, len(got.Arenas))
		}
	})
}

func TestClassify(t *testing.T) {
	for line, want := range map[string]string{
		"1000-2000 rw-p 00000000 00:00 0 ":                                          KindOtherAnon + "|",
		"1000-2000 ---p 00000000 00:00 0 ":                                          KindReserved + "|",
		"1000-2000 rw-p 00000000 00:00 0          [heap]":                           KindMainHeap + "|",
		"1000-2000 rw-p 00000000 00:00 0          [stack]":                          kindStack + "|",
		"1000-2000 rw-p 00000000 00:00 0          [stack:1234]":                     KindThreadStacks + "|",
		"1000-2000 rw-p 00000000 00:00 0          [anon: glibc: pthread stack: 77]": KindThreadStacks + "|",
		"1000-2000 rw-p 00000000 00:00 0          [anon: glibc: malloc]":            kindNamed + "|glibc: malloc",
		"1000-2000 rw-p 00000000 00:00 0          [anon:dalvik-main space]":         kindNamed + "|dalvik-main space",
		"1000-2000 rw-s 00000000 00:01 9          [anon_shmem:ring]":                kindShared + "|ring",
		"1000-2000 r-xp 00000000 00:00 0          [vdso]":                           kindKernel + "|",
		"1000-2000 rw-p 00000000 00:11 908991     /anon_hugepage (deleted)":         kindHugePages + "|",
		"1000-2000 rw-s 00000000 00:01 29         /memfd:java_heap (deleted)":       KindJavaHeap + "|",
		"1000-2000 rw-s 00000000 00:01 29         /memfd:wayland (deleted)":         kindShared + "|/memfd:wayland (deleted)",
		"1000-2000 rw-s 00000000 00:01 32768      /SYSV00000000 (deleted)":          kindShared + "|/SYSV00000000 (deleted)",
		"1000-2000 rw-s 00000000 00:01 5          /dev/zero (deleted)":              kindShared + "|/dev/zero (deleted)",
		"1000-2000 r--p 00000000 fe:00 5          /usr/lib/a b.so (deleted)":        KindFile + "|/usr/lib/a b.so (deleted)",
		"1000-2000 rw-s 00000000 00:10 1524859    anon_inode:[io_uring]":            kindOtherSpecial + "|anon_inode:[io_uring]",
	} {
		l, err := vma.ParseMaps(nil, []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if kind, name := classify(l[0]); kind+"|"+name != want {
			t.Errorf("%s: %s|%s, want %s", line, kind, name, want)
		}
	}
}

// TestSpread divides the pages of one mapping between a heap and other memory.
func TestSpread(t *testing.T) {
	maps := layout{{Start: 0x10000, End: 0x50000, Perm: anonRW}, {Start: 0x50000, End: 0x90000}}
	heap := &Heap{}
	list := regions(maps, []owner{{start: 0x20000, end: 0x90000, kind: KindArenas, heap: heap}})
	present := func(start, end uint64) (uint64, bool) { return (end - start) / 2, start < 0x50000 }
	smap := func(start, end, resident, huge uint64) vma.Smap {
		return vma.Smap{Mapping: mapping{Start: start, End: end}, Resident: resident, Huge: huge}
	}
	spread(list, smap(0x10000, 0x50000, 0x20000, 0x1a000), present)
	spread(list, smap(0x50000, 0x90000, 0, 0), present)
	if len(list) != 3 || list[0].resident != 0x8000 || list[1].resident != 0x18000 || list[1].heap != heap || list[2].resident != 0 ||
		list[0].huge != 0x2000 || list[1].huge != 0x18000 {
		t.Errorf("%+v", list)
	}
	var unknown []region
	for _, r := range list {
		r.resident, r.huge = 0, 0
		unknown = append(unknown, r)
	}
	spread(unknown, smap(0x10000, 0x50000, 0x20000, 0x40000), func(_, _ uint64) (uint64, bool) { return 0, false })
	if unknown[1].resident != 0x20000 || unknown[1].huge != 0x20000 { // without pagemap the larger region gets all
		t.Errorf("%+v", unknown)
	}
}

func TestBanner(t *testing.T) {
	for text, want := range map[string]string{
		"GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\nCopyright": "2.36",
		"\x00GNU C Library (GNU libc) development release version 2.44.9000.\n":                "2.44.9000",
		"GNU C Library stable release version 2.12, by Roland McGrath et al.\n":                "2.12",
		"GNU C Library (no version)\nGNU C Library stable release version 2.17, by\n":          "2.17",
		"GNU C Library": "",
		"":              "",
	} {
		if got := bannerVersion([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

const sleeper = `public class Sleeper { public static void main(String[] a) throws Exception {
	var up = new java.util.concurrent.CountDownLatch(16);
	for (int i = 0; i < 16; i++) new Thread(() -> {
		var d = new java.util.zip.Deflater(); d.setInput(new byte[100000]); d.finish(); d.deflate(new byte[10000]);
		up.countDown();
		try { Thread.sleep(1 << 30); } catch (InterruptedException e) { } }).start();
	up.await(); System.out.println("ok"); System.in.read(); System.exit(0); } }`

// TestClassSpace: other reservations that the kernel merged with the end of the class space do not belong to it,
// whether or not reserved memory lies between the class-data archive and the class space.
func TestClassSpace(t *testing.T) {
	const base, gib = uint64(0x7f0000000000), uint64(1) << 30
	made := func(sizes ...uint64) (l layout) {
		at := base
		for i, size := range sizes {
			m := mapping{Start: at, End: at + size, Perm: vma.Read | vma.Write}
			switch {
			case i == 0:
				m.Name, m.Inode = "/jvm/classes.jsa", 1
			case i%2 == 1:
				m.Perm = 0
			}
			if size > 0 {
				l = append(l, m)
			}
			at += size
		}
		return append(l, mapping{Start: at + gib, End: at + gib + 1<<20, Name: "/jvm/libjvm.so", Inode: 2})
	}
	for _, c := range []struct {
		name     string
		maps     layout
		classes  uint64
		reserved uint64
	}{
		{"alone", made(12<<20, 4<<20, 1<<20, gib-1<<20), gib, 4 << 20},
		{"8 GiB behind in one mapping", made(12<<20, 4<<20, 1<<20, 9*gib-1<<20), gib, 8*gib + 4<<20},
		{"committed in two places", made(12<<20, 4<<20, 1<<20, 1<<20, 1<<20, 9*gib-3<<20), gib, 8*gib + 4<<20},
		{"no gap behind the archive", made(12<<20, 0, 1<<20, 9*gib-1<<20), gib, 8 * gib},
		{"less than its flag says", made(12<<20, 4<<20, 1<<20, 100<<20), 101 << 20, 4 << 20},
	} {
		sums := map[string]uint64{}
		for _, p := range parts(nameJava(regions(c.maps, nil), gib), nil) {
			sums[p.Kind] += p.Virtual
		}
		if sums[KindJavaClasses] != c.classes || sums[KindReserved] != c.reserved {
			t.Errorf("%s: %d bytes of class space, want %d; %d reserved, want %d", c.name, sums[KindJavaClasses], c.classes, sums[KindReserved], c.reserved)
		}
	}
}

func TestJava(t *testing.T) {
	testenv.Need(t, "java", "javac")
	dir := t.TempDir()
	source := filepath.Join(dir, "Sleeper.java")
	if err := os.WriteFile(source, []byte(sleeper), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("javac", source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, gc := range []string{"UseSerialGC", "UseG1GC", "UseZGC", "UseParallelGC", "UseShenandoahGC", "UseEpsilonGC"} {
		t.Run(gc, func(t *testing.T) {
			p := start(t, []string{"MALLOC_ARENA_MAX=5"}, "java", "-XX:+UnlockExperimentalVMOptions", "-XX:+"+gc, "-Xmx512m",
				"-XX:ReservedCodeCacheSize=64m", "-XX:CompressedClassSpaceSize=192m", "-cp", dir, "Sleeper")
			got, err := Inspect(p.pid())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Arenas) != 5 || got.Unlinked != 0 {
				t.Errorf("%d arenas, %d unlinked; want 5 and none", len(got.Arenas), got.Unlinked)
			}
			sums := kinds(got)
			if code := sums[KindJavaCode].Virtual; code != 64<<20 {
				t.Errorf("code cache of %d bytes, want 64 MiB", code)
			}
			if classes := sums[KindJavaClasses].Virtual; classes != 192<<20 {
				t.Errorf("class space of %d bytes, want 192 MiB", classes)
			}
			// JVMs reserve the size of -Xmx minus the part that is mapped from the class-data archive. ZGC reserves 16
			// times -Xmx and maps it three times.
			if heap := sums[KindJavaHeap].Virtual; gc != "UseZGC" && (heap > 512<<20 || heap < 500<<20) || gc == "UseZGC" && heap != 3*16*512<<20 {
				t.Errorf("heap of %d bytes", heap)
			}
			if n := sums[KindThreadStacks].Count; n < got.Threads-1 {
				t.Errorf("%d stacks of %d threads", n, got.Threads)
			}
			checkStackPointers(t, p.pid())
			var sum uint64
			for _, part := range got.Parts {
				sum += part.Virtual
			}
			if sum != got.Virtual {
				t.Errorf("parts of %d bytes, the process has %d", sum, got.Virtual)
			}
		})
	}
}
