package arena

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// opened opens a process and closes it when the test ends.
func opened(t testing.TB, root string, pid int) *process {
	t.Helper()
	p, err := open(root, pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// byText takes the census from the text of maps, without ioctls.
func byText(t testing.TB, p *process) Census {
	t.Helper()
	f, maps, err := p.rings(p.readMaps)
	if err != nil {
		t.Fatal(err)
	}
	return f.census(maps)
}

// checkQueries takes the census of a quiet process from the text of maps and by queries. If sure is true, the queries must
// succeed.
func checkQueries(t *testing.T, pid int, want Census, sure bool) {
	t.Helper()
	p := opened(t, procRoot, pid)
	if got := byText(t, p); got != want {
		t.Errorf("by the text of maps %+v, want %+v", got, want)
	}
	q := newQueries(p.maps)
	got, ok := q.census(p.mem)
	if q.err == unix.ENOTTY {
		t.Log("this kernel has no PROCMAP_QUERY (Linux 6.11)")
		return
	}
	if sure && !ok || ok && got != want {
		t.Errorf("by queries %+v, certain %v (%v, %d left); want %+v, %v", got, ok, q.err, q.left, want, sure)
	}
}

// checkResident compares PAGEMAP_SCAN with smaps for each region of a quiet process. The kernel may take pages of files away
// at any time (reclaim), so smaps is read before and after the scan, and a region that changed in between is left out.
func checkResident(t *testing.T, pid int) {
	t.Helper()
	p := opened(t, procRoot, pid)
	maps, err := p.readMaps()
	if err != nil {
		t.Fatal(err)
	}
	pages := p.pagemap()
	defer pages.close()
	before, scanned, after := regions(maps, nil), regions(maps, nil), regions(maps, nil)
	bySmaps(t, p, before, pages)
	err = pages.scan(scanned[0].Start, scanned[len(scanned)-1].End, credit(scanned))
	if err == unix.ENOTTY {
		t.Log("this kernel has no PAGEMAP_SCAN (Linux 6.7)")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	bySmaps(t, p, after, pages)
	compared := 0
	for i, r := range after {
		if r.resident != before[i].resident || r.huge != before[i].huge {
			continue
		}
		compared++
		if scanned[i].resident != r.resident || scanned[i].huge != r.huge {
			t.Errorf("%x-%x %s: %d bytes resident and %d in huge pages by the page tables, %d and %d by smaps",
				r.Start, r.End, r.Name, scanned[i].resident, scanned[i].huge, r.resident, r.huge)
		}
	}
	if compared < len(after)/2 {
		t.Errorf("only %d of %d regions did not change while they were read", compared, len(after))
	}
}

func bySmaps(t *testing.T, p *process, list []region, pages *pagemap) {
	t.Helper()
	if err := p.addSmaps(list, pages); err != nil {
		t.Fatal(err)
	}
}

// TestResidentOfManyRuns has more runs than one PAGEMAP_SCAN call returns.
func TestResidentOfManyRuns(t *testing.T) {
	p := start(t, nil, compile(t, "testdata/probe.c"))
	p.do("maps 20000")
	p.do("touch")
	checkResident(t, p.pid())
}

// TestQueriesTellWhatMapsHas queries all mappings one by one.
func TestQueriesTellWhatMapsHas(t *testing.T) {
	for _, tt := range []struct {
		name string
		bin  func(t *testing.T) string
	}{
		{"64-bit", func(t *testing.T) string { return compile(t, "testdata/probe.c") }},
		{"32-bit", func(t *testing.T) string { return compile(t, "testdata/probe.c", "-m32") }},
		{"a line end in its name", func(t *testing.T) string {
			named := filepath.Join(t.TempDir(), "a\nb \\012 (deleted)")
			if err := os.Link(compile(t, "testdata/probe.c"), named); err != nil {
				t.Fatal(err)
			}
			return named
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bin := tt.bin(t)
			p := start(t, nil, bin)
			p.do("threads 3 10")
			checkMappings(t, p.pid())
			if strings.Contains(bin, "\n") {
				if err := os.Remove(bin); err != nil {
					t.Fatal(err)
				}
				checkMappings(t, p.pid())
			}
		})
	}
}

// checkMappings compares every queried mapping of a quiet process with the text of maps.
func checkMappings(t *testing.T, pid int) {
	t.Helper()
	live := opened(t, procRoot, pid)
	q := newQueries(live.maps)
	q.left = 1 << 20
	var got layout
	for at := uint64(0); ; at = got[len(got)-1].End {
		m, ok := q.next(at, 0, false)
		if !ok {
			break
		}
		got = append(got, m)
	}
	if q.err == unix.ENOTTY {
		t.Log("this kernel has no PROCMAP_QUERY (Linux 6.11)")
		return
	}
	want, err := live.readMaps()
	if err != nil || q.err != nil {
		t.Fatal(err, q.err)
	}
	if n := len(want) - 1; want[n].Vsyscall() {
		want = want[:n]
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nmaps has\n%+v", got, want)
	}
}

// TestQueriesAcrossExec: the census fails if the process executes another program between the first and the last query.
func TestQueriesAcrossExec(t *testing.T) {
	probe := compile(t, "testdata/probe.c")
	p := start(t, nil, "sh", "-c", "echo ok; read x; exec "+probe)
	live := opened(t, procRoot, p.pid())
	q := newQueries(live.maps)
	if _, ok := q.next(0, 0, false); !ok && q.err == unix.ENOTTY {
		t.Skip("this kernel has no PROCMAP_QUERY (Linux 6.11)")
	}
	if err := live.checkAlive(); err != nil {
		t.Error(err)
	}
	p.do("go on") // the shell reads this, and the program that it executes answers ok
	if err := live.checkAlive(); err != unix.ESRCH {
		t.Errorf("%v after the exec, want ESRCH", err)
	}
	if c, ok := q.census(live.mem); ok || q.err != unix.ESRCH {
		t.Errorf("%+v, %v, %v; want ESRCH", c, ok, q.err)
	}
	if _, _, err := live.rings(live.readMaps); err != unix.ESRCH {
		t.Errorf("by the text of maps %v, want ESRCH", err)
	}
	if c, err := Count(p.pid()); err != nil || c.Arenas != 1 {
		t.Errorf("%+v, %v; want the main arena of the new program", c, err)
	}
}

// TestQueriesGiveUp has so many arenas that the text of maps is cheaper than queries.
func TestQueriesGiveUp(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=300"}, compile(t, "testdata/probe.c"))
	p.do("threads 300 10")
	live := opened(t, procRoot, p.pid())
	q := newQueries(live.maps)
	if c, ok := q.census(live.mem); ok || q.err != errManyQueries && q.err != unix.ENOTTY {
		t.Errorf("%+v, %v, %v", c, ok, q.err)
	}
	if c, err := Count(p.pid()); err != nil || c.Arenas != 300 {
		t.Errorf("%+v, %v; want 300 arenas", c, err)
	}
}

// TestWithoutTheIoctls reads copies of a process's files, of pagemap an empty one: ioctls on them fail with ENOTTY, as
// on Linux before 6.7.
func TestWithoutTheIoctls(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=4"}, compile(t, "testdata/probe.c"))
	p.do("threads 3 1000")
	if _, err := Inspect(p.pid()); err != nil { // makes pages of the libc resident, so that later inspections count them too
		t.Fatal(err)
	}
	root, pid := t.TempDir(), fmt.Sprint(p.pid())
	for _, name := range []string{"stat", "maps", "smaps", "pagemap"} {
		if err := os.MkdirAll(filepath.Join(root, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		var text []byte
		if name != "pagemap" {
			var err error
			if text, err = os.ReadFile(filepath.Join(procRoot, pid, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(root, pid, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sameAsUsual(t, root, p.pid())
	q := newQueries(opened(t, root, p.pid()).maps)
	if _, ok := q.next(0, 0, false); ok || q.err != unix.ENOTTY {
		t.Errorf("a query on a copy of maps returns %v, %v; want ENOTTY", ok, q.err)
	}
}

// sameAsUsual compares the results under root, where files are missing, with those in /proc.
func sameAsUsual(t *testing.T, root string, pid int) {
	t.Helper()
	want, err := Count(pid)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := count(root, pid); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	whole, err := Inspect(pid)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := inspect(root, pid); err != nil || got.Resident != whole.Resident || !reflect.DeepEqual(got.Arenas, whole.Arenas) {
		t.Errorf("%+v, %v; want %+v", got, err, whole)
	}
}

// TestIoctlsForbidden reads a process under a seccomp filter that forbids ioctl(2), and so PROCMAP_QUERY and
// PAGEMAP_SCAN.
func TestIoctlsForbidden(t *testing.T) {
	p := start(t, []string{"MALLOC_ARENA_MAX=4"}, compile(t, "testdata/probe.c"))
	p.do("threads 3 1000")
	want, err := Inspect(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestReadWithoutIoctl$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("ARENA_TEST_FILTERED=%d", p.pid()))
	out, err := cmd.CombinedOutput()
	if line := fmt.Sprintf("found %+v resident %d\n", want.Census(), want.Resident); err != nil || !strings.Contains(string(out), line) {
		t.Errorf("%v: %s\nwant %s", err, out, line)
	}
}

// TestReadWithoutIoctl is the part of TestIoctlsForbidden that runs under the filter.
func TestReadWithoutIoctl(t *testing.T) {
	var pid int
	if _, err := fmt.Sscan(os.Getenv("ARENA_TEST_FILTERED"), &pid); err != nil {
		t.Skip("runs as a child of TestIoctlsForbidden")
	}
	forbidIoctl(t)
	p := opened(t, procRoot, pid)
	q := newQueries(p.maps)
	if _, ok := q.next(0, 0, false); ok || q.err != unix.EPERM {
		t.Fatalf("the filter does not forbid the ioctl: %v, %v", ok, q.err)
	}
	c, err := Count(pid)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Inspect(pid)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Census() != c {
		t.Errorf("Inspect finds %+v, Count %+v", whole.Census(), c)
	}
	fmt.Printf("found %+v resident %d\n", c, whole.Resident)
}

// forbidIoctl makes ioctl(2) fail with EPERM in all threads of this process from now on (seccomp(2)).
func forbidIoctl(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the filter is for 64-bit machines")
	}
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load}, // the number of the system call
		{Code: equal, K: unix.SYS_IOCTL, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		t.Skip("cannot install a seccomp filter here: " + errno.Error())
	}
}
