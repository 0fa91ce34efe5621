package machine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"arenacap/launcher/machine/gopsutil"
	"arenacap/launcher/testenv"
	"arenacap/policy"
)

// childEnv is a variable that makes the test binary print what it finds about the machine instead of running tests.
const childEnv = "ARENACAP_MACHINE_CHILD"

type childSays struct {
	Machine    policy.Machine
	GoMaxProcs int
}

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	if err := json.NewEncoder(os.Stdout).Encode(childSays{Find("/", Cores|Memory, gopsutil.Root("/")), runtime.GOMAXPROCS(0)}); err != nil {
		os.Exit(1)
	}
}

// childEnviron is an environment without the variables that override nproc and Go, and without the race detector's delay
// of 1 s at exit.
func childEnviron() []string {
	return []string{"PATH=" + os.Getenv("PATH"), childEnv + "=1", "GORACE=atexit_sleep_ms=0"}
}

// output runs a command and returns its output.
func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.Env = childEnviron()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, stderr.Bytes())
	}
	return out.Bytes()
}

func count(t *testing.T, name string, args ...string) int {
	t.Helper()
	testenv.Need(t, name)
	n, err := strconv.Atoi(strings.TrimSpace(string(output(t, exec.Command(name, args...)))))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func decode(t *testing.T, out []byte) childSays {
	t.Helper()
	var said childSays
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	return said
}

func TestOnlineIsWhatGetconfCounts(t *testing.T) {
	if got, want := Find("/", Cores, nil).Online.N, count(t, "getconf", "_NPROCESSORS_ONLN"); got != want {
		t.Errorf("online %d, getconf %d", got, want)
	}
}

func TestAffinityIsWhatNprocCounts(t *testing.T) {
	m := Find("/", Cores, nil)
	if m.Quota.N != 0 {
		t.Skip("from coreutils 9.8 nproc counts the CPU quota too, and this machine has one")
	}
	if want := count(t, "nproc"); m.Affinity.N != want {
		t.Errorf("affinity %d, nproc %d", m.Affinity.N, want)
	}
}

func TestAffinityUnderTaskset(t *testing.T) {
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil {
		t.Skipf("sched_getaffinity with room for 1024 CPUs: %v", err)
	}
	var allowed []string
	for cpu := range 1024 {
		if mask.IsSet(cpu) {
			allowed = append(allowed, strconv.Itoa(cpu))
		}
	}
	testenv.Need(t, "taskset")
	for _, cpus := range [][]string{allowed[:1], allowed[len(allowed)-1:], allowed} {
		list := strings.Join(cpus, ",")
		m := decode(t, output(t, exec.Command("taskset", "-c", list, os.Args[0]))).Machine
		if m.Affinity.N != len(cpus) || m.Affinity.From != "sched_getaffinity" {
			t.Errorf("taskset -c %s: affinity %+v", list, m.Affinity)
		}
		if online := Find("/", Cores, nil).Online; m.Online != online {
			t.Errorf("taskset -c %s: online %+v, without it %+v", list, m.Online, online)
		}
	}
}

// The affinity of the first thread counts, because that thread executes the target; the affinity of the calling thread does
// not.
func TestAffinityIsOfTheFirstThread(t *testing.T) {
	want, err := affinity()
	if err != nil || want < 2 {
		t.Skipf("needs two CPUs: %d, %v", want, err)
	}
	const threads = 2 // at least one of them is not the first thread
	pinned, got := make(chan error), make(chan int)
	for range threads {
		go func() {
			runtime.LockOSThread()
			if unix.Gettid() != os.Getpid() { // the goroutine stays locked, so that the thread ends with it
				pinned <- pinToFirstCPU()
			} else {
				defer runtime.UnlockOSThread()
				pinned <- nil
			}
			n, _ := affinity()
			got <- n
		}()
	}
	for range threads { // wait until both goroutines hold a thread, so that these are two different threads
		if err := <-pinned; err != nil {
			t.Error(err)
		}
	}
	for range threads {
		if n := <-got; n != want {
			t.Errorf("affinity on a thread that is pinned to one CPU returns %d, want the first thread's %d", n, want)
		}
	}
}

func pinToFirstCPU() error {
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil {
		return err
	}
	var one unix.CPUSet
	for cpu := 0; one.Count() == 0; cpu++ {
		if mask.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	return unix.SchedSetaffinity(0, &one)
}

// With a root other than "/", Find reads the status file instead of calling sched_getaffinity(2). /proc/self/root is
// this machine under another name.
func TestStatusAgreesWithSchedGetaffinity(t *testing.T) {
	file, call := Find("/proc/self/root", Cores, nil).Affinity, Find("/", Cores, nil).Affinity
	if file.N != call.N || file.N == 0 || file.From == call.From {
		t.Errorf("status %+v, system call %+v", file, call)
	}
}

func TestMaskGrowsForKernelsWithMoreCPUs(t *testing.T) {
	kernel := func(bytes int) func([]byte) (int, error) {
		return func(mask []byte) (int, error) {
			if len(mask) < bytes {
				return 0, unix.EINVAL
			}
			mask[0], mask[bytes-1] = 0b101, 0x80
			return bytes, nil
		}
	}
	for _, bytes := range []int{8, 128, 136, 1024, 4096} {
		if n, err := countMask(kernel(bytes)); n != 3 || err != nil {
			t.Errorf("mask of %d bytes: %d, %v", bytes, n, err)
		}
	}
	if n, err := countMask(kernel(2 * maxMask)); n != 0 || !errors.Is(err, unix.EINVAL) {
		t.Errorf("a kernel whose mask is larger than maxMask: %d, %v; want EINVAL", n, err)
	}
	if n, err := countMask(func([]byte) (int, error) { return 0, unix.EPERM }); n != 0 || !errors.Is(err, unix.EPERM) {
		t.Errorf("forbidden: %d, %v", n, err)
	}
}

// gopsutil honours HOST_PROC and HOST_SYS; arenacap must ignore them, because they are meant for other programs.
func TestEnvironmentMovesNothing(t *testing.T) {
	want := Find("/", Memory|Library, gopsutil.Root("/"))
	t.Setenv("HOST_PROC", "/nowhere")
	t.Setenv("HOST_SYS", "/nowhere")
	if got := Find("/", Memory|Library, gopsutil.Root("/")); got.Library != want.Library || got.Memory != want.Memory || want.Library.N == 0 {
		t.Errorf("with HOST_PROC %+v\nwithout %+v", got, want)
	}
}

func TestMemoryOfThisMachine(t *testing.T) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if got, most := Find("/", Memory, gopsutil.Root("/")).Memory, uint64(info.Totalram)*uint64(info.Unit); got.N == 0 || got.N > most {
		t.Errorf("memory %+v, sysinfo(2) %d", got, most)
	}
}

// controlGroup creates two nested groups below the group of this process, in the real hierarchy of a controller.
func controlGroup(t *testing.T, controller string) (parent, leaf string, version int) {
	t.Helper()
	var h host
	g := h.groups()
	group, err := h.find(g, controller)
	if err != nil || len(group.Folders) == 0 {
		t.Skipf("no %s group to work in: %v", controller, err)
	}
	parent = filepath.Join(group.Folders[0], fmt.Sprintf("arenacap-%s-%d", controller, os.Getpid()))
	m, _ := g.of.Limiting(controller)
	if m.Version == 2 {
		on, _ := os.ReadFile(filepath.Join(group.Folders[0], "cgroup.subtree_control"))
		if !strings.Contains(" "+strings.TrimSpace(string(on))+" ", " "+controller+" ") {
			t.Skipf("the %s controller is not enabled below %s", controller, group.Folders[0])
		}
	}
	leaf = filepath.Join(parent, "leaf")
	for _, folder := range []string{parent, leaf} {
		if err := os.Mkdir(folder, 0o755); errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Remove(folder); err != nil {
				t.Error(err)
			}
		})
	}
	if m.Version == 2 {
		put(t, parent, "cgroup.subtree_control", "+"+controller)
	}
	return parent, leaf, m.Version
}

func put(t *testing.T, folder, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// inGroup runs a shell command in a control group. The shell waits until it has been moved there.
func inGroup(t *testing.T, group, script string, args ...string) childSays {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", "read moved && " + script, os.Args[0]}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.Env = childEnviron()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	moved := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0)
	if moved == nil {
		fmt.Fprintln(stdin, "yes")
	}
	stdin.Close()
	if err := errors.Join(cmd.Wait(), moved); err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	return decode(t, out.Bytes())
}

// setQuota sets a group's quota for a period of 100 ms; 0 is no limit. It returns the text that the field From of this quota
// must have.
func setQuota(t *testing.T, group string, version, quota int) string {
	t.Helper()
	if version == 2 {
		text := "max 100000"
		if quota != 0 {
			text = fmt.Sprintf("%d 100000", quota)
		}
		put(t, group, "cpu.max", text)
		return group + "/cpu.max: " + text
	}
	if quota == 0 {
		quota = -1
	}
	put(t, group, "cpu.cfs_period_us", "100000")
	put(t, group, "cpu.cfs_quota_us", strconv.Itoa(quota))
	return fmt.Sprintf("%s/cpu.cfs_quota_us: %d, cpu.cfs_period_us: 100000", group, quota)
}

func TestRealQuota(t *testing.T) {
	parent, leaf, version := controlGroup(t, "cpu")
	for _, c := range []struct {
		name         string
		parent, leaf int
	}{
		{"leaf", 0, 150000},
		{"parent", 150000, 0},
		{"leaf is tighter", 350000, 50000},
		{"whole", 0, 300000},
		{"same in both", 120000, 120000},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The leaf may still have the quota of the previous case. v1 refuses a quota of the parent that is less
			// than the leaf's.
			setQuota(t, leaf, version, 0)
			froms := map[int]string{}
			froms[c.parent] = setQuota(t, parent, version, c.parent)
			froms[c.leaf] = setQuota(t, leaf, version, c.leaf)
			said := inGroup(t, leaf, `exec "$0"`)
			tightest := c.parent
			if tightest == 0 || c.leaf != 0 && c.leaf < tightest {
				tightest = c.leaf
			}
			want := policy.Reading[float64]{N: float64(tightest) / 100000, From: froms[tightest]}
			if said.Machine.Quota != want {
				t.Errorf("quota\n got %+v\nwant %+v", said.Machine.Quota, want)
			}
			// Go rounds up too, but to at least 2 (internal/runtime/cgroup, runtime.adjustCgroupGOMAXPROCS).
			procs := min(said.Machine.Affinity.N, max(2, int(math.Ceil(said.Machine.Quota.N))))
			if said.Machine.Affinity.N > 1 && said.GoMaxProcs != procs {
				t.Errorf("quota %+v: Go takes %d, by its own rule this would be %d", said.Machine.Quota, said.GoMaxProcs, procs)
			}
		})
	}
}

func TestRealNoQuota(t *testing.T) {
	_, leaf, _ := controlGroup(t, "cpu")
	if got, want := inGroup(t, leaf, `exec "$0"`).Machine.Quota, Find("/", Cores, nil).Quota; got != want {
		t.Errorf("in a group without a quota %+v, outside %+v", got, want)
	}
}

// In a cgroup namespace with its own mount the group is "/" and its parent is not visible. A mount that was made
// outside of the namespace has a root above the namespace ("/../..").
func TestRealCgroupNamespace(t *testing.T) {
	testenv.Need(t, "unshare")
	parent, leaf, version := controlGroup(t, "cpu")
	setQuota(t, parent, version, 200000)
	setQuota(t, leaf, version, 150000)
	point := t.TempDir()
	mount := `mount -t cgroup -o cpu cgroup "$1"`
	if version == 2 {
		mount = `mount -t cgroup2 cgroup2 "$1"`
	}
	if out, err := exec.Command("unshare", "--cgroup", "--mount", "/bin/sh", "-c", mount, "sh", point).CombinedOutput(); err != nil {
		t.Skipf("no cgroup namespace with a mount here: %v: %s", err, out)
	}
	inner := mount + ` && exec "$0"`
	said := inGroup(t, leaf, `exec unshare --cgroup --mount /bin/sh -c "$2" "$0" "$1"`, point, inner)
	if q := said.Machine.Quota; q.N != 1.5 || !strings.HasPrefix(q.From, point+"/cpu.") || q.Why != "" {
		t.Errorf("quota in a cgroup namespace: %+v", q)
	}
	said = inGroup(t, leaf, `exec unshare --cgroup "$0"`)
	if q := said.Machine.Quota; !strings.Contains(q.From+q.Why, `no mount shows the cpu group "/"`) {
		t.Errorf("quota in a cgroup namespace that nothing mounts: %+v", q)
	}
}

func TestRealMemoryLimit(t *testing.T) {
	parent, leaf, version := controlGroup(t, "memory")
	file := "memory.limit_in_bytes"
	if version == 2 {
		file = "memory.max"
	}
	const bytes = 256 << 20
	put(t, parent, file, strconv.Itoa(bytes))
	want := policy.Reading[uint64]{N: bytes, From: fmt.Sprintf("%s/%s: %d", parent, file, bytes)}
	if got := inGroup(t, leaf, `exec "$0"`).Machine.Memory; got != want {
		t.Errorf("parent's limit\n got %+v\nwant %+v", got, want)
	}
	put(t, leaf, file, strconv.Itoa(bytes/2))
	want = policy.Reading[uint64]{N: bytes / 2, From: fmt.Sprintf("%s/%s: %d", leaf, file, bytes/2)}
	if got := inGroup(t, leaf, `exec "$0"`).Machine.Memory; got != want {
		t.Errorf("leaf's limit\n got %+v\nwant %+v", got, want)
	}
}
